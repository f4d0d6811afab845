"""Intervals of age that hold a wanted share of annotated ages, by split-conformal calibration."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.calibration import fit_temperature
from agegender.errors import InputError

LEVEL = 0.9  # the share of faces that an interval is to hold, unless said otherwise
STEP = 0.005  # levels that a calibration keeps a quantile of
FOLDS = 5  # of the validation faces, to learn how large errors are from others than their own
FACES_A_BIN, BINS = 100, 10  # of predicted age, where the age loss has no spread
A_YEAR = 1.0  # what annotated ages are rounded to: no spread is taken for less
Values = npt.NDArray[np.float64]
Calibration = dict[str, Any]
Method = Literal["adapted", "plain"]


def calibrate(val_rows: pd.DataFrame) -> Calibration:
    """Learn from faces that the network was not trained on how far it is off.

    Split-conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018, arXiv:1604.04173): a
    score of each face, and of the scores their quantiles. The plain score is the absolute error.
    The adapted one is divided by a scale: the predicted spread and a year, or, where the age loss
    has no spread, the mean absolute error at that predicted age, learnt from the other folds.

    Args:
        val_rows: age_years, age_pred, gender, p_female, and age_sd (may be missing). Rows without
            a prediction are left out.

    Returns:
        Plain values for JSON: n; scale ("age_sd" or "age_pred") with its at and size; plain and
        adapted, a quantile of scores for each multiple of `STEP` up to the last that n faces
        can bear; and temperature, that of p_female.

    Raises:
        InputError: if no row has a prediction.
    """
    rows = val_rows[np.isfinite(val_rows["age_pred"]) & np.isfinite(val_rows["p_female"])]
    if rows.empty:
        raise InputError("no validation face has a prediction: intervals cannot be calibrated")
    age = rows["age_pred"].to_numpy(np.float64)
    off = np.abs(age - rows["age_years"].to_numpy(np.float64))
    found: Calibration = {"n": len(rows), "scale": "age_sd", "at": [], "size": []}
    if "age_sd" in rows and np.isfinite(rows["age_sd"]).all():
        scale = rows["age_sd"].to_numpy(np.float64) + A_YEAR
    else:
        scale = _of_other_folds(age, off)
        at, size = _error_by_age(age, off)
        found |= {"scale": "age_pred", "at": at.tolist(), "size": size.tolist()}
    return found | {
        "plain": _quantiles(off),
        "adapted": _quantiles(off / scale),
        "temperature": fit_temperature(rows["p_female"], rows["gender"]),
    }


def bounds(
    age_pred: npt.ArrayLike,
    age_sd: npt.ArrayLike | None,
    calibration: Calibration,
    level: float = LEVEL,
    method: Method = "adapted",
) -> tuple[Values, Values]:
    """Intervals around predicted ages.

    Args:
        age_pred: (N,) years.
        age_sd: (N,) years, the predicted spread; None if the age loss has none.
        calibration: from `calibrate`.
        level: the share of faces whose annotated age is to lie within, above 0 and at most
            1 - `STEP`.
        method: "adapted" is narrow where the network is sure; "plain" is as wide everywhere.

    Returns:
        Lower (at least 0) and upper bound, years; NaN where a number is missing, and infinite
        upper bounds if too few faces were calibrated on for so high a level.

    Raises:
        InputError: if level is out of its range, or if spreads are needed and missing.
    """
    check_level(level)
    age = np.asarray(age_pred, dtype=np.float64)
    half = np.broadcast_to(_quantile(calibration[method], level), age.shape)
    if method == "adapted":
        half = half * _scale(age, age_sd, calibration)
    half = np.where(np.isfinite(age), half, np.nan)
    return np.maximum(0.0, age - half), age + half


def check_level(level: float) -> None:
    """Refuse levels that no interval is made for.

    Raises:
        InputError: with what is allowed.
    """
    if not 0 < level <= 1 - STEP + 1e-9:
        raise InputError(f"level={level}: must be above 0 and at most {1 - STEP:g}, such as 0.9")


def with_bounds(
    rows: pd.DataFrame,
    calibration: Calibration | None,
    level: float = LEVEL,
    method: Method = "adapted",
) -> pd.DataFrame:
    """Predictions with age_lo and age_hi, years, rounded as they are; missing if not calibrated."""
    if calibration is None:
        return rows.assign(age_lo=np.nan, age_hi=np.nan)
    low, high = bounds(rows["age_pred"], rows["age_sd"], calibration, level, method)
    return rows.assign(age_lo=low.round(6), age_hi=high.round(6))


def _scale(age: Values, age_sd: npt.ArrayLike | None, calibration: Calibration) -> Values:
    if calibration["scale"] == "age_pred":
        return np.asarray(np.interp(age, calibration["at"], calibration["size"]))
    if age_sd is None:
        raise InputError("these intervals were calibrated with age_sd, which is missing here")
    return np.asarray(age_sd, dtype=np.float64) + A_YEAR


def _quantiles(scores: Values) -> list[float]:
    """The conformal quantile, of ceil((n + 1) level) scores, at each level that n can bear."""
    ranked, n = np.sort(scores), len(scores)
    levels = STEP * np.arange(1, round(1 / STEP))
    rank = np.ceil((n + 1) * levels - 1e-9).astype(int)
    return [float(value) for value in ranked[rank[rank <= n] - 1]]


def _quantile(quantiles: list[float], level: float) -> float:
    """The kept quantile at a level or the next above it; infinite beyond the last."""
    place = int(np.ceil(level / STEP - 1e-9)) - 1
    return quantiles[place] if place < len(quantiles) else float("inf")


def _error_by_age(age: Values, off: Values) -> tuple[Values, Values]:
    """The mean absolute error of bins with equally many faces, against their mean predicted age."""
    bins = max(1, min(BINS, len(age) // FACES_A_BIN))
    parts = np.array_split(np.argsort(age, kind="stable"), bins)
    at = np.array([age[part].mean() for part in parts])
    size = np.array([max(off[part].mean(), A_YEAR) for part in parts])
    return at, size


def _of_other_folds(age: Values, off: Values) -> Values:
    """Each face's expected error, from the folds that it is not in; its own if there are none."""
    if len(age) < 2 * FOLDS:
        return np.interp(age, *_error_by_age(age, off))
    fold = np.random.default_rng(0).permutation(len(age)) % FOLDS
    scale = np.empty_like(age)
    for mine in range(FOLDS):
        others = fold != mine
        scale[~others] = np.interp(age[~others], *_error_by_age(age[others], off[others]))
    return scale
