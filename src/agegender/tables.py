"""Published tables, as Markdown, from the CSVs in docs/results."""

from itertools import pairwise
from pathlib import Path

import pandas as pd

from agegender.data.copies import SAME
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.report import NOTEBOOK


def published(results: Path) -> dict[tuple[str, str], str]:
    """Every published table: the document and the name of its place there, and its text.

    Args:
        results: the folder `docs/results`.
    """
    runs = results / "runs.csv"
    copies = "docs/duplicates.md"
    return {
        ("README.md", "reproduction"): reproduction_table(runs, results / "keras_control.csv"),
        (copies, "copies"): copies_table(results / "copies_groups.csv"),
        (copies, "verdicts"): verdicts_table(results / "copies_verdicts.csv"),
        (copies, "splits"): splits_table(runs),
        (copies, "effect"): effect_table(results / "copies_effect.csv"),
        (copies, "coral"): coral_table(runs),
        ("docs/labels.md", "folds"): folds_table(runs),
        ("docs/labels.md", "suspects"): suspects_table(results / "suspect_verdicts.csv"),
    }


def reproduction_table(table: Path, control: Path) -> str:
    """The seed notebook's figures, ours, and those of Keras on our split, as Markdown.

    Args:
        table: `runs.csv`.
        control: what `scripts/keras_control.py` writes: one seed, a row an epoch.
    """
    runs = pd.read_csv(table)
    same = (runs["experiment"] == "notebook") & (runs["split"] == "notebook")
    runs = runs[same & (runs["epochs"] == 30)].sort_values("seed")
    if runs.empty:
        raise InputError(f"{table} has no finished run of experiment=notebook")
    lines = [
        "| 80/20, 30 epochs, all of UTKFace | val age MAE (years) | val gender accuracy |",
        "|---|---|---|",
        "| the notebook (Keras), last epoch | {:.2f} | {:.2%} |".format(*NOTEBOOK["last"]),
    ]
    for run in runs.to_dict("records"):
        lines.append(
            f"| `experiment=notebook`, seed {run['seed']}, last epoch | {run['val_age_mae']:.2f}"
            f" | {run['val_gender_acc']:.2%} |"
        )
    keras = pd.read_csv(control)
    if set(keras["split_hash"]) != set(runs["split_hash"]):
        raise InputError(f"{control} is of another split than the runs in {table}")
    last, best = keras.iloc[-1], keras.iloc[keras["val_age_mae"].argmin()]
    lines += [
        _spread("ours, last epoch", runs, "val_"),
        _control("the notebook's network in Keras on our split, last epoch", last),
        "| the notebook, its best epochs | {:.2f} | {:.2%} |".format(*NOTEBOOK["best"]),
        _spread("ours, best checkpoint by val MAE", runs, "val_best_"),
        _control("Keras on our split, best epoch by val MAE", best),
    ]
    return "\n".join(lines)


def _control(name: str, epoch: pd.Series) -> str:
    mae, accuracy = epoch["val_age_mae"], epoch["val_gender_acc"]
    return f"| {name}, a single seed | {mae:.2f} | {accuracy:.2%} |"


def _spread(name: str, runs: pd.DataFrame, prefix: str) -> str:
    """Mean and standard deviation over seeds; a single seed is called one."""
    mae, accuracy = runs[f"{prefix}age_mae"], runs[f"{prefix}gender_acc"]
    if len(runs) == 1:
        return f"| {name}, a single seed | {mae.iloc[0]:.2f} | {accuracy.iloc[0]:.2%} |"
    return (
        f"| **{name}**, mean ± sd of {len(runs)} seeds | **{mae.mean():.2f}** ± {mae.std():.2f}"
        f" | **{accuracy.mean():.2%}** ± {accuracy.std():.2%} |"
    )


def put_table(document: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME:start -->` and `<!-- NAME:end -->`.

    Raises:
        InputError: if the document has no such place.
    """
    before, start, rest = document.read_text().partition(f"<!-- {name}:start -->")
    _, end, after = rest.partition(f"<!-- {name}:end -->")
    if not end:
        raise InputError(f"{document} has no place for a table: <!-- {name}:start --> and :end")
    with whole_file(document) as temporary:
        temporary.write_text(f"{before}{start}\n{text}\n{end}{after}")


def copies_table(groups: Path) -> str:
    """How many photographs appear more than once, and how they are labelled.

    Args:
        groups: `copies_groups.csv`, written by `scripts/release.py`.
    """
    table = pd.read_csv(groups)
    near = ~table["exact"]
    conflicts = table[["age_conflict", "gender_conflict", "race_conflict"]].any(axis=1)
    lines = ["| | photographs | files |", "|---|---|---|"]
    for name, mine in (
        ("appear more than once", table["n"] > 0),
        ("as exact copies only (the same bytes)", table["exact"]),
        ("with near copies (re-saved, re-cropped, mirrored)", near),
        ("labels contradict", conflicts),
        ("ages more than 2 years apart", table["age_conflict"]),
        ("genders differ", table["gender_conflict"]),
        ("races differ", table["race_conflict"]),
        ("left out: genders differ, or ages more than 5 years apart", table["left_out"]),
    ):
        lines.append(f"| {name} | {mine.sum():,} | {table.loc[mine, 'n'].sum():,} |")
    return "\n".join(lines)


def verdicts_table(verdicts: Path) -> str:
    """Pairs judged by eye, by how well the aligned pictures agree.

    Args:
        verdicts: `copies_verdicts.csv`.
    """
    table = pd.read_csv(verdicts)
    kinds = sorted(table["verdict"].unique(), key=lambda kind: -(table["verdict"] == kind).sum())
    edges = [table["agreement"].min(), 0.75, 0.80, SAME, 0.92, 1.01]
    lines = [
        f"| agreement | joined | pairs judged | {' | '.join(kinds)} |",
        f"|{'---|' * (len(kinds) + 3)}",
    ]
    for low, high in pairwise(edges):
        mine = table[(table["agreement"] >= low) & (table["agreement"] < high)]
        counts = [str(int((mine["verdict"] == kind).sum())) for kind in kinds]
        joined = "yes" if low >= SAME else "no"
        to = min(high, 1.0)
        lines.append(f"| {low:.2f} to {to:.2f} | {joined} | {len(mine)} | {' | '.join(counts)} |")
    return "\n".join(lines)


def splits_table(table: Path) -> str:
    """The copies experiment on each split; a column a split, since they are not comparable."""
    runs = pd.read_csv(table)
    runs = runs[runs["experiment"] == "copies"]
    names = {
        "random": "`random`",
        "file": "`random` without the copies",
        "holdout": "`holdout`",
    }
    columns = {
        f"{shown}, {mine['split_hash'].iloc[0]}": mine
        for split, shown in names.items()
        if len(mine := runs[runs["split"] == split])
    }
    lines = ["| | " + " | ".join(columns) + " |", f"|{'---|' * (len(columns) + 1)}"]
    lines.append("| seeds | " + " | ".join(str(len(mine)) for mine in columns.values()) + " |")
    for title, name, form in (
        ("val age MAE (years)", "val_best_age_mae", "{:.2f}"),
        ("test age MAE (years)", "test_age_mae", "{:.2f}"),
        ("test gender accuracy", "test_gender_acc", "{:.2%}"),
    ):
        cells = [_mean_sd(mine[name], form) for mine in columns.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean_sd(values: pd.Series, form: str) -> str:
    if len(values) == 1:
        return f"{form.format(values.iloc[0])} (a single seed)"
    return f"{form.format(values.mean())} ± {form.replace('+', '').format(values.std())}"


def effect_table(effect: Path) -> str:
    """The same test faces with and without their copies in training.

    Args:
        effect: `copies_effect.csv`, written by `scripts/copies_effect.py`.
    """
    table = pd.read_csv(effect)
    first = table.iloc[0]
    lines = [
        f"Training faces: {first['train_given']:,}; without the copies {first['train_removed']:,}.",
        "",
        "| seed | test faces | copies in train | age MAE (years) | without copies |"
        " gender accuracy | without copies |",
        f"|{'---|' * 7}",
    ]
    for kind, n in (("copied", "copied"), ("other", None)):
        for row in table.to_dict("records"):
            faces = row[n] if n else row["faces"] - row["copied"]
            lines.append(
                f"| {row['seed']} | {faces:,} | {'yes' if n else 'no'}"
                f" | {row[f'{kind}_mae_given']:.2f} | {row[f'{kind}_mae_removed']:.2f}"
                f" | {row[f'{kind}_acc_given']:.1%} | {row[f'{kind}_acc_removed']:.1%} |"
            )
    lines += [
        "",
        "| seed | change of age MAE (years) of copied faces, 95 % interval | of other faces |"
        " difference |",
        "|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        copied, other = row["copied_mae_change"], row["other_mae_change"]
        low, high = row["change_low"], row["change_high"]
        interval = f"{copied:+.2f}, {low:+.2f} to {high:+.2f}"
        lines.append(f"| {row['seed']} | {interval} | {other:+.2f} | {copied - other:+.2f} |")
    copied, other = table["copied_mae_change"], table["other_mae_change"]
    means = [_mean_sd(values, "{:+.2f}") for values in (copied, other, copied - other)]
    lines.append(f"| mean ± sd of {len(table)} seeds | {' | '.join(means)} |")
    return "\n".join(lines)


def coral_table(table: Path) -> str:
    """The published split's test part as it is, and without faces that have a copy in train."""
    runs = pd.read_csv(table)
    runs = runs[(runs["experiment"] == "copies") & (runs["split"] == "coral")]
    lines = [
        "| `coral` | test age MAE (years) | test gender accuracy |",
        "|---|---|---|",
    ]
    for title, part in (
        ("the test part as published", "test"),
        ("without faces that have a copy in train", "test_clean"),
    ):
        mae, accuracy = runs[f"{part}_age_mae"], runs[f"{part}_gender_acc"]
        lines.append(f"| {title} | {_mean_sd(mae, '{:.2f}')} | {_mean_sd(accuracy, '{:.2%}')} |")
    return "\n".join(lines)


def folds_table(table: Path) -> str:
    """The folds of the cross-validation, a row each."""
    runs = pd.read_csv(table)
    runs = runs[runs["split"] == "kfold"].sort_values("fold")
    lines = [
        "| fold, split | test age MAE (years) | test gender accuracy |",
        "|---|---|---|",
    ]
    for row in runs.to_dict("records"):
        lines.append(
            f"| {row['fold']:.0f}, {row['split_hash']} | {row['test_age_mae']:.2f}"
            f" | {row['test_gender_acc']:.2%} |"
        )
    mae, accuracy = runs["test_age_mae"], runs["test_gender_acc"]
    lines.append(
        f"| mean ± sd of {len(runs)} folds | {_mean_sd(mae, '{:.2f}')}"
        f" | {_mean_sd(accuracy, '{:.2%}')} |"
    )
    return "\n".join(lines)


def suspects_table(verdicts: Path) -> str:
    """What the eye said of the first suspects.

    Args:
        verdicts: `suspect_verdicts.csv`: rank, file, label and verdict.
    """
    table = pd.read_csv(verdicts)
    counts = pd.crosstab(table["verdict"], table["label"])
    counts["all"] = counts.sum(axis=1)
    counts = counts.sort_values("all", ascending=False)
    heads = [f"put there by {label}" for label in counts.columns[:-1]]
    lines = [
        f"| verdict by eye | {' | '.join(heads)} | all |",
        f"|{'---|' * (len(counts.columns) + 1)}",
    ]
    for verdict, row in counts.iterrows():
        lines.append(f"| {verdict} | {' | '.join(str(n) for n in row)} |")
    lines.append(f"| **faces looked at** | {' | '.join(str(n) for n in counts.sum())} |")
    return "\n".join(lines)
