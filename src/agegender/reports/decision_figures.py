"""Figures for those who decide by a prediction: probabilities, thresholds, disturbances."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agegender.figures import FEMALE, MALE, TRAIN, VAL
from agegender.reports.evaluation_figures import INK, one, whiskers


def reliability(curves: dict[str, pd.DataFrame], errors: list[float]) -> Figure:
    """Share of annotated females against p_female, from `calibration.reliability`.

    Args:
        curves: one or two, by name; the bars are of the first.
        errors: the expected calibration error of each.
    """
    before = next(iter(curves.values()))
    n = int(before["n"].sum())
    figure, axes = one(f"Does p_female mean what it says? (n = {n:,})",
                       "mean p_female of a bin", "share annotated female")  # fmt: skip
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.9, linestyle="--", label="as it should be")
    for (name, table), error, colour in zip(curves.items(), errors, (MALE, FEMALE), strict=False):
        axes.plot(table["said"], table["share"], color=colour, marker="o", markersize=4,
                  label=f"{name}: ECE {error:.1%}")  # fmt: skip
    height = 0.14 * before["n"] / before["n"].max()
    axes.bar(before["low"], height, before["high"] - before["low"], align="edge", color=TRAIN,
             alpha=0.35)  # fmt: skip
    axes.text(0.5, 0.03, "bars: how many faces", ha="center", fontsize=8.5, color="#5b6675")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def thresholds(table: pd.DataFrame, adult: float, n: tuple[int, int]) -> Figure:
    """False-adult and false-minor rates against the threshold, from `operating.decision_rates`."""
    figure, axes = one(
        f"At least {adult:g} years? {n[0]:,} minors, {n[1]:,} adults",
        "called adult from this predicted age on (years)", "share called wrongly",
    )  # fmt: skip
    axes.plot(table["threshold"], table["false_adult"], color=FEMALE, label="minors called adults")
    axes.plot(table["threshold"], table["near"], color=FEMALE, linestyle=":",
              label="of these, at most 5 years too young")  # fmt: skip
    axes.plot(table["threshold"], table["false_minor"], color=MALE, linestyle="--",
              label="adults called minors")  # fmt: skip
    axes.axvline(adult, ymax=1 / 1.35, color=INK, linewidth=0.9)
    axes.set(ylim=(0, 1.35), yticks=np.arange(0, 1.1, 0.2))  # room for the legend
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    return figure


def selective(table: pd.DataFrame, metric: str) -> Figure:
    """Error against the share of faces answered, from `operating.selective`."""
    name, colour = {"age_mae": ("age MAE (years)", MALE), "gender_acc": ("gender error", FEMALE)}[
        metric
    ]
    values = 1 - table[metric] if metric == "gender_acc" else table[metric]
    whole = float(values.iloc[0])
    figure, axes = one("Answering only for the surest faces", "share of faces answered", name, 3.6)
    axes.plot(table["share"], values, color=colour, marker="o", markersize=3)
    shown = f"{whole:.1%}" if metric == "gender_acc" else f"{whole:.2f} years"
    axes.axhline(whole, color=TRAIN, linestyle="--", label=f"all faces: {shown}")
    axes.set(xlim=(1, 0), ylim=(0, None))
    axes.xaxis.set_major_formatter("{x:.0%}")
    if metric == "gender_acc":
        axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(frameon=False, fontsize=9)
    return figure


def disturbed(table: pd.DataFrame, name: str, top: float) -> Figure:
    """MAE and accuracy against how strongly faces are disturbed in one way.

    Args:
        table: the rows of one disturbance, as `agegender.robustness.measure` gives them.
        name: of the disturbance.
        top: of the axis of MAE, years.
    """
    unit = str(table["unit"].iloc[0])
    figure, left = one(name, unit, "age MAE (years)", 3.3)
    right = left.twinx()
    right.spines[["top"]].set_visible(False)
    named = [f"{row.strength:g}" for row in table.itertuples()]
    place = np.arange(len(table))
    left.plot(place, table["age_mae"], color=MALE, marker="o", markersize=4)
    right.plot(place, table["gender_acc"], color=FEMALE, marker="s", markersize=4, linestyle="--")
    clean = np.flatnonzero(table["clean"])
    left.plot(clean, table["age_mae"].iloc[clean], "o", color=INK, markersize=9,
              markerfacecolor="none", label="clean")  # fmt: skip
    left.set_xticks(place, named)
    left.set_ylim(0, top)
    right.set_ylim(0.45, 1.0)
    right.yaxis.set_major_formatter("{x:.0%}")
    left.yaxis.label.set_color(MALE)
    right.set_ylabel("gender accuracy", color=FEMALE, fontsize=10.5)
    left.legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def differences(table: pd.DataFrame, metric: str, names: list[str]) -> Figure:
    """Differences to the first run by group with 95 % intervals, from `comparison.by_group`."""
    shown = table[table["metric"] == metric]
    label = {"age_mae": "age MAE (years)", "gender_acc": "gender accuracy"}[metric]
    keys = list(dict.fromkeys(shown["group"]))[::-1]
    figure, axes = one(f"{label}: difference to {names[0]}", "difference, 95 % interval", "",
                       0.32 * len(keys) + 1.4)  # fmt: skip
    colours = [MALE, FEMALE, VAL, "#CC79A7", "#E69F00", "#56B4E9"]
    others = names[1:]
    for k, name in enumerate(others):
        mine = shown[shown["run"] == name].set_index("group").reindex(keys)
        place = np.arange(len(keys)) + 0.24 * (k - (len(others) - 1) / 2)
        ends = whiskers(mine, "difference")
        axes.errorbar(mine["difference"], place, xerr=ends, fmt="o", markersize=4,
                      capsize=2, color=colours[k % len(colours)], label=name)  # fmt: skip
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_yticks(range(len(keys)), keys)
    axes.tick_params(axis="y", labelsize=8.5)
    if metric == "gender_acc":
        axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f}")
        axes.set_xlabel("difference (percentage points), 95 % interval")
    figure.legend(frameon=False, fontsize=8.5, loc="outside lower center")
    return figure
