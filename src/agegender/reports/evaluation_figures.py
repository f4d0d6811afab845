"""Figures of how well a network does, and on whom; each readable on a phone."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agegender.figures import FEMALE, MALE, TRAIN, VAL, bare

SIZE = (5.6, 4.1)  # inches: side by side on a desk, one below another on a phone
INK, GUESS = "#1d2430", TRAIN
METRICS = {"age_mae": ("age MAE (years)", MALE), "gender_acc": ("gender accuracy", FEMALE)}


def one(title: str, x: str, y: str, height: float = SIZE[1]) -> tuple[Figure, Axes]:
    """An empty figure with one panel."""
    with rc_context({"font.size": 10.5, "axes.titlesize": 11}):
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        axes = figure.subplots()
        axes.set(title=title, xlabel=x, ylabel=y)
    bare(axes)
    return figure, axes


def whiskers(rows: pd.DataFrame, value: str, prefix: str = "") -> npt.NDArray[np.float64]:
    """(2, N) lengths from a value to the ends of its interval, the columns lo and hi."""
    middle = rows[value].to_numpy(float)
    low, high = (rows[f"{prefix}{end}"].to_numpy(float) for end in ("lo", "hi"))
    lengths: npt.NDArray[np.float64] = np.nan_to_num(np.stack([middle - low, high - middle]))
    return np.maximum(lengths, 0.0)


def cumulative(table: pd.DataFrame, n: int) -> Figure:
    """CS@k against k, from `headline.cumulative_scores`."""
    figure, axes = one(f"Cumulative score (n = {n:,})", "k (years)", "share at most k years off")
    axes.fill_between(table["k"], table["lo"], table["hi"], color=MALE, alpha=0.25, linewidth=0)
    axes.plot(table["k"], table["share"], color=MALE, marker="o", markersize=4, label="network")
    axes.plot(table["k"], table["trivial"], color=GUESS, linestyle="--", label="trivial guess")
    at_5 = table[table["k"] == 5].iloc[0]
    axes.annotate(f"CS@5 {at_5['share']:.1%}", (5, at_5["share"]), (10, -14),
                  textcoords="offset points")  # fmt: skip
    axes.set(ylim=(0, 1), xlim=(0, table["k"].max()))
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(frameon=False, loc="lower right")
    return figure


def groups(table: pd.DataFrame, metric: str, n: int) -> Figure:
    """A dot and its 95 % interval for each group of one factor, from `groups.by_group`."""
    name, colour = METRICS[metric]
    shown = table[table["by"].isin(["age", "gender", "race"])].iloc[::-1].reset_index(drop=True)
    figure, axes = one(f"{name} by group (n = {n:,})", name, "", 0.26 * len(shown) + 1.2)
    whole = float(table.loc[table["by"] == "all", metric].iloc[0])
    told = f"{whole:.1%}" if metric == "gender_acc" else f"{whole:.2f}"
    axes.axvline(whole, color=INK, linewidth=0.9, linestyle="--", label=f"all: {told}")
    for judged, alpha in ((True, 1.0), (False, 0.35)):
        mine = shown[shown["judged"] == judged]
        if mine.empty:
            continue
        ends = whiskers(mine, metric, f"{metric}_")
        label = None if judged else "too few faces to judge"
        axes.errorbar(mine[metric], mine.index, xerr=ends, fmt="o", color=colour,
                      alpha=alpha, markersize=4, capsize=2, label=label)  # fmt: skip
    names = [f"{row.group} (n = {row.n:,})" for row in shown.itertuples()]
    axes.set_yticks(range(len(shown)), names)
    axes.tick_params(axis="y", labelsize=9)
    for place in np.flatnonzero(shown["by"] != shown["by"].shift())[1:]:
        axes.axhline(place - 0.5, color="#dfe3e8", linewidth=0.8)
    axes.legend(frameon=False, fontsize=8.5, loc="best")
    if metric == "gender_acc":
        axes.xaxis.set_major_formatter("{x:.0%}")
    return figure


def bias(curve: pd.DataFrame, slope: tuple[float, float, float]) -> Figure:
    """Mean error against annotated age, from `groups.bias_curve`."""
    figure, axes = one(
        f"Error against age: {slope[0]:.2f} years predicted for each annotated",
        "annotated age (years, in fives)", "predicted - annotated (years)",
    )  # fmt: skip
    few = curve["n"] < 10
    axes.axhline(0, color=INK, linewidth=0.9)
    axes.fill_between(curve["age"], curve["lo"], curve["hi"], where=~few, color=MALE, alpha=0.25,
                      linewidth=0)  # fmt: skip
    axes.plot(curve["age"].where(~few), curve["bias"].where(~few), color=MALE, marker="o",
              markersize=4, label="mean error, 95 % interval")  # fmt: skip
    if few.any():
        axes.plot(curve["age"][few], curve["bias"][few], "o", color=MALE, markerfacecolor="white",
                  markersize=4, label="fewer than 10 faces")  # fmt: skip
    axes.plot(curve["age"], curve["mae"], color=FEMALE, linestyle="--", label="MAE")
    axes.legend(frameon=False, fontsize=9)
    return figure


def heat(table: pd.DataFrame, factor: str) -> Figure:
    """MAE of age by decade (rows) and another factor (columns), with n; from `groups.by_group`."""
    cells = table[(table["by"] == f"age x {factor}")]
    ages = list(dict.fromkeys(cells["age"]))
    names = list(dict.fromkeys(table.loc[table["by"] == factor, factor]))
    mae, n = (
        cells.pivot_table(index="age", columns=factor, values=value).reindex(ages)[names]
        for value in ("age_mae", "n")
    )
    figure, axes = one(f"age MAE (years) by age and {factor}", "", "annotated age (years)")
    axes.grid(visible=False)
    shown = mae.where(n >= 30).to_numpy(dtype=float)
    top = np.nanmax(shown) if np.isfinite(shown).any() else 1.0
    axes.imshow(shown, cmap="Oranges", vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(mae.to_numpy(dtype=float)):
        if not np.isfinite(value):
            continue
        judged = np.isfinite(shown[row, column])
        dark = judged and shown[row, column] > 0.6 * top
        colour = "white" if dark else INK if judged else "#8a94a0"
        count = int(n.to_numpy()[row, column])
        text = f"{value:.1f}\nn = {count:,}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7.5)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(ages)), ages)
    return figure


def coverage(table: pd.DataFrame, level: float) -> Figure:
    """Coverage of each group beside what was promised, from `coverage.coverage`."""
    shown = table[table["by"] != "all"].iloc[::-1].reset_index(drop=True)
    figure, axes = one(
        f"Share of annotated ages within their {level:.0%} interval", "coverage", "",
        0.26 * len(shown) + 1.2,
    )  # fmt: skip
    axes.axvline(level, color=INK, linewidth=0.9, linestyle="--", label=f"promised: {level:.0%}")
    kinds = (
        ("holds", shown["judged"] & ~shown["misses"], VAL, 1.0, "o"),
        ("misses", shown["misses"], FEMALE, 1.0, "D"),
        ("too few faces to judge", ~shown["judged"], TRAIN, 0.6, "o"),
    )
    for label, chosen, colour, alpha, marker in kinds:
        mine = shown[chosen]
        if len(mine):
            ends = whiskers(mine, "coverage")
            axes.errorbar(mine["coverage"], mine.index, xerr=ends, fmt=marker, color=colour,
                          alpha=alpha, markersize=4, capsize=2, label=label)  # fmt: skip
    names = [
        f"{'said ' if row.by == 'predicted age' else ''}{row.group}, n = {row.n:,}"
        for row in shown.itertuples()
    ]
    axes.set_yticks(range(len(shown)), names)
    axes.tick_params(axis="y", labelsize=8.5)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.legend(frameon=False, fontsize=8.5, loc="lower left")
    return figure


def recuts(table: pd.DataFrame, level: float, real: dict[str, float]) -> Figure:
    """Coverage of each re-cut, from `coverage.recut`, and of the real cut, by method."""
    figure, axes = one(
        f"Coverage after {table['cut'].nunique()} re-cuts of validation and test", "",
        "coverage of all checked faces",
    )  # fmt: skip
    for place, (method, mine) in enumerate(table.groupby("intervals")):
        jitter = place + np.linspace(-0.18, 0.18, len(mine))
        axes.plot(jitter, mine["coverage"], "o", color=MALE, alpha=0.6, markersize=5,
                  label="a re-cut" if not place else None)  # fmt: skip
        axes.plot([place - 0.3, place + 0.3], [mine["coverage"].mean()] * 2, color=MALE,
                  label="their mean" if not place else None)  # fmt: skip
        axes.plot(place, real[str(method)], "D", color=FEMALE, markersize=8,
                  label="the real cut" if not place else None)  # fmt: skip
    names = sorted(set(table["intervals"]))
    axes.axhline(level, color=INK, linewidth=0.9, linestyle="--", label=f"promised: {level:.0%}")
    axes.set_xticks(range(len(names)), names)
    axes.yaxis.set_major_formatter("{x:.1%}")
    axes.legend(frameon=False, fontsize=8.5)
    return figure


def widths(rows: pd.DataFrame, plain_width: float, level: float) -> Figure:
    """How wide adapted intervals are, against the predicted age; rows have age_lo and age_hi."""
    figure, axes = one(f"Width of {level:.0%} intervals", "predicted age (years)", "width (years)")
    width: npt.NDArray[np.float64] = (rows["age_hi"] - rows["age_lo"]).to_numpy()
    axes.scatter(rows["age_pred"], width, s=5, color=MALE, alpha=0.25, linewidths=0)
    place = (rows["age_pred"] // 5 * 5 + 2.5).rename("age")
    middle = pd.Series(width, index=rows.index).groupby(place).agg(["median", "size"])
    middle = middle[middle["size"] >= 10]
    axes.plot(middle.index, middle["median"], color=INK, label="median, adapted")
    axes.axhline(plain_width, color=FEMALE, linestyle="--", label="plain, before the cut at 0")
    axes.set_ylim(0, None)
    axes.legend(frameon=False, fontsize=9)
    return figure
