"""The benchmark end to end, on drawn portraits and with blocks that are far too short."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from agegender.bench.summary import COLUMNS

from ..conftest import SMALL, refusal, run_script

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")
SHORT = ("--models", "cnn", "--repeats", "1", "--seconds", "0.1", *SMALL[:3])


@linux
@pytest.mark.slow
def test_all_ways_are_compared(tmp_path: Path):
    done = run_script("benchmark", *SHORT, "--only", "ways", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "benchmark.csv")
    assert list(table.columns) == COLUMNS
    assert set(table["way"]) >= {"textbook", "ours", "ceiling", "bare"}
    assert (table["model"] == "cnn").all()
    measured = [
        "train_images_per_s", "infer_images_per_s", "user_s", "peak_rss_mb", "peak_anonymous_mb",
        "start_s", "peak_gflops", "share_of_peak", "gflop_per_image", "copy_gb_per_s",
    ]  # fmt: skip
    assert (table[measured] > 0).all(axis=None)
    assert (table["sys_s"] >= 0).all()
    assert (table["peak_rss_mb"] >= table["peak_anonymous_mb"]).all()
    assert (table["start_s"].between(0.5, 120)).all()
    by = table.set_index("way")
    assert by.loc["ours", "ours_over_way"] == 1
    assert by.loc["ours", "first_start_s"] > 0.5
    assert by.loc["ours", "cache_s"] > 0
    assert by.loc["textbook", "precision"] == "32-true"
    assert by.loc["textbook", "workers"] in range(65)
    # 48 px: convolutions, both ways through them, and the layers of the heads; by hand
    sides, widths = (46, 21, 8, 2), (1, 32, 64, 128, 256)
    macs = sum(
        9 * a * b * side**2 for side, a, b in zip(sides, widths[:-1], widths[1:], strict=True)
    )
    heads = 2 * (256 * 256 + 256)
    first = 9 * 32 * 46**2  # its input needs no gradient
    assert by.loc["ours", "gflop_per_image"] == pytest.approx(
        2 * (3 * (macs + heads) - first) / 1e9, rel=1e-3
    )
    assert f"tables and figures: {tmp_path}" in done.stdout
    with Image.open(tmp_path / "benchmark.png") as figure:
        assert figure.width > 300


@linux
@pytest.mark.slow
def test_costs_are_measured_as_work_grows(tmp_path: Path):
    done = run_script("benchmark", *SHORT, "--only", "costs", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "benchmark_costs.csv")
    assert set(table["what"]) == {"batch", "size", "threads", "images"}
    assert (table["images_per_s"] > 0).all()
    assert table.loc[table["what"] == "images", "value"].max() == 200_000
    assert (tmp_path / "benchmark_costs.png").is_file()


@linux
def test_what_the_benchmark_cannot_use_is_said(tmp_path: Path):
    assert "--repeats must be at least 1" in refusal("benchmark", "--repeats", "0", cwd=tmp_path)
    said = refusal("benchmark", "model.dropout=x", "data=synthetic", cwd=tmp_path)
    assert "dropout" in said
    assert not list(tmp_path.iterdir())


def test_a_word_that_is_no_option_is_refused(tmp_path: Path):
    done = run_script("benchmark", "--repaets", "3", cwd=tmp_path)
    assert done.returncode == 2
    assert "--repaets 3: neither an option of this script nor KEY=VALUE" in done.stderr
