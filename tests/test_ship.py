"""The weights that come with the package: how they are made, and that they keep their word."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import agegender
from agegender import checkpoint
from agegender.data.synthetic import draw_folder
from agegender.errors import InputError
from agegender.evaluate import data_of, evaluate
from agegender.ship import LARGEST, NOTICE, ship
from tests.conftest import ROOT, composed, run_here


@pytest.fixture
def finished(checkpoint_file: Path, tmp_path: Path) -> Path:
    """A finished training of committed code."""
    run = tmp_path / "run"
    shutil.copytree(checkpoint_file.parents[1], run)
    tell(run, commit="0123456789ab")
    return run


def tell(run: Path, **changes: object) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["run"].update(changes)
    (run / "metrics.json").write_text(json.dumps(metrics))


def test_what_is_shipped_says_the_same_as_the_run_and_carries_no_more(finished: Path):
    file = finished.with_name("shipped.ckpt")
    ship(finished, file)
    content = torch.load(file, weights_only=True)
    assert set(content) >= {"state_dict", "agegender"}
    assert not {"optimizer_states", "callbacks", "averaging_state"} & set(content)
    assert file.stat().st_size < (finished / "checkpoints/best.ckpt").stat().st_size / 4
    about = content["agegender"]
    metrics = json.loads((finished / "metrics.json").read_text())
    assert about["metrics"]["test"]["age_mae"] == metrics["test"]["age_mae"]
    assert about["made"]["commit"] == "0123456789ab"
    assert about["notice"] == NOTICE
    assert about["labels"]["gender"] == ["male", "female"]
    for name in ("root", "archive", "csv", "split_file", "cache_dir"):  # of another machine
        assert about["config"]["data"][name] is None
    faces = sorted(draw_folder(finished / "drawn", 6, 5).rglob("*.*"))[:6]
    mine = agegender.load(file, detector="none").predict(faces)
    wanted = agegender.load(finished / "checkpoints/best.ckpt", detector="none").predict(faces)
    pd.testing.assert_frame_equal(mine, wanted, rtol=0, atol=0.02)
    assert mine["age_pred"].nunique() > 1
    assert mine["age_lo"].notna().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"commit": "0123456789ab+"}, "in no commit"),
        ({"best_epoch": None}, "is an evaluation"),
        (None, "is no finished training"),
    ],
)
def test_what_must_not_be_shipped_is_refused(finished: Path, change, said: str):
    if change is None:
        (finished / "metrics.json").unlink()
    elif "best_epoch" in change:
        metrics = json.loads((finished / "metrics.json").read_text())
        del metrics["run"]["best_epoch"]
        (finished / "metrics.json").write_text(json.dumps(metrics))
    else:
        tell(finished, **change)
    file = finished.with_name("shipped.ckpt")
    file.write_bytes(b"the old one")
    status, told = run_here("ship", str(finished), "--to", str(file))
    assert status == 2
    assert said in told
    assert file.read_bytes() == b"the old one"


def test_a_file_that_is_too_large_is_refused(finished: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agegender.ship.LARGEST", 100_000)
    with pytest.raises(InputError, match="at most 100,000"):
        ship(finished, finished.with_name("shipped.ckpt"))
    assert not finished.with_name("shipped.ckpt").exists()


def test_the_package_answers_without_a_checkpoint(tmp_path: Path):
    assert checkpoint.SHIPPED_FILE.stat().st_size <= LARGEST
    about = checkpoint.load(checkpoint.SHIPPED_FILE).description
    assert about["notice"] == NOTICE
    assert about["config"]["ema"], "averaged weights are meant"
    faces = sorted(draw_folder(tmp_path, 4, 5).rglob("*.*"))[:4]
    said = agegender.load(detector="none").predict(faces)
    assert (said["age_lo"] <= said["age_pred"]).all()
    assert (said["age_pred"] <= said["age_hi"]).all()
    words = [f"input={faces[0]}", "detector=none", f"output_dir={tmp_path / 'out'}"]
    status, told = run_here("predict", *words, cwd=tmp_path)
    assert status == 0
    assert "non-commercial research only" in told
    table = pd.read_csv(tmp_path / "out/predictions.csv")
    assert table["age_pred"].iloc[0] == pytest.approx(said["age_pred"].iloc[0], abs=1e-3)


def test_the_model_card_is_of_the_shipped_weights():
    about = checkpoint.load(checkpoint.SHIPPED_FILE).description
    card = (ROOT / "MODEL_CARD.md").read_text()
    assert f"hash `{about['split_hash']}`" in card
    assert f"    {about['made']['command']}\n" in card
    assert f"    git checkout {about['made']['commit']}\n" in card
    test = about["metrics"]["test"]
    for published in (card, (ROOT / "docs/shipped/report.md").read_text()):
        assert f"| age MAE (years) | {test['age_mae']:.2f} (" in published
        assert f"| gender accuracy | {test['gender_acc']:.1%} (" in published


def test_the_shipped_weights_score_as_published_on_faces_they_have_not_seen(
    utkface_archive: Path, tmp_path: Path
):
    words = (
        "checkpoint=shipped", f"data.archive={utkface_archive}", "report=false",
        f"output_dir={tmp_path}",
    )  # fmt: skip
    cfg = composed(*words, name="evaluate")
    found = evaluate(cfg)
    about = checkpoint.load(checkpoint.SHIPPED_FILE).description
    runs = pd.read_csv(ROOT / "docs/results/runs.csv", dtype={"commit": str})
    published = runs[
        (runs["commit"] == about["made"]["commit"]) & (runs["command"] == about["made"]["command"])
    ].iloc[-1]
    for part in ("test", "test_keep"):
        assert found[part]["age_mae"] == pytest.approx(about["metrics"][part]["age_mae"], abs=0.01)
        assert found[part]["gender_acc"] == pytest.approx(
            about["metrics"][part]["gender_acc"], abs=0.001
        )
    assert found["test"]["age_mae"] == pytest.approx(published["test_age_mae"], abs=0.01)
    assert found["run"]["trained_on"] == 0
    data = data_of(cfg, about)
    data.setup("test")
    assert (data.split_hash, data.faces.digest) == (about["split_hash"], about["data_digest"])
    groups = data.frame.loc[data.frame["part"].isin(["test", "val"]), "group_id"]
    copies = data.frame.loc[data.frame["group_id"].isin(groups), "sha256"]  # used or not
    seen = np.isin(
        checkpoint.short_digests(copies.tolist()).numpy(), about["train_digests"].numpy()
    )
    assert not seen.any()
