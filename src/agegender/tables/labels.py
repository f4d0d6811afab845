"""Labels that are probably wrong."""

from pathlib import Path

import pandas as pd

from agegender.tables.cells import mean_sd


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
        f"| mean ± sd of {len(runs)} folds | {mean_sd(mae, '{:.2f}')}"
        f" | {mean_sd(accuracy, '{:.2%}')} |"
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
