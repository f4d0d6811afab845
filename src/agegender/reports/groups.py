"""Where a network fails: figures by age, gender and race, the worst first."""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.bootstrap import Values, face_metrics, interval, mean, ratio
from agegender.reports.data_tables import labelled

FACTORS = {"age": "decade", "gender": "gender_name", "race": "race_name"}
FEW = 30  # faces below which a group is not judged
YEARS = 5  # width of a bin of the bias curve


def factors(rows: pd.DataFrame) -> list[str]:
    """Those of age, gender and race that are annotated at all."""
    return [name for name in FACTORS if name != "race" or rows["race"].notna().any()]


def by_group(rows: pd.DataFrame, weights: Values) -> pd.DataFrame:
    """A row a group: all faces, then by each factor, each two of them and all three.

    Args:
        rows: N predictions, without gaps in age_pred and p_female.
        weights: (R, N) resamples.

    Returns:
        by ("all", "age", "age x gender", ...), group (a name), age, gender, race ("" where the
        group is not cut by it), n, judged (at least `FEW` faces), and age_mae, age_bias (years)
        and gender_acc, each with the ends of its 95 % interval.
    """
    named = labelled(rows)
    error = (rows["age_pred"] - rows["age_years"]).to_numpy(np.float64)
    right = ((rows["p_female"] > 0.5) == (rows["gender"] == 1)).to_numpy(np.float64)
    values = np.stack([np.abs(error), error, right], axis=1)
    there = factors(rows)
    cuts = [cut for size in range(len(there) + 1) for cut in combinations(there, size)]
    found = []
    for cut in cuts:
        for key, place in members(named, cut):
            cells = dict(zip(cut, key, strict=True))
            row = {
                "by": " x ".join(cut) or "all",
                "group": ", ".join(key) or "all",
                **{name: cells.get(name, "") for name in FACTORS},
                "n": len(place),
                "judged": len(place) >= FEW,
            }
            draws = mean(values[place], weights[:, place])
            for k, name in enumerate(("age_mae", "age_bias", "gender_acc")):
                low, high = interval(draws[:, k])
                row |= {name: values[place, k].mean(), f"{name}_lo": low, f"{name}_hi": high}
            found.append(row)
    return pd.DataFrame(found)


def members(
    named: pd.DataFrame, cut: tuple[str, ...]
) -> list[tuple[tuple[str, ...], npt.NDArray[np.intp]]]:
    """The groups of a cut that have faces: their names, and the positions of their faces."""
    columns = [FACTORS[name] for name in cut]
    if not columns:
        return [((), np.arange(len(named)))]
    found = named.groupby(columns, observed=True).indices
    keys = sorted(found, key=_in_order)
    return [
        (tuple(map(str, key if isinstance(key, tuple) else (key,))), np.asarray(found[key]))
        for key in keys
    ]


def _in_order(key: object) -> tuple[tuple[int, str], ...]:
    """Decades by their first year, other names as they are."""
    names = key if isinstance(key, tuple) else (key,)
    start = [str(name).rstrip("+").split("-")[0] for name in names]
    return tuple((int(s) if s.isdigit() else 0, s) for s in start)


def gaps(rows: pd.DataFrame, weights: Values) -> pd.DataFrame:
    """Of each factor and metric: the best and the worst judged group, and what lies between.

    Returns:
        by, metric, best, best_value, worst, worst_value, gap with lo and hi: the 95 % interval of
        the difference between these two groups, chosen as they are.
    """
    named, found = labelled(rows), []
    for factor in factors(rows):
        draws, own = {}, {}
        for (name,), place in members(named, (factor,)):
            if len(place) >= FEW:
                mine = rows.iloc[place]
                draws[name] = face_metrics(mine, weights[:, place])
                own[name] = face_metrics(mine, np.ones((1, len(place)))).iloc[0]
        if len(own) < 2:
            continue
        for metric, ascending in (("age_mae", True), ("gender_acc", False)):
            order = sorted(own, key=lambda k, m=metric: own[k][m], reverse=not ascending)  # type: ignore[misc]
            best, worst = order[0], order[-1]
            low, high = interval((draws[worst][metric] - draws[best][metric]).to_numpy())
            found.append(
                {
                    "by": factor, "metric": metric,
                    "best": best, "best_value": own[best][metric],
                    "worst": worst, "worst_value": own[worst][metric],
                    "gap": own[worst][metric] - own[best][metric], "lo": low, "hi": high,
                }
            )  # fmt: skip
    columns = ["by", "metric", "best", "best_value", "worst", "worst_value", "gap", "lo", "hi"]
    return pd.DataFrame(found, columns=columns)


def worst(table: pd.DataFrame, metric: str, most: int = 10) -> pd.DataFrame:
    """The judged groups of a `by_group` table that do worst, worst first."""
    judged = table[table["judged"] & (table["by"] != "all")]
    return judged.sort_values(metric, ascending=metric == "gender_acc", kind="stable").head(most)


def bias_curve(rows: pd.DataFrame, weights: Values) -> pd.DataFrame:
    """A row for each `YEARS` years of annotated age that have faces.

    Returns:
        age (the bin's middle), n, bias (years, predicted - annotated), lo, hi, mae.
    """
    error = (rows["age_pred"] - rows["age_years"]).to_numpy(np.float64)
    place = (rows["age_years"] // YEARS).to_numpy(int)
    found = []
    for bin_ in np.unique(place):
        mine = np.flatnonzero(place == bin_)
        low, high = interval(mean(error[mine], weights[:, mine]))
        off = error[mine]
        found.append((YEARS * (bin_ + 0.5), len(mine), off.mean(), low, high, np.abs(off).mean()))
    return pd.DataFrame(found, columns=["age", "n", "bias", "lo", "hi", "mae"])


def slope(rows: pd.DataFrame, weights: Values) -> Values:
    """(R,) least-squares slopes of predicted on annotated age.

    1 means no regression to the mean, 0 that all ages are predicted alike; NaN if all annotated
    ages are the same.
    """
    true, said = (rows[name].to_numpy(np.float64) for name in ("age_years", "age_pred"))
    true, said = true - true.mean(), said - said.mean()  # so that float32 weights lose nothing
    products = mean(np.stack([true, said, true * said, true**2], axis=1), weights)
    t, s, ts, tt = products.T
    return ratio(ts - t * s, tt - t**2)
