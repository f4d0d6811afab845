"""What accuracy costs, of runs as they lie there."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from agegender.bench.frontier import frontier
from agegender.errors import InputError
from agegender.tables.accuracy import frontier_table
from tests.conftest import run_here


def seeds_of(run: Path, folder: Path, maes: dict[int, float], **changes: object) -> list[Path]:
    """Copies of a run that say other seeds and other errors."""
    made = []
    for seed, mae in maes.items():
        copy = folder / f"{changes.get('name', 'train')}_{seed}"
        shutil.copytree(run, copy)
        metrics = json.loads((copy / "metrics.json").read_text())
        metrics["run"] |= {"seed": seed, "cpu_minutes": 10.0 * seed, **changes}
        metrics["test"]["age_mae"] = mae
        (copy / "metrics.json").write_text(json.dumps(metrics))
        made.append(copy)
    return made


def test_seeds_become_one_point_and_others_their_own(checkpoint_file: Path, tmp_path: Path):
    run = checkpoint_file.parents[1]
    runs = seeds_of(run, tmp_path, {1: 5.0, 2: 6.0})
    runs += seeds_of(run, tmp_path, {1: 4.0}, name="best")
    status, said = run_here("frontier", *map(str, runs), "--repeats", "1", "--out", str(tmp_path))
    assert status == 0, said
    table = pd.read_csv(tmp_path / "frontier.csv")
    assert table["name"].tolist() == ["best", "train"]  # the best first
    assert table["seeds"].tolist() == [1, 2]
    assert table["test_age_mae"].tolist() == [4.0, 5.5]
    assert table["test_age_mae_sd"].iloc[1] == pytest.approx(0.5**0.5, abs=1e-4)
    assert table["cpu_minutes"].tolist() == [10.0, 15.0]
    assert (table["ms_per_face"] > 0).all()
    assert table["image_size"].tolist() == [48, 48]
    best, mean = frontier_table(tmp_path / "frontier.csv").splitlines()[2:]
    assert best.startswith("| `best` | resnet, 48 px | ")
    assert "| 1 | 4.00 | " in best
    assert "| 2 | 5.50 ± 0.71 | " in mean
    assert "± 0.0% | 15 | " in mean
    assert (tmp_path / "frontier.png").stat().st_size > 1000


def test_other_test_parts_and_unfinished_runs_are_refused(checkpoint_file: Path, tmp_path: Path):
    run = checkpoint_file.parents[1]
    other = seeds_of(run, tmp_path, {2: 5.0}, split_hash="abc")
    with pytest.raises(InputError, match="split_hash=abc"):
        frontier([run, *other])
    status, said = run_here("frontier", str(tmp_path), "--out", str(tmp_path))
    assert status == 2
    assert "is no finished training with a test part" in said
    assert not (tmp_path / "frontier.csv").exists()
