"""A report's sections about accuracy: each its words, tables and figures."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from agegender import figures as common
from agegender.bootstrap import METRICS, SHARES, Values, interval, once
from agegender.intervals import Calibration
from agegender.reports import evaluation_figures as figures
from agegender.reports import groups as grouped
from agegender.reports import headline as first
from agegender.reports.page import picture, pictures, png, table, text, worst


class Evaluation(NamedTuple):
    """What a report is of.

    Attributes:
        rows: predictions of the part, each row with a prediction; with age_lo and age_hi if there
            are intervals.
        val: the same of the validation part, where it is not `rows` itself; may be empty.
        part: the name of the part.
        calibration: of the intervals; None if they came with the predictions, or are not there.
        calibrated: in words, on what.
        level: of the intervals.
        adult: the age that is decided about, years.
        guess: age and p_female that a trivial guess always says.
        guess_of: in words, of which faces that is the median and the majority.
        weights: (R, N) resamples of `rows`.
    """

    rows: pd.DataFrame
    val: pd.DataFrame
    part: str
    calibration: Calibration | None
    calibrated: str
    level: float
    adult: float
    guess: tuple[float, float]
    guess_of: str
    weights: Values


class Section(NamedTuple):
    """A heading, its HTML, and what of it is also written as CSV and PNG."""

    title: str
    body: str
    tables: dict[str, pd.DataFrame]
    figures: dict[str, bytes]


def shown(metric: str, value: float, points: bool = False) -> str:
    """A figure as people read it: years to two decimals, shares in percent.

    Args:
        metric: one of `bootstrap.METRICS`.
        value: of it.
        points: the value is a difference: of shares in percentage points.
    """
    if not np.isfinite(value):
        return "not defined"
    if metric not in SHARES:
        return f"{value:+.2f}" if points else f"{value:.2f}"
    return f"{100 * value:+.1f} points" if points else f"{value:.1%}"


def ranged(metric: str, value: float, low: float, high: float, points: bool = False) -> str:
    """A figure with its interval."""
    if not np.isfinite(value):
        return "not defined"
    ends = (shown(metric, end, points).removesuffix(" points") for end in (low, high))
    return f"{shown(metric, value, points)} ({' to '.join(ends)})"


def headline(of: Evaluation) -> Section:
    """The figures that come first, and the worst news."""
    found = first.headline(of.rows, of.weights, of.guess)
    scores = first.cumulative_scores(of.rows, of.weights, of.guess)
    readable = pd.DataFrame(
        {
            "metric": found["metric"].map(METRICS),
            f"{of.part} part (95 % interval)": [
                ranged(r.metric, r.value, r.lo, r.hi)  # type: ignore[arg-type]
                for r in found.itertuples()
            ],
            "trivial guess": [shown(r.metric, r.trivial) for r in found.itertuples()],  # type: ignore[arg-type]
        }
    )
    drawn = {"cumulative": png(figures.cumulative(scores, len(of.rows)))}
    both = of.rows["gender"].nunique() == 2
    note = "" if both else text("There is one gender only, so what compares two is not defined.")
    says = f"{of.guess[0]:g} years, {common.GENDERS[int(of.guess[1] > 0.5)]}"
    body = (
        table(readable)
        + note
        + text(
            f"{len(of.rows):,} faces. Intervals: 95 %, by {len(of.weights):,} resamples of"
            f" photographs with all their copies. The trivial guess always says {says}: the median"
            f" and the majority of {of.guess_of}.",
            note=True,
        )
        + pictures([(drawn["cumulative"], "cumulative score")])
    )
    return Section("Figures", body, {"headline": found, "cumulative": scores}, drawn)


def groups(of: Evaluation) -> Section:
    """By age, gender and race: the worst first, and what lies between best and worst."""
    found = grouped.by_group(of.rows, of.weights)
    between = grouped.gaps(of.rows, of.weights)
    drawn = {
        f"groups_{metric}": png(figures.groups(found, metric, len(of.rows)))
        for metric in ("age_mae", "gender_acc")
    }
    for factor in [name for name in grouped.factors(of.rows) if name != "age"]:
        drawn[f"age_by_{factor}"] = png(figures.heat(found, factor))
    few = int((~found["judged"]).sum())
    no_race = (
        "" if "race" in grouped.factors(of.rows) else text("Race is not annotated in these faces.")
    )
    body = (
        worst(_worst_news(found, between))
        + no_race
        + pictures([(data, name.replace("_", " ")) for name, data in drawn.items()])
        + text("Largest age errors:")
        + table(_groups_readable(grouped.worst(found, "age_mae")))
        + text("Lowest gender accuracy:")
        + table(_groups_readable(grouped.worst(found, "gender_acc")))
        + (
            text("Between the best and the worst group:") + table(_gaps_readable(between))
            if len(between)
            else ""
        )
        + text(
            f"{few} of {len(found)} groups have fewer than {grouped.FEW} faces and are not judged."
            f" The worst of many groups looks worse than it is: read its interval. All groups"
            f" stand in groups.csv.",
            note=True,
        )
    )
    return Section("Groups", body, {"groups": found, "gaps": between}, drawn)


def _worst_news(found: pd.DataFrame, between: pd.DataFrame) -> list[str]:
    news = []
    for metric, words in (("age_mae", "Age errors are"), ("gender_acc", "Gender is read worst")):
        first_ = grouped.worst(found, metric, 1)
        if first_.empty:
            return [f"No group has {grouped.FEW} faces, so none is judged."]
        row = first_.iloc[0]
        told = ranged(metric, row[metric], row[f"{metric}_lo"], row[f"{metric}_hi"])
        unit = " years on average" if metric == "age_mae" else ""
        largest = " largest" if metric == "age_mae" else ""
        news.append(f"{words}{largest} for {row['group']} (n = {row['n']:,}): {told}{unit}.")
    wrong = between[between["metric"] == "gender_acc"].sort_values("gap").head(1)
    for gap in wrong.itertuples():
        news.append(
            f"Gender accuracy differs most by {gap.by}: {gap.best} {gap.best_value:.1%},"
            f" {gap.worst} {gap.worst_value:.1%}."
        )
    return news


def _groups_readable(chosen: pd.DataFrame) -> pd.DataFrame:
    def cell(row: pd.Series, metric: str) -> str:
        return ranged(metric, row[metric], row[f"{metric}_lo"], row[f"{metric}_hi"])

    rows = [
        {
            "group": row["group"],
            "faces": row["n"],
            "age MAE (years)": cell(row, "age_mae"),
            "mean error (years)": cell(row, "age_bias"),
            "gender accuracy": cell(row, "gender_acc"),
        }
        for _, row in chosen.iterrows()
    ]
    return pd.DataFrame(rows)


def _gaps_readable(between: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {
            "by": r.by,
            "figure": METRICS[str(r.metric)],
            "best": f"{r.best}: {shown(str(r.metric), r.best_value)}",  # type: ignore[arg-type]
            "worst": f"{r.worst}: {shown(str(r.metric), r.worst_value)}",  # type: ignore[arg-type]
            "difference": ranged(str(r.metric), r.gap, r.lo, r.hi, points=True),  # type: ignore[arg-type]
        }
        for r in between.itertuples()
    ]
    return pd.DataFrame(rows)


def against_age(of: Evaluation) -> Section:
    """The error's course with age, true against predicted, and the confusion of genders."""
    curve = grouped.bias_curve(of.rows, of.weights)
    own = float(grouped.slope(of.rows, once(len(of.rows)))[0])
    low, high = interval(grouped.slope(of.rows, of.weights))
    drawn = {
        "bias": png(figures.bias(curve, (own, low, high))),
        "gender": png(common.confusion(of.rows, of.part)),
        "age": png(common.age_scatter(of.rows, of.part)),
    }
    if np.isfinite(own):
        told = (
            f"For each year of annotated age, {own:.2f} years are predicted (95 % interval"
            f" {low:.2f} to {high:.2f}): 1 would be no regression to the mean. Below 1, the young"
            f" are called too old and the old too young."
        )
    else:
        told = "All annotated ages are the same, so there is no course of the error with age."
    body = (
        text(told)
        + pictures([(drawn["bias"], "mean error against age"), (drawn["gender"], "confusion")])
        + picture(drawn["age"], "predicted against annotated age")
    )
    return Section("Error against age", body, {"bias": curve}, drawn)
