"""Copies of a photograph, and what they are worth."""

from itertools import pairwise
from pathlib import Path

import pandas as pd

from agegender.data.copies import SAME
from agegender.tables.cells import mean_sd


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
        cells = [mean_sd(mine[name], form) for mine in columns.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


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
    means = [mean_sd(values, "{:+.2f}") for values in (copied, other, copied - other)]
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
        lines.append(f"| {title} | {mean_sd(mae, '{:.2f}')} | {mean_sd(accuracy, '{:.2%}')} |")
    return "\n".join(lines)
