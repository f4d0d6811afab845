"""What copies in the training part are worth on the very same test faces."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.errors import InputError

DRAWS = 10_000


def copies_effect(given: Path, removed: Path) -> dict[str, Any]:
    """Compare two runs of one recipe and seed on one test part.

    Args:
        given: a run whose train part holds copies of some faces of its test part.
        removed: a run without these copies in its train part.

    Returns:
        seed, the split hash and the training faces of both, faces (n) of the test part, copied
        (how many had a copy in `given`), MAE (years) and gender accuracy of both runs on copied
        and on other faces, and the mean change of the absolute age error, removed - given, on
        other and on copied faces, the latter with its 95 % interval (bootstrap over photographs,
        the two networks held).

    Raises:
        InputError: if the runs do not belong together.
    """
    runs = [
        json.loads((run / "metrics.json").read_text(encoding="utf-8"))["run"]
        for run in (given, removed)
    ]
    for run in runs:
        run.setdefault("max_epochs", run["epochs"])  # of earlier versions
    for key in ("name", "seed", "max_epochs", "precision", "data_digest"):
        if runs[0][key] != runs[1][key]:
            raise InputError(f"{given} and {removed} differ in {key}")
    tables = [
        pd.read_csv(run / "predictions.csv").query("part == 'test'") for run in (given, removed)
    ]
    both = tables[0].merge(tables[1], on="file", suffixes=("_given", "_removed"))
    if not len(both) == len(tables[0]) == len(tables[1]):
        raise InputError(f"{given} and {removed} are not tested on the same faces")
    copied = both["copy_in_train_given"]
    if both["copy_in_train_removed"].any() or not copied.any():
        raise InputError(f"{given} has to have copies in its train part, and {removed} none")
    row: dict[str, Any] = {
        "seed": runs[0]["seed"],
        "split_hash_given": runs[0]["split_hash"],
        "split_hash_removed": runs[1]["split_hash"],
        "train_given": _train_faces(given),
        "train_removed": _train_faces(removed),
        "faces": len(both),
        "copied": int(copied.sum()),
    }
    for end in ("given", "removed"):
        error = (both[f"age_pred_{end}"] - both["age_years_given"]).abs()
        right = (both[f"p_female_{end}"] > 0.5) == (both["gender_given"] == 1)
        both[f"error_{end}"] = error
        for name, mine in (("copied", copied), ("other", ~copied)):
            row[f"{name}_mae_{end}"] = round(float(error[mine].mean()), 4)
            row[f"{name}_acc_{end}"] = round(float(right[mine].mean()), 4)
    change = (both["error_removed"] - both["error_given"])[copied]
    low, high = _interval(change, both.loc[copied, "group_id_given"])
    row |= {
        "other_mae_change": round(row["other_mae_removed"] - row["other_mae_given"], 4),
        "copied_mae_change": round(float(change.mean()), 4),
        "change_low": round(low, 4),
        "change_high": round(high, 4),
    }
    return row


def _train_faces(run: Path) -> int:
    return int((pd.read_csv(run / "split.csv")["part"] == "train").sum())


def _interval(values: pd.Series, group: pd.Series) -> tuple[float, float]:
    """95 % of the mean over resampled groups."""
    sums = values.groupby(group).agg(["sum", "count"]).to_numpy(float)
    drawn = np.random.default_rng(0).integers(len(sums), size=(DRAWS, len(sums)))
    totals = sums[drawn].sum(axis=1)
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975])
    return float(low), float(high)
