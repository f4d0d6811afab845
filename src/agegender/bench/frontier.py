"""What accuracy costs: finished trainings by their test error, their training and their answers."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from agegender.errors import InputError
from agegender.estimators import TorchEstimator
from agegender.portraits.align import SIDE

SAME = ("split_hash", "duplicates", "data_digest")  # or their test parts are not one
RECIPE = ("name", "model", "loss", "max_epochs")  # and the seeds of one recipe agree in these
BATCH = 32  # faces
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe & Ito


def frontier(runs: Sequence[Path], repeats: int = 9) -> pd.DataFrame:
    """A row a recipe.

    Args:
        runs: folders of finished trainings, of one test part; those that differ in the seed alone
            become one row.
        repeats: measurements of each network, in turns, after one that does not count.

    Returns:
        name, model, loss, max_epochs, image_size (px), parameters, seeds, test_age_mae (years) and
        test_gender_acc with their standard deviation over seeds (_sd), cpu_minutes of a training,
        ms_per_face: from a crop to its answer, one thread, batches of 32, the median; the best age
        MAE first.

    Raises:
        InputError: if a run is not finished, has no test part, or is of another one.
    """
    told = [_about(run) for run in runs]
    for run, one in zip(runs, told, strict=True):
        for name in SAME:
            if one[name] != told[0][name]:
                raise InputError(f"{run} has {name}={one[name]}, {runs[0]} {told[0][name]}")
    table = pd.DataFrame(told)
    recipes = table.groupby(list(RECIPE), sort=False)
    found = recipes.agg(
        image_size=("image_size", "first"),
        parameters=("parameters", "first"),
        seeds=("seed", "nunique"),
        test_age_mae=("test_age_mae", "mean"),
        test_age_mae_sd=("test_age_mae", "std"),
        test_gender_acc=("test_gender_acc", "mean"),
        test_gender_acc_sd=("test_gender_acc", "std"),
        cpu_minutes=("cpu_minutes", "mean"),
        checkpoint=("checkpoint", "first"),
    ).reset_index()
    found["ms_per_face"] = _latencies(list(found.pop("checkpoint")), repeats)
    return found.sort_values("test_age_mae", ignore_index=True)


def _about(run: Path) -> dict[str, Any]:
    try:
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        about, test = metrics["run"], metrics["test"]
        about["cpu_minutes"]
        about.setdefault("max_epochs", about["epochs"])  # of earlier versions
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run} is no finished training with a test part: {error}") from None
    best = run / "checkpoints/best.ckpt"
    return {
        **about,
        "test_age_mae": test["age_mae"],
        "test_gender_acc": test["gender_acc"],
        "image_size": TorchEstimator(best).input_side,
        "checkpoint": best,
    }


def _latencies(checkpoints: Sequence[Path], repeats: int) -> list[float]:
    """Milliseconds a face of each network, measured in turns."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    noise = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, 3), dtype=np.uint8)
    networks = [TorchEstimator(path) for path in checkpoints]
    taken = np.empty((repeats + 1, len(networks)))
    for turn in range(repeats + 1):
        for i, network in enumerate(networks):
            start = time.perf_counter()
            network(list(noise))
            taken[turn, i] = (time.perf_counter() - start) * 1000 / BATCH
    torch.set_num_threads(before)
    return [float(value) for value in np.median(taken[1:], axis=0)]


def frontier_figure(table: pd.DataFrame) -> Figure:
    """Test error against what a training and what an answer costs.

    Args:
        table: what `frontier` returns.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for i, row in enumerate(table.to_dict("records")):
        _point(left, row, "cpu_minutes", COLOURS[i % len(COLOURS)])
        _point(right, row, "ms_per_face", COLOURS[i % len(COLOURS)])
    left.set_xlabel("CPU minutes of a training")
    right.set_xlabel("milliseconds a face in use, one thread")
    left.set_ylabel("test age MAE (years)")
    for axes in (left, right):
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.set_xlim(low / 1.3, high * 6)  # room for the names
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _point(axes: Axes, row: dict[Any, Any], cost: str, colour: str) -> None:
    spread = 0.0 if np.isnan(row["test_age_mae_sd"]) else row["test_age_mae_sd"]
    axes.errorbar(row[cost], row["test_age_mae"], yerr=spread, fmt="o", color=colour, capsize=3)
    seeds = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
    axes.annotate(
        f"{row['name']}: {row['model']}, {row['image_size']} px\n{seeds}",
        (row[cost], row["test_age_mae"]),
        xytext=(7, 0), textcoords="offset points", va="center", fontsize=8, color=colour,
    )  # fmt: skip
