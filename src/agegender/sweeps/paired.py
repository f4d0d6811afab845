"""The values of one choice against each other on the same faces, over all their seeds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agegender.bootstrap import Values, interval, mean, resample
from agegender.errors import InputError
from agegender.sweeps.records import Trial, read_trials

PART = "val"  # choices are made on validation faces


def paired(sweep: Path, key: str, reference: str) -> pd.DataFrame:
    """Each value of a key against a reference, with all else equal but, perhaps, how many seeds.

    What a face counts is the mean over the seeds of a value. The intervals are of 1,000 resamples
    of photographs (cluster bootstrap), the same for all values: they are about the faces, and the
    spread over seeds stands beside them.

    Args:
        sweep: its folder, with finished trials that differ in the key and the seed alone.
        key: what varies, such as loss.
        reference: the value that the others are compared with.

    Returns:
        A row a value, the best age MAE first: the key, seeds, age_mae (years) and gender_acc of
        the validation part, and of both the standard deviation over seeds (NAME_sd), the
        difference to the reference (NAME_change) and its 95 % interval (NAME_lo, NAME_hi); and
        cpu_minutes, the mean of a training.

    Raises:
        InputError: if no finished trial has the reference value, if more than the key and the seed
            varies, or if trials are of other faces.
    """
    trials = _by_value(sweep, key)
    if reference not in trials:
        raise InputError(f"{sweep} has no finished trial with {key}={reference}")
    tables = {value: [_predictions(trial) for trial in mine] for value, mine in trials.items()}
    faces = tables[reference][0]
    for value, mine in tables.items():
        if not all(table["file"].equals(faces["file"]) for table in mine):
            raise InputError(f"{sweep}: trials with {key}={value} are of other faces")
    counts = {value: _counts(mine) for value, mine in tables.items()}
    weights = resample(faces["group_id"])
    rows = []
    for value, own_counts in counts.items():
        minutes = [trial.metrics()["run"]["cpu_minutes"] for trial in trials[value]]  # type: ignore[index]
        row: dict[str, Any] = {key: value, "seeds": len(minutes)}
        for name, own in own_counts.items():
            change = own.mean(axis=0) - counts[reference][name].mean(axis=0)
            low, high = interval(mean(change, weights))
            row |= {name: own.mean(), f"{name}_sd": pd.Series(own.mean(axis=1)).std()}
            row |= {f"{name}_change": change.mean(), f"{name}_lo": low, f"{name}_hi": high}
        rows.append(row | {"cpu_minutes": float(np.mean(minutes))})
    return pd.DataFrame(rows).sort_values("age_mae", ignore_index=True)


def _by_value(sweep: Path, key: str) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in read_trials(sweep):
        if trial.status != "finished":
            continue
        if key not in trial.choices or set(trial.choices) - {key, "seed"}:
            raise InputError(f"{trial.folder}: {key} and seed alone may vary, to be compared")
        found.setdefault(str(trial.choices[key]), []).append(trial)
    return found


def _predictions(trial: Trial) -> pd.DataFrame:
    table = pd.read_csv(trial.folder / "predictions.csv")
    return table[table["part"] == PART].sort_values("file", ignore_index=True)


def _counts(tables: list[pd.DataFrame]) -> dict[str, Values]:
    """(S, N) of S seeds and N faces: years off, and whether the gender is right."""
    off = [(table["age_pred"] - table["age_years"]).abs() for table in tables]
    right = [(table["p_female"] > 0.5) == (table["gender"] == 1) for table in tables]
    return {"age_mae": np.stack(off), "gender_acc": np.stack(right).astype(np.float64)}
