"""A sweep summed up: what varied against what came out of it."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agegender.data.files import whole_file
from agegender.sweeps.records import Trial, read_trials

METRICS = {
    "val/age_mae": "val age MAE",
    "val/gender_acc": "val gender accuracy",
    "test/age_mae": "test age MAE",
    "test/gender_acc": "test gender accuracy",
}
COSTS = ("epochs", "cpu_minutes", "wall_minutes")
SEED = "seed"
DOT, MEAN = "#0072B2", "#D55E00"


def trials_table(trials: list[Trial]) -> pd.DataFrame:
    """A row a trial.

    Returns:
        The columns trial (its folder's name), what the sweep varies, status, the metrics of the
        best checkpoint (`METRICS`; missing where there are none), `COSTS`, reason, command.
    """
    rows = []
    for trial in trials:
        metrics = trial.metrics() or {}
        scores = {
            name: metrics.get(part, {}).get(metric)
            for name, (part, metric) in ((name, name.split("/")) for name in METRICS)
        }
        costs = {name: metrics.get("run", {}).get(name) for name in COSTS}
        rows.append(
            {
                "trial": trial.folder.name,
                **trial.choices,
                "status": trial.status,
                **scores,
                **costs,
                "reason": trial.reason,
                "command": trial.command,
            }
        )
    table = pd.DataFrame(rows)
    table[[*METRICS, *COSTS]] = table[[*METRICS, *COSTS]].astype(float)
    return table


def varied_keys(trials: list[Trial]) -> list[str]:
    """What the sweep varies, in the order it was said."""
    return list(dict.fromkeys(key for trial in trials for key in trial.choices))


def over_seeds(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean and standard deviation of the finished trials that differ in their seed alone.

    Args:
        table: as of `trials_table`.
        keys: what varies.

    Returns:
        A row a combination of the other choices: these, n, and NAME and NAME_sd of `METRICS` and
        of cpu_minutes; the best age MAE on validation first.
    """
    others = [key for key in keys if key != SEED]
    done = table[table["status"] == "finished"]
    rows = []
    groups = done.groupby(others, sort=False, dropna=False) if others else [((), done)]
    for values, mine in groups if len(done) else ():
        row = dict(zip(others, values, strict=True)) | {"n": len(mine)}
        for name in (*METRICS, "cpu_minutes"):
            row |= {name: mine[name].mean(), f"{name}_sd": mine[name].std()}
        rows.append(row)
    columns = [*others, "n", *(f"{m}{s}" for m in (*METRICS, "cpu_minutes") for s in ("", "_sd"))]
    return pd.DataFrame(rows, columns=columns).sort_values("val/age_mae", ignore_index=True)


def best_trial(trials: list[Trial]) -> Trial | None:
    """The finished trial that validates best by the metric it was told to monitor."""
    scored = []
    for trial in trials:
        metrics = trial.metrics()
        value = metrics["run"].get("monitored", math.nan) if metrics else math.nan
        if not math.isnan(value):
            scored.append((value if trial.mode == "min" else -value, trial))
    return min(scored, key=lambda pair: pair[0])[1] if scored else None


def summarize(sweep: Path) -> str:
    """Write `trials.csv`, `summary.csv` and `summary.png` into a sweep's folder.

    Returns:
        The same for the terminal: every trial, means over seeds, the best trial's command.

    Raises:
        InputError: if the folder holds no trials.
    """
    trials = read_trials(sweep)
    table, keys = trials_table(trials), varied_keys(trials)
    means = over_seeds(table, keys)
    for name, rows in (("trials", table), ("summary", means)):
        with whole_file(sweep / f"{name}.csv") as temporary:
            rows.round(6).to_csv(temporary, index=False)
    lines = [_told(table, ["trial", "status", *METRICS, "cpu_minutes"])]
    if SEED in keys and not means.empty:
        lines += ["", "mean ± standard deviation over seeds:", _told_means(means, keys)]
    for trial in trials:
        if trial.status == "failed":
            lines.append(f"failed: {trial.folder.name}: {trial.reason}")
    if not means.empty:
        with whole_file(sweep / "summary.png") as temporary:
            summary_figure(table, keys).savefig(temporary, format="png", dpi=120)
    best = best_trial(trials)
    if best:
        lines += ["", f"best by {best.monitor}, a single run: {best.folder.name}"]
        lines.append(f"  {best.command}")
    lines += [
        f"tables and figure: {sweep}/trials.csv, summary.csv"
        + (", summary.png" if not means.empty else ""),
        f"TensorBoard:       tensorboard --logdir {sweep}",
    ]
    return "\n".join(lines)


def mean_and_spread(mean: float, sd: float, form: str) -> str:
    """`6.36 ± 0.07`; the mean alone of a single run, `-` of none."""
    if math.isnan(mean):
        return "-"
    return form.format(mean) + ("" if math.isnan(sd) else f" ± {form.format(sd)}")


def _told(table: pd.DataFrame, columns: list[str]) -> str:
    shown = table[columns].rename(columns=METRICS).rename(columns={"cpu_minutes": "CPU min"})
    for name in shown.select_dtypes("number"):
        form = "{:.1%}" if "accuracy" in str(name) else "{:.2f}"
        shown[name] = [form.format(v) if pd.notna(v) else "-" for v in shown[name]]
    return str(shown.to_string(index=False))


def _told_means(means: pd.DataFrame, keys: list[str]) -> str:
    shown = means[[key for key in keys if key != SEED]].copy()
    shown["n"] = means["n"]
    for name, title in METRICS.items():
        form = "{:.1%}" if "acc" in name else "{:.2f}"
        shown[title] = [
            mean_and_spread(*pair, form)
            for pair in zip(means[name], means[f"{name}_sd"], strict=True)
        ]
    return str(shown.to_string(index=False))


def summary_figure(table: pd.DataFrame, keys: list[str]) -> Figure:
    """A column of panels for each key that varies: its values against age MAE and gender accuracy.

    Every dot is a trial; a bar is the mean of the trials that share a value.

    Args:
        table: as of `trials_table`, at least one trial finished.
        keys: what varies.
    """
    shown = [key for key in keys if key != SEED or len(keys) == 1] or [SEED]
    done = table[table["status"] == "finished"].copy()
    if SEED not in done:
        done[SEED] = "1"
    figure = Figure(figsize=(max(4.0, 2.9 * len(shown)), 5.6), layout="constrained")
    panels = figure.subplots(2, len(shown), squeeze=False, sharey="row")
    for row, (name, title) in enumerate(list(METRICS.items())[:2]):
        for column, key in enumerate(shown):
            axes = panels[row, column]
            _panel(
                axes, done[key].fillna("-").astype(str), done[name] * (100 if "acc" in name else 1)
            )
            if column == 0:
                axes.set_ylabel(f"{title} ({'%' if 'acc' in name else 'years'})")
            if row == 1:
                axes.set_xlabel(key)
    figure.suptitle(f"{len(done)} trials: a dot each; bars are means", fontsize=10)
    return figure


def _panel(axes: object, values: pd.Series, scores: pd.Series) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", lw=0.6)
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all() and numbers.nunique() > 6:
        if numbers.min() > 0 and numbers.max() > 20 * numbers.min():
            axes.set_xscale("log")
        axes.plot(numbers, scores, "o", color=DOT, alpha=0.6)
        return
    names = list(dict.fromkeys(values))
    if numbers.notna().all():
        names.sort(key=float)
    shift = np.linspace(-0.12, 0.12, len(values)) if len(values) > 1 else np.zeros(1)
    axes.plot([names.index(v) + s for v, s in zip(values, shift, strict=True)], scores, "o",
              color=DOT, alpha=0.6)  # fmt: skip
    for place, name in enumerate(names):
        axes.hlines(scores[values == name].mean(), place - 0.25, place + 0.25, color=MEAN, lw=2)
    long = max(map(len, names)) * len(names) > 24
    axes.set_xticks(range(len(names)), names, rotation=40 if long else 0,
                    ha="right" if long else "center", fontsize=8)  # fmt: skip
    axes.set_xlim(-0.5, len(names) - 0.5)
