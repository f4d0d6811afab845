"""What training costs as the work grows."""

import os
from collections.abc import Sequence

import pandas as pd

from agegender.bench.rounds import Bench, Process, tell

COSTS = {
    "batch": (8, 16, 32, 64, 128, 256, 512),
    "size": (64, 96, 128, 160, 192, 224),
    "threads": tuple(range(1, (os.cpu_count() or 1) + 1)),
    "images": (1_000, 5_000, 23_708, 100_000, 200_000),
}


def costs(bench: Bench, models: Sequence[str], repeats: int) -> pd.DataFrame:
    """Images a second as the work grows, every setting once a round.

    Batches, sizes and threads share a process a round; a number of images has one of its own, so
    that its memory is its own, and is tried with the first model alone: it is about the data path.

    Returns:
        A row a setting: what (batch, size, threads, images), value, model, images_per_s (median),
        lowest, highest, anonymous_mb (the most that its process had; with `images` only).
    """
    rows = []

    def measure(process: Process, model: str, what: str, value: int) -> None:
        answer = process.ask({what: value})
        rate = answer["images"] / answer["seconds"]
        memory = process.peak_anonymous_mb if what == "images" else None
        rows.append((what, value, model, rate, memory))

    for turn in range(repeats):
        back = 1 if turn % 2 == 0 else -1  # there and back, against a drift of the machine
        for model in models:
            process = bench.start("cost", f"model={model}")
            for what in ("batch", "size", "threads"):
                for value in COSTS[what][::back]:
                    measure(process, model, what, value)
            process.end()
        for value in COSTS["images"][::back]:
            process = bench.start("cost", f"model={models[0]}")
            measure(process, models[0], "images", value)
            process.end()
        tell(f"  costs: round {turn + 1} of {repeats}")
    table = pd.DataFrame(rows, columns=["what", "value", "model", "rate", "anonymous_mb"])
    by = table.groupby(["what", "value", "model"], sort=False)
    found = by["rate"].agg(images_per_s="median", lowest="min", highest="max")
    costs: pd.DataFrame = found.assign(anonymous_mb=by["anonymous_mb"].max()).reset_index()
    return costs
