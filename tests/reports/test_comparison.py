"""Runs side by side: differences worked out by hand, their intervals by brute force."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.bootstrap import resample
from agegender.errors import InputError
from agegender.reports.comparison import by_metric, compare, read_runs
from tests.conftest import refusal, run_here


def predictions(off: float, seed: int) -> pd.DataFrame:
    """300 faces in 150 photographs; errors that two runs share, and `off` years on top."""
    rng, own = np.random.default_rng(0), np.random.default_rng(seed)
    age = rng.integers(0, 90, 300).astype(float)
    gender = rng.integers(0, 2, 300)
    return pd.DataFrame(
        {
            "file": [f"{k}.jpg" for k in range(300)],
            "part": "test",
            "group_id": np.arange(300) // 2,
            "age_years": age,
            "age_pred": age + np.abs(rng.normal(0, 9, 300)) + off,
            "gender": gender,
            "p_female": np.where(own.random(300) < 0.9, gender, 1 - gender) * 0.8 + 0.1,
            "race": rng.integers(0, 5, 300),
        }
    )


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """A folder of a run, one of another, and a file; the second is 1.5 years worse for everyone."""
    for name, off, split in (("seed", 0.0, "aa"), ("best", 1.5, "aa")):
        (tmp_path / name).mkdir()
        predictions(off, 3).to_csv(tmp_path / name / "predictions.csv", index=False)
        about = {"run": {"split_hash": split}}
        (tmp_path / name / "metrics.json").write_text(json.dumps(about))
    # another order of the same faces
    predictions(0.0, 4).iloc[::-1].to_csv(tmp_path / "other.csv", index=False)
    return [tmp_path / "seed", tmp_path / "best", tmp_path / "other.csv"]


def test_paired_differences(runs: list[Path]):
    read = read_runs(runs, "test")
    assert [run.name for run in read] == ["seed", "best", "other"]
    weights = resample(read[0].rows["group_id"], 300)
    found = by_metric(read, weights).set_index(["run", "metric"])
    # everyone is 1.5 years worse: paired, the difference has no spread at all
    mae = found.loc[("best", "age_mae")]
    assert mae[["difference", "lo", "hi"]].to_numpy(float) == pytest.approx([1.5] * 3, abs=1e-4)
    assert found.loc["seed"][["difference", "lo", "hi"]].to_numpy() == pytest.approx(0)
    # and gender by drawing photographs one by one
    right = [
        ((run.rows["p_female"] > 0.5) == (run.rows["gender"] == 1)).to_numpy(float) for run in read
    ]
    draws = [np.mean((right[2] - right[0]).repeat(counts.astype(int))) for counts in weights]
    ends = np.quantile(draws, [0.025, 0.975])
    accuracy = found.loc[("other", "gender_acc")]
    assert accuracy[["lo", "hi"]].to_numpy(float) == pytest.approx(ends, abs=1e-5)
    assert accuracy["difference"] == pytest.approx((right[2] - right[0]).mean())


def test_the_script_prints_a_table_and_leaves_a_page(runs: list[Path], tmp_path: Path):
    given = ",".join(map(str, runs))
    status, said = run_here(
        "compare", f"runs=[{given}]", f"output_dir={tmp_path}/out", "publish=public", cwd=tmp_path
    )
    assert status == 0, said
    assert "best - seed" in said
    assert "+1.50 (+1.50 to +1.50)" in said
    html = (tmp_path / "out/compare.html").read_text()
    assert "Compared: seed, best, other" in html
    assert "Not every run says which split it is of" in html
    table = pd.read_csv(tmp_path / "out/compare/groups.csv")
    women = table.query("run == 'best' and group == 'female' and metric == 'age_mae'").iloc[0]
    assert women["difference"] == pytest.approx(1.5)
    assert women["n"] == (predictions(0, 0)["gender"] == 1).sum()
    for name in ("age_mae", "gender_acc"):
        assert (tmp_path / f"out/compare/{name}.png").stat().st_size > 5000
        assert (tmp_path / f"public/{name}.png").is_file()
    text = (tmp_path / "public/report.md").read_text()
    assert text.startswith("# Compared: seed, best, other\n")
    assert "| age MAE (years) | " in text
    assert "| +1.50 (+1.50 to +1.50) | " in text
    assert "](age_mae.png)" in text


def test_a_few_faces_are_compared_and_no_group_is_judged(runs: list[Path], tmp_path: Path):
    few = []
    for k, place in enumerate(runs):
        table = pd.read_csv(place / "predictions.csv" if place.is_dir() else place)
        table[table["part"] == "test"].sort_values("file").head(25).to_csv(
            tmp_path / f"{k}.csv", index=False
        )
        few.append(tmp_path / f"{k}.csv")
    assert "age MAE" in compare(few, "test", tmp_path / "out")
    assert "No group has 30 faces" in (tmp_path / "out/compare.html").read_text()


def test_photographs_are_those_that_any_run_knows(runs: list[Path], tmp_path: Path):
    table = pd.read_csv(runs[2])
    table.drop(columns=["group_id", "race"], errors="ignore").to_csv(
        tmp_path / "o.csv", index=False
    )
    first, known = read_runs([tmp_path / "o.csv", runs[0]], "test")
    assert first.rows["group_id"].tolist() == known.rows["group_id"].tolist()
    assert first.rows["race"].equals(known.rows["race"])


def test_what_cannot_be_compared_is_refused(runs: list[Path], tmp_path: Path):
    with pytest.raises(InputError, match="1 given, at least two are compared"):
        read_runs(runs[:1], "test")
    (runs[1] / "metrics.json").write_text(json.dumps({"run": {"split_hash": "bb"}}))
    said = refusal("compare", f"runs=[{runs[0]},{runs[1]}]", "output_dir=out", cwd=tmp_path)
    assert "best has the split bb" in said
    assert "figures of different splits cannot be compared" in said
    assert not (tmp_path / "out/compare.html").exists()
    with pytest.raises(InputError, match="has no predicted face in its val part"):
        read_runs(runs[::2], "val")
    predictions(0, 0).head(200).to_csv(runs[2], index=False)
    with pytest.raises(InputError, match=r"same faces .* \(200 and 300 faces\)"):
        read_runs(runs[::2], "test")
    predictions(0, 0).assign(gender=0).to_csv(runs[2], index=False)
    with pytest.raises(InputError, match="same faces with the same labels"):
        read_runs(runs[::2], "test")
    with pytest.raises(InputError, match="cannot read predictions="):
        read_runs([runs[0], tmp_path / "nothing"], "test")
