"""What it costs to decide by a predicted age, and to answer for the surest faces only."""

import numpy as np
import pandas as pd

from agegender.bootstrap import Values, interval, mean

ADULT = 18.0
WANTED = (0.1, 0.05, 0.02, 0.01)  # false-adult rates
NEAR = 5  # years: minors so near to the limit are told apart, since young children are easy
SHARES = tuple(np.arange(100, 0, -5) / 100)


def decision_rates(rows: pd.DataFrame, adult: float, thresholds: Values) -> pd.DataFrame:
    """Errors of "at least `adult` years old", said where the predicted age reaches a threshold.

    Returns:
        threshold (years), false_adult (share of annotated minors called adults), near (the same of
        minors at most `NEAR` years too young), false_minor (share of annotated adults called
        minors); NaN where there is nobody of the kind.
    """
    said = rows["age_pred"].to_numpy()[None, :] >= np.asarray(thresholds)[:, None]
    true = rows["age_years"].to_numpy()
    minor, near = true < adult, (true < adult) & (true >= adult - NEAR)
    return pd.DataFrame(
        {
            "threshold": thresholds,
            "false_adult": _share(said[:, minor]),
            "near": _share(said[:, near]),
            "false_minor": _share(~said[:, ~minor]),
        }
    )


def _share(said: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> Values:
    return said.mean(axis=1) if said.shape[1] else np.full(len(said), np.nan)


def thresholds(chosen_on: pd.DataFrame, adult: float) -> pd.DataFrame:
    """The lowest threshold that keeps each of the `WANTED` false-adult rates on some faces.

    In tenths of a year, so that what is shown is what was meant.

    Returns:
        wanted and threshold (years); no rows if none of the faces is a minor.
    """
    minors = chosen_on.loc[chosen_on["age_years"] < adult, "age_pred"].to_numpy()
    if not len(minors):
        return pd.DataFrame(columns=["wanted", "threshold"])
    ranked = np.sort(minors)[::-1]
    # just above the minor who looks oldest but k, at most k are called adults
    places = [int(np.floor(wanted * len(minors) + 1e-9)) for wanted in WANTED]
    tenths = [10 * ranked[min(k, len(ranked) - 1)] for k in places]
    found = [float(np.floor(age + 1e-4) + 1) / 10 for age in tenths]  # 25.69999999 is 25.7
    return pd.DataFrame({"wanted": WANTED, "threshold": found})


def operating_points(
    chosen_on: pd.DataFrame, rows: pd.DataFrame, weights: Values, adult: float
) -> pd.DataFrame:
    """Thresholds chosen on some faces, and the rates that they have on others.

    Returns:
        `thresholds` with the columns of `decision_rates`, false_adult and false_minor with the
        ends of their 95 % intervals.
    """
    table = thresholds(chosen_on, adult)
    if table.empty:
        return table
    limits = table["threshold"].to_numpy(np.float64)
    table = table.assign(**decision_rates(rows, adult, limits))
    minor = (rows["age_years"] < adult).to_numpy()
    for name, mine in (("false_adult", minor), ("false_minor", ~minor)):
        called = (rows["age_pred"].to_numpy()[:, None] >= limits) == (name == "false_adult")
        draws = mean(called[mine], weights[:, mine])
        ends = np.array([interval(draws[:, k]) for k in range(len(limits))])
        table[f"{name}_lo"], table[f"{name}_hi"] = ends.T
    return table


def selective(rows: pd.DataFrame, width: pd.Series | None) -> pd.DataFrame:
    """Errors when only the surest faces are answered: for age and for gender apart.

    Args:
        rows: predictions.
        width: of each face's interval, years: the narrower the surer. None leaves age out.

    Returns:
        share (of faces answered), n, and of the surest so many age_mae, age_cs5 and gender_acc.
    """
    off = (rows["age_pred"] - rows["age_years"]).abs()
    right = (rows["p_female"] > 0.5) == (rows["gender"] == 1)
    unsure = (0.5 - (rows["p_female"] - 0.5).abs()).sort_values(kind="stable").index
    by_age = None if width is None else width.sort_values(kind="stable").index
    found = []
    for share in SHARES:
        n = max(1, round(share * len(rows)))
        row = {"share": share, "n": n, "gender_acc": right.loc[unsure[:n]].mean()}
        if by_age is not None:
            mine = off.loc[by_age[:n]]
            row |= {"age_mae": mine.mean(), "age_cs5": (mine <= 5).mean()}
        found.append(row)
    return pd.DataFrame(found)
