"""The figures that come first, with intervals and beside a trivial guess."""

import numpy as np
import pandas as pd

from agegender.bootstrap import METRICS, Values, face_metrics, interval, mean, once

YEARS_OFF = np.arange(16)


def guessed(rows: pd.DataFrame, guess: tuple[float, float]) -> pd.DataFrame:
    """The rows as if every face was said to have one age (years) and one p_female (0 to 1)."""
    return rows.assign(age_pred=guess[0], p_female=guess[1])


def headline(rows: pd.DataFrame, weights: Values, guess: tuple[float, float]) -> pd.DataFrame:
    """A row for each of `bootstrap.METRICS`.

    Args:
        rows: N predictions.
        weights: (R, N) resamples.
        guess: what a trivial guess says, as in `guessed`.

    Returns:
        metric, value, lo and hi (95 % interval), trivial.
    """
    draws = face_metrics(rows, weights)
    own = face_metrics(rows, once(len(rows))).iloc[0]
    trivial = face_metrics(guessed(rows, guess), once(len(rows))).iloc[0]
    found = [
        (name, own[name], *interval(draws[name].to_numpy()), trivial[name]) for name in METRICS
    ]
    return pd.DataFrame(found, columns=["metric", "value", "lo", "hi", "trivial"])


def cumulative_scores(
    rows: pd.DataFrame, weights: Values, guess: tuple[float, float]
) -> pd.DataFrame:
    """CS@k, the share of faces at most k years off, for k of 0 to 15.

    Returns:
        k, share, lo and hi (95 % interval), trivial.
    """
    off, trivial = (
        (r["age_pred"] - r["age_years"]).abs().to_numpy()[:, None] <= YEARS_OFF
        for r in (rows, guessed(rows, guess))
    )
    draws = mean(off, weights)
    ends = [interval(draws[:, k]) for k in YEARS_OFF]
    return pd.DataFrame(
        {
            "k": YEARS_OFF,
            "share": off.mean(axis=0),
            "lo": [low for low, _ in ends],
            "hi": [high for _, high in ends],
            "trivial": trivial.mean(axis=0),
        }
    )
