"""The model card says what the run's files say."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from agegender.command import for_anybody
from agegender.errors import InputError
from agegender.reports.model_card import model_card
from agegender.train import fit
from tests.conftest import SMALL, composed, run_script


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card") / "run"
    fit(composed(*SMALL, "report=true", "trainer.max_epochs=1", f"output_dir={folder}"))
    return folder


def test_the_card_tells_the_runs_own_figures(run: Path, tmp_path: Path):
    done = run_script("model_card", str(run), "--output", f"{tmp_path}/CARD.md")
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "CARD.md").read_text()
    metrics = json.loads((run / "metrics.json").read_text())
    about, test = metrics["run"], metrics["test"]
    assert "output_dir=" not in card
    for told in (
        "# Model card: train",
        f"hash `{about['split_hash']}`",
        f"{about['parameters']:,} parameters",
        f"## Figures: test part, {test['n']} faces",
        f"| age MAE (years) | {test['age_mae']:.2f} (",
        f"    {for_anybody(about['command'])}\n",
        "non-commercial research",
        "*apparent* age",
        "Misuse",
    ):
        assert told in card, told
    groups = pd.read_csv(run / "report/groups.csv")
    named = groups[groups["by"].isin(["age", "gender", "race"])]
    for group, n in zip(named["group"], named["n"], strict=True):
        assert f"| {group} (too few to judge) | {n} |" in card
    assert "nan" not in card
    assert f"Both were {about['intervals']}." in card


def test_the_report_is_published_without_a_face(run: Path, tmp_path: Path):
    words = ("--output", f"{tmp_path}/CARD.md", "--publish", f"{tmp_path}/public")
    for _ in range(2):  # the second one takes the first one's place
        assert run_script("model_card", str(run), *words).returncode == 0
    public = tmp_path / "public"
    report = {path.name for path in (run / "report").iterdir()}
    assert {path.name for path in public.iterdir()} == report | {"report.md"}
    told = (public / "report.md").read_text()
    shown = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", told))
    assert shown == {name for name in report if name.endswith(".png")}
    mae = json.loads((run / "metrics.json").read_text())["test"]["age_mae"]
    assert f"| age MAE (years) | {mae:.2f} (" in told
    assert "## Decisions" in told
    assert "output_dir=" not in told
    assert "jpeg" not in told
    assert "<" not in told.replace("< ", "")
    assert "## Faces" not in told
    done = run_script("model_card", str(run), *words[:3], str(run))  # no place for a report
    assert done.returncode == 2
    assert "is no published report" in done.stderr
    assert (run / "metrics.json").is_file()


def test_a_card_of_the_validation_part_says_that_it_calibrated_itself(tmp_path: Path):
    words = ("report=true", "trainer.max_epochs=1", "data.split=notebook")
    fit(composed(*SMALL, *words, f"output_dir={tmp_path}"))
    card = model_card(tmp_path)
    assert "## Figures: val part" in card
    assert "which are the faces of this part: coverage says nothing here" in card


def test_an_evaluation_of_the_run_is_told_instead(run: Path, tmp_path: Path):
    shutil.copytree(run / "report", tmp_path / "report")
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["run"]["level"] = 0.8
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    rows = [("blur", "sigma", 0, True, 9, 5.0, 0.9), ("blur", "sigma", 4, False, 9, 7.5, 0.8)]
    columns = ["disturbance", "unit", "strength", "clean", "n", "age_mae", "gender_acc"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(tmp_path / "report/robustness.csv", index=False)
    card = model_card(run, tmp_path)
    assert "Intervals of 80% hold" in card
    assert "9 faces of the part, drawn at random" in card
    assert "| none | | 5.00 | 90.0% |\n| blur | 4 (sigma) | 7.50 | 80.0% |" in card
    assert "Disturbed" not in model_card(run)


def test_another_splits_evaluation_and_unfinished_runs_are_refused(run: Path, tmp_path: Path):
    with pytest.raises(InputError, match="is no finished run or evaluation"):
        model_card(tmp_path)
    metrics = json.loads((run / "metrics.json").read_text())
    for name, other in (("split_hash", "abc"), ("model", "resnet"), ("seed", 99)):
        changed = {**metrics, "run": {**metrics["run"], name: other}}
        (tmp_path / "metrics.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=f"says {name}={other}, "):
            model_card(run, tmp_path)
    changed["run"] = {**metrics["run"], "part": "train"}
    (tmp_path / "metrics.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match="is of the train part"):
        model_card(run, tmp_path)
    del changed["run"]["parameters"]
    (tmp_path / "metrics.json").write_text(json.dumps(changed))
    with pytest.raises(InputError, match="is an evaluation: give the training's folder"):
        model_card(tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match=r"headline\.csv does not exist"):
        model_card(tmp_path)
    done = run_script("model_card", str(tmp_path / "nothing"), "--output", f"{tmp_path}/CARD.md")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "CARD.md").exists()
