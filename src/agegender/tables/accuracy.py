"""What the longest trainings reach, and what of their recipe it is due to."""

from pathlib import Path

import pandas as pd

from agegender.tables.cells import mean_sd

RECIPES = {"best": "full age range, `holdout`", "best_coral": "ages 21 to 60, `coral`"}


def best_table(table: Path) -> str:
    """The recipes `best` and `best_coral` on the test part, as Markdown.

    A row a network, the newest first.

    Args:
        table: `runs.csv`.
    """
    runs = pd.read_csv(table)
    lines = [
        "| `experiment=` | network | faces | test age MAE (years) | 95 % of drawing faces"
        " | test gender accuracy | 95 % of drawing faces | with all copies: MAE, accuracy"
        " | CPU minutes |",
        f"|{'---|' * 9}",
    ]
    recipes = runs[runs["experiment"].isin(RECIPES)].sort_values("date", ascending=False)
    for (name, model), mine in recipes.groupby(["experiment", "model"], sort=False):
        cells = [
            f"`{name}`",
            str(model),
            RECIPES[str(name)],
            mean_sd(mine["test_age_mae"], "{:.2f}"),
            _range(mine, "age_mae", "{:.2f}"),
            mean_sd(mine["test_gender_acc"], "{:.1%}"),
            _range(mine, "gender_acc", "{:.1%}"),
            f"{mine['test_keep_age_mae'].mean():.2f}, {mine['test_keep_gender_acc'].mean():.1%}",
            f"{mine['cpu_minutes'].mean():.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def errors_table(groups: Path) -> str:
    """Where the errors are: a row a decade of age, with its share of all that is wrong.

    Args:
        groups: `groups.csv` of an evaluation's report.
    """
    table = pd.read_csv(groups)
    ages = table[table["by"] == "age"]
    years, wrong = ages["n"] * ages["age_mae"], (ages["n"] * (1 - ages["gender_acc"])).round()
    lines = [
        "| annotated age | faces | age MAE (years) | of all years of error | mean error (years)"
        " | gender accuracy | wrong genders |",
        f"|{'---|' * 7}",
    ]
    for row, share, missed in zip(
        ages.to_dict("records"), years / years.sum(), wrong.astype(int), strict=True
    ):
        lines.append(
            f"| {row['age']} | {row['n']} | {row['age_mae']:.2f} | {share:.0%}"
            f" | {row['age_bias']:+.2f} | {row['gender_acc']:.1%} | {missed} |"
        )
    return "\n".join(lines)


def frontier_table(table: Path) -> str:
    """What accuracy costs, a row a recipe.

    Args:
        table: `frontier.csv`, as `agegender.bench.frontier.frontier` has it.
    """
    lines = [
        "| recipe | network, image | parameters (million) | seeds | test age MAE (years) | test"
        " gender accuracy | CPU minutes of a training | ms a face in use |",
        f"|{'---|' * 8}",
    ]
    for row in pd.read_csv(table).to_dict("records"):
        age, gender = f"{row['test_age_mae']:.2f}", f"{row['test_gender_acc']:.1%}"
        if row["seeds"] > 1:
            age += f" ± {row['test_age_mae_sd']:.2f}"
            gender += f" ± {row['test_gender_acc_sd']:.1%}"
        lines.append(
            f"| `{row['name']}` | {row['model']}, {row['image_size']} px"
            f" | {row['parameters'] / 1e6:.1f} | {row['seeds']} | {age} | {gender}"
            f" | {row['cpu_minutes']:.0f} | {row['ms_per_face']:.1f} |"
        )
    return "\n".join(lines)


def _range(runs: pd.DataFrame, name: str, form: str) -> str:
    """The intervals' ends, over seeds on average."""
    low, high = (runs[f"test_{name}_{end}"].mean() for end in ("lo", "hi"))
    return f"{form.format(low)} to {form.format(high)}"
