"""The seed notebook against this project."""

from pathlib import Path

import pandas as pd

from agegender.errors import InputError
from agegender.report import NOTEBOOK


def reproduction_table(table: Path, control: Path) -> str:
    """The seed notebook's figures, ours, and those of Keras on our split, as Markdown.

    Args:
        table: `runs.csv`.
        control: what `scripts/keras_control.py` writes: one seed, a row an epoch.
    """
    runs = pd.read_csv(table)
    same = (runs["experiment"] == "notebook") & (runs["split"] == "notebook")
    runs = runs[same & (runs["epochs"] == 30) & (runs["precision"] != "32-true")]
    if runs.empty:
        raise InputError(f"{table} has no finished run of experiment=notebook")
    lines = [
        "| 80/20, 30 epochs, all of UTKFace | val age MAE (years) | val gender accuracy |",
        "|---|---|---|",
        "| the notebook (Keras), last epoch | {:.2f} | {:.2%} |".format(*NOTEBOOK["last"]),
    ]
    keras = pd.read_csv(control)
    if set(keras["split_hash"]) != set(runs["split_hash"]):
        raise InputError(f"{control} is of another split than the runs in {table}")
    last, best = keras.iloc[-1], keras.iloc[keras["val_age_mae"].argmin()]
    lines += [
        _spread("`experiment=notebook`, last epoch", runs, "val_"),
        _control("the notebook's network in Keras on our split, last epoch", last),
        "| the notebook, its best epochs | {:.2f} | {:.2%} |".format(*NOTEBOOK["best"]),
        _spread("`experiment=notebook`, best checkpoint by val MAE", runs, "val_best_"),
        _control("Keras on our split, best epoch by val MAE", best),
    ]
    return "\n".join(lines)


def precision_table(table: Path) -> str:
    """One recipe in float32 and in bfloat16, as Markdown: `experiment=copies` on the random split.

    Args:
        table: `runs.csv`; the runs in float32 stand there as experiment `precision`.
    """
    runs = pd.read_csv(table)
    same = (runs["split"] == "random") & (runs["epochs"] == 10)
    wide = runs[same & (runs["experiment"] == "precision") & (runs["precision"] == "32-true")]
    narrow = runs[same & (runs["experiment"] == "copies") & (runs["precision"] == "bf16-mixed")]
    if wide.empty or set(wide["split_hash"]) != set(narrow["split_hash"]):
        raise InputError(f"{table} has no runs of one split in float32 and in bfloat16")
    lines = ["| 10 epochs | age MAE (years) | gender accuracy |", "|---|---|---|"]
    for prefix, what in (
        ("val_", "validation, last epoch"),
        ("val_best_", "validation, best checkpoint"),
        ("test_", "test, best checkpoint"),
    ):
        lines += [
            _spread(f"{name}: {what}", rows, prefix)
            for name, rows in (("float32", wide), ("bfloat16", narrow))
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
