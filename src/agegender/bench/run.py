"""Everything a benchmark does, from its words to its files."""

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig

from agegender.bench.compare import compare
from agegender.bench.costs import costs
from agegender.bench.growth import growth
from agegender.bench.ladder import ladder
from agegender.bench.rounds import Bench, tell
from agegender.bench.summary import COLUMNS, costs_figure, summary, ways_figure
from agegender.config import build, check_config
from agegender.data.datamodule import FaceData
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.provenance import provenance


def benchmark(root: Path, given: argparse.Namespace, words: list[str], cfg: DictConfig) -> None:
    """What `scripts/benchmark.py` does.

    Args:
        root: the project's folder.
        given: its options: models, repeats, seconds, only, keras, out.
        words: of `scripts/train.py`.
        cfg: composed of these words.

    Raises:
        InputError: off Linux, or if the words or the data are not usable, or a process fails.
    """
    if not Path("/proc/self/status").is_file():
        raise InputError("the benchmark looks into /proc, so it runs on Linux alone")
    if given.repeats < 1 or given.seconds <= 0:
        raise InputError("--repeats must be at least 1, and --seconds more than 0")
    if given.keras and not shutil.which(given.keras):
        raise InputError(f"--keras {given.keras}: there is no such program; name a Python")
    check_config(cfg)
    data: FaceData = build(cfg.data, seed=cfg.seed)
    data.setup("fit")  # what can be cached is, before anything is measured
    about = {name: value for name, value in provenance().items() if name in COLUMNS}
    with (
        tempfile.TemporaryDirectory() as folder,
        Bench(root, words, given.seconds, Path(folder)) as bench,
    ):
        precision = str(cfg.trainer.precision)
        if given.only in (None, "ways"):
            rows = []
            for model in given.models:
                first = model == given.models[0]
                keras = given.keras or _own_keras()
                rows += compare(bench, model, data, precision, given.repeats, first, keras)
            table = pd.DataFrame(rows).assign(
                **about, image_size=data.image_size, batch=data.batch_size
            )
            table = _beside_earlier(table.reindex(columns=COLUMNS), given.out / "benchmark.csv")
            save("benchmark", table, ways_figure, given.out)
            print(summary(table))
        if given.only in (None, "steps"):
            steps, profiles = ladder(bench, given.models[0], precision, given.repeats)
            write("benchmark_steps", steps.assign(**about), given.out)
            write("benchmark_profile", profiles.assign(**about), given.out)
            print(steps[["way", "images_per_s", "over_plain", "sys_s"]].round(2).to_string())
        if given.only in (None, "costs"):
            table = costs(bench, given.models, given.repeats).assign(**about)
            save("benchmark_costs", table, costs_figure, given.out)
        if given.only in (None, "growth"):
            write("benchmark_growth", growth(data, given.repeats).assign(**about), given.out)
    print(f"tables and figures: {given.out}")


def _beside_earlier(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """New rows, and those that the file has of models that were not measured now."""
    if not path.is_file():
        return table
    before = pd.read_csv(path)
    both = pd.concat([before[~before["model"].isin(table["model"])], table.round(4)])
    return both.sort_values("model", kind="stable", ignore_index=True)


def _own_keras() -> str | None:
    """This Python, if it has TensorFlow."""
    if importlib.util.find_spec("tensorflow"):
        return sys.executable
    tell("no Keras here, so it is left out: name a Python that has TensorFlow with --keras PYTHON")
    return None


def save(
    name: str, table: pd.DataFrame, draw: Callable[[pd.DataFrame], Figure], folder: Path
) -> None:
    """A table and its figure."""
    write(name, table, folder)
    with whole_file(folder / f"{name}.png") as temporary:
        draw(table).savefig(temporary, format="png", dpi=120)


def write(name: str, table: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / f"{name}.csv") as temporary:
        table.round(4).to_csv(temporary, index=False)
