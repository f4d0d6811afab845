"""Whether intervals of age hold the share of faces that they promise."""

import numpy as np
import pandas as pd

from agegender import intervals
from agegender.bootstrap import Values, interval, mean
from agegender.intervals import Calibration, Method, with_bounds
from agegender.reports.data_tables import labelled
from agegender.reports.groups import FEW, factors, members

METHODS: tuple[Method, ...] = ("adapted", "plain")
LEVELS = (0.5, 0.8, 0.9, 0.95)
CUTS = 20


def coverage(bounded: pd.DataFrame, weights: Values, level: float) -> pd.DataFrame:
    """Coverage and width of the intervals of all faces and of groups.

    Args:
        bounded: N rows with age_years, age_pred, age_lo and age_hi.
        weights: (R, N) resamples.
        level: the share that was promised.

    Returns:
        by ("all", "age", "gender", "race", "predicted age"), group, n, judged, coverage with lo
        and hi (95 % interval), width (mean, years), below and above (shares of annotated ages
        under and over their interval) and misses: whether the group is judged and the
        interval of its coverage does not hold the level.
    """
    true = bounded["age_years"].to_numpy()
    below, above = true < bounded["age_lo"].to_numpy(), true > bounded["age_hi"].to_numpy()
    width = (bounded["age_hi"] - bounded["age_lo"]).to_numpy()
    named = labelled(bounded)
    said = labelled(bounded.assign(age_years=bounded["age_pred"].clip(lower=0)))
    cuts = [("all", named, ()), *((name, named, (name,)) for name in factors(bounded))]
    cuts.append(("predicted age", said, ("age",)))
    found = []
    for by, table, cut in cuts:
        for key, place in members(table, cut):
            inside = ~(below | above)[place]
            low, high = interval(mean(inside, weights[:, place]))
            judged = len(place) >= FEW
            found.append(
                {
                    "by": by, "group": ", ".join(key) or "all", "n": len(place), "judged": judged,
                    "coverage": inside.mean(), "lo": low, "hi": high,
                    "width": width[place].mean(), "below": below[place].mean(),
                    "above": above[place].mean(), "misses": judged and not low <= level <= high,
                }
            )  # fmt: skip
    return pd.DataFrame(found)


def by_level(
    rows: pd.DataFrame, weights: Values, calibration: Calibration, level: float
) -> pd.DataFrame:
    """Coverage and mean width of all faces, at several levels and by both methods."""
    found = []
    for wanted in sorted({*LEVELS, level}):
        for method in METHODS:
            bounded = with_bounds(rows, calibration, wanted, method)
            whole = coverage(bounded, weights, wanted).iloc[0]
            width = (bounded["age_hi"] - bounded["age_lo"]).median()
            found.append(
                {"level": wanted, "intervals": method, "coverage": whole["coverage"],
                 "lo": whole["lo"], "hi": whole["hi"], "mean_width": whole["width"],
                 "median_width": width}
            )  # fmt: skip
    return pd.DataFrame(found)


def recut(val: pd.DataFrame, test: pd.DataFrame, level: float, cuts: int = CUTS) -> pd.DataFrame:
    """Coverage when validation and test faces are dealt anew, groups kept together.

    Intervals are calibrated on one side and checked on the other, each side with as many groups
    as it really has.

    Returns:
        A row a cut and method: cut, intervals, calibrated_on, checked_on (faces), coverage, width.
    """
    pooled = pd.concat([val, test], ignore_index=True)
    group, names = pd.factorize(pooled["group_id"])
    n_val = val["group_id"].nunique()
    found = []
    for cut in range(cuts):
        chosen = np.random.default_rng(cut).permutation(len(names))[:n_val]
        mine = np.isin(group, chosen)
        calibration, others = intervals.calibrate(pooled[mine]), pooled[~mine]
        for method in METHODS:
            bounded = with_bounds(others, calibration, level, method)
            inside = bounded["age_years"].between(bounded["age_lo"], bounded["age_hi"])
            width = (bounded["age_hi"] - bounded["age_lo"]).mean()
            found.append((cut, method, mine.sum(), len(others), inside.mean(), width))
    columns = ["cut", "intervals", "calibrated_on", "checked_on", "coverage", "width"]
    return pd.DataFrame(found, columns=columns)
