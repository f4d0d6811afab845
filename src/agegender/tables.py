"""Published tables, as Markdown, from the CSVs in docs/results."""

from itertools import pairwise
from pathlib import Path

import pandas as pd

from agegender.data.copies import SAME
from agegender.data.files import whole_file
from agegender.errors import InputError

# The Kaggle notebook's own log, Keras: its last epoch, and its best epoch of each metric.
NOTEBOOK = {"last": (6.447, 0.8897), "best": (6.40, 0.894)}


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
    return f"{form.format(values.mean())} ± {form.format(values.std())}"
