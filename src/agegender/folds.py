"""The folds of a cross-validation gathered: one table, and a prediction for every face."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.data.splits import FOLDS
from agegender.errors import InputError
from agegender.report import metric_lines, part_metrics

METRICS = ("age_mae", "age_rmse", "age_cs5", "gender_acc", "gender_auroc")
SAME = ("name", "model", "loss", "seed", "max_epochs", "precision", "duplicates", "data_digest")


def gather(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the runs of all five folds.

    Args:
        folder: of a multirun over data.fold=0,1,2,3,4; a run in each of its folders.

    Returns:
        A row a fold: fold, split_hash, n and the metrics of its test part. And the test
        predictions of all folds, with the column fold: each face by a network that has seen
        neither it nor a copy of it.

    Raises:
        InputError: if a fold is missing, twice there, or of another recipe or data.
    """
    runs = {path.parent: _facts(path) for path in sorted(folder.glob("*/metrics.json"))}
    if not runs:
        raise InputError(f"{folder} holds no finished run: give the folder of a kfold multirun")
    for run, metrics in runs.items():
        if metrics["run"]["split"] != "kfold":
            raise InputError(f"{run} is of data.split={metrics['run']['split']}, not of kfold")
    found = sorted(metrics["run"]["fold"] for metrics in runs.values())
    if found != list(range(FOLDS)):
        raise InputError(f"{folder} holds the folds {found}: needed is each of 0 to {FOLDS - 1}")
    for key in SAME:
        values = {str(metrics["run"][key]) for metrics in runs.values()}
        if len(values) > 1:
            raise InputError(f"the runs in {folder} differ in {key}: {', '.join(sorted(values))}")
    rows, predictions = [], []
    for run, metrics in sorted(runs.items(), key=lambda item: item[1]["run"]["fold"]):
        fold, test = metrics["run"]["fold"], metrics["test"]
        named = {name: round(test[name], 4) for name in METRICS}
        rows.append(
            {"fold": fold, "split_hash": metrics["run"]["split_hash"], "n": test["n"], **named}
        )
        table = pd.read_csv(run / "predictions.csv")
        predictions.append(table[table["part"] == "test"].assign(fold=fold))
    return pd.DataFrame(rows), pd.concat(predictions, ignore_index=True)


def fold_lines(folds: pd.DataFrame, predictions: pd.DataFrame) -> str:
    """The table for the terminal: every fold, their mean and spread, and all faces pooled."""
    rows: list[tuple[str, Mapping[Any, Any]]] = [
        (f"{row['fold']} ({row['split_hash']})", row) for row in folds.to_dict("records")
    ]
    lines = metric_lines("fold", [*rows, ("all faces, pooled", part_metrics(predictions))])
    mean, sd = folds[list(METRICS)].mean(), folds[list(METRICS)].std()
    lines.append(
        f"mean ± sd of {len(folds)} folds: age MAE {mean['age_mae']:.2f} ± {sd['age_mae']:.2f}"
        f" years, gender accuracy {mean['gender_acc']:.1%} ± {sd['gender_acc']:.1%}"
    )
    return "\n".join(lines)


def _facts(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        assert {"run", "test"} <= found.keys()
        found["run"].setdefault("max_epochs", found["run"].get("epochs"))  # of earlier versions
    except (OSError, ValueError, AssertionError):
        raise InputError(f"{path} is not of a finished run with a test part") from None
    return found
