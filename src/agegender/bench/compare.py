"""Every way for one model, side by side."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from agegender.bench.ladder import PLAIN
from agegender.bench.rounds import Bench, Process, rounds, tell
from agegender.bench.summary import way_rows
from agegender.data.datamodule import FaceData

OF_NETWORK = ("parameters", "gflop_per_image", "infer_gflop_per_image")


def compare(
    bench: Bench,
    model: str,
    data: FaceData,
    precision: str,
    repeats: int,
    first: bool,
    keras: str | None,
) -> list[dict[str, Any]]:
    """Every way for one model.

    Args:
        bench: where processes come from.
        model: an option of `conf/model/`.
        data: the data that `bench.words` say, set up.
        precision: of the project's own ways.
        repeats: rounds that count.
        first: also measure the start without anything cached, and the building of the cache.
        keras: a Python that has TensorFlow; None: leave Keras out.

    Returns:
        Rows of `benchmark.csv`, without what is the same for all.
    """
    mine = f"model={model}"
    facts: dict[str, dict[str, Any]] = {
        "textbook": {"precision": "32-true"},
        "ours": {"precision": precision},
        "ceiling": {"precision": precision},
        "bare": {"precision": precision},
    }
    if first:
        facts["ours"] |= _first_start(bench, mine, data)
    ways = {name: bench.start(name, mine) for name in ("ours", "ceiling", "bare")}
    tell(f"{model}: how many workers the textbook's loader needs")
    ways["textbook"], facts["textbook"]["workers"] = _best_textbook(bench, mine)
    if keras and model == "cnn" and (data.channels, data.image_size) == (1, 128):
        ways["keras"] = _keras(bench, keras, data)
        facts["keras"] = {"precision": "32-true"}
    peak = bench.start("peak")
    tell(f"{model}: {', '.join(ways)}")
    blocks = rounds(ways, peak, repeats, ("train", "infer"))
    for name, process in ways.items():
        facts[name] |= {
            "model": model,
            "start_s": process.start["start_s"],
            **{name: ways["ceiling"].start[name] for name in OF_NETWORK},
            "peak_rss_mb": process.peak_rss_mb,
            "peak_anonymous_mb": process.peak_anonymous_mb,
        }
        process.end()
    return way_rows(blocks, facts)


def _first_start(bench: Bench, model: str, data: FaceData) -> dict[str, float]:
    """Seconds to the first step with nothing cached, and how many of them the decoding takes."""
    tell("the first start: nothing is cached")
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        process = bench.start("ours", model, env={"AGEGENDER_DATA": folder})
        process.end()
        start = process.start["start_s"]
    tell(f"building the cache of {len(data.pixels)} faces")
    process = bench.start("cache", model)
    seconds = process.ask("build")["seconds"]
    process.end()
    return {"first_start_s": start, "cache_s": seconds}


def _best_textbook(bench: Bench, model: str) -> tuple[Process, int]:
    """The textbook's way with the number of workers that is fastest here."""
    tried = {}
    for workers in range((os.cpu_count() or 1) + 1):
        process = bench.start("textbook", model, f"--workers={workers}", *PLAIN)
        process.ask("train")
        answer = process.ask("train")
        tried[workers] = (answer["images"] / answer["seconds"], process)
    best = max(tried, key=lambda workers: tried[workers][0])
    for workers, (rate, process) in tried.items():
        tell(f"  {workers} workers: {rate:.0f} images/s")
        if workers != best:
            process.end()
    return tried[best][1], best


def _keras(bench: Bench, python: str, data: FaceData) -> Process:
    """The notebook's own way; its Python needs this project's source, and nothing of the rest."""
    arrays = _arrays(data, bench.folder)
    words = ["-m", "agegender.bench.keras_way", "FD", str(arrays), str(bench.seconds)]
    return bench.run("keras", [python, *words], {"PYTHONPATH": str(bench.root / "src")})


def _arrays(data: FaceData, folder: Path) -> Path:
    """What Keras needs of the data, so that its process needs no torch."""
    path = folder / "faces.npz"
    np.savez(
        path,
        pixels=str(getattr(data.pixels, "filename", "")),
        batch_size=data.batch_size,
        rows=data.rows("train"),
        val_rows=data.rows("val"),
        age=data.frame["age_years"].to_numpy(np.float32),
        gender=data.frame["gender"].to_numpy(np.float32),
    )
    return path
