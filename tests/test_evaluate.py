import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from agegender import checkpoint
from agegender.errors import InputError
from agegender.evaluate import evaluate
from agegender.train import fit

from .conftest import SMALL, composed, run_script


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    fit(composed(*SMALL, f"output_dir={folder}"))
    return folder


def evaluated(run: Path, output: Path, *more: str) -> dict:
    words = [f"checkpoint={run}/checkpoints/best.ckpt", f"output_dir={output}", "report=false"]
    words += more
    return evaluate(composed(*words, name="evaluate"))


def test_a_checkpoint_alone_gives_the_runs_own_figures(run: Path, tmp_path: Path):
    words = (f"checkpoint={run}/checkpoints/best.ckpt", f"output_dir={tmp_path}")
    done = run_script("evaluate", *words, "robustness=true", "explain=true")
    assert done.returncode == 0, done.stderr
    assert "disturbing faces: 100%" in done.stderr
    assert "test" in done.stdout
    before, after = (json.loads((f / "metrics.json").read_text()) for f in (run, tmp_path))
    assert after["test"] == before["test"]
    assert "validation faces when the checkpoint was written" in after["run"]["intervals"]
    tables = [pd.read_csv(folder / "predictions.csv") for folder in (run, tmp_path)]
    pd.testing.assert_frame_equal(*tables)
    html = (tmp_path / "report.html").read_text()
    assert len(html) < 5e6
    for heading in ("Figures", "Robustness", "Faces", "Where the network looks"):
        assert f"<h2>{heading}</h2>" in html
    measured = pd.read_csv(tmp_path / "report/robustness.csv")
    assert measured["disturbance"].nunique() == 10  # grey pictures have no colour to lose
    assert measured.loc[measured["clean"], "age_mae"].nunique() == 1
    # float32 here, the training's precision there
    clean = measured.loc[measured["clean"], "age_mae"].iloc[0]
    assert clean == pytest.approx(after["test"]["age_mae"], rel=0.02)


def test_intervals_follow_the_level_and_what_there_is_to_calibrate_on(run: Path, tmp_path: Path):
    def widths(name: str, *more: str) -> tuple[pd.Series, str]:
        found = evaluated(run, tmp_path / name, *more)
        table = pd.read_csv(tmp_path / name / "predictions.csv").query("part != 'train'")
        return table["age_hi"] - table["age_pred"], found["run"]["intervals"]

    wide, said = widths("wide", "level=0.8")
    narrow, _ = widths("narrow", "level=0.3")
    assert (wide > narrow).all()
    # a checkpoint of an earlier version holds none: the validation part calibrates, which is the
    # same faces here
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    del content["agegender"]["calibration"]
    (tmp_path / "old/checkpoints").mkdir(parents=True)
    checkpoint.save(content, tmp_path / "old/checkpoints/best.ckpt")
    again = evaluated(tmp_path / "old", tmp_path / "from_old", "level=0.8")
    assert "validation faces of the split" in again["run"]["intervals"] != said
    table = pd.read_csv(tmp_path / "from_old/predictions.csv")
    assert (table["age_hi"] - table["age_pred"]).to_numpy() == pytest.approx(wide.to_numpy())
    # no part calibrates itself, and none that was trained on calibrates another
    alone = evaluated(tmp_path / "old", tmp_path / "alone", "part=val")
    assert "no validation faces beside this part" in alone["run"]["intervals"]
    mixed = ("data.split=random", "allow_training_images=true")
    other = evaluated(tmp_path / "old", tmp_path / "mixed", *mixed)
    assert "no validation faces beside this part" in other["run"]["intervals"]
    assert pd.read_csv(tmp_path / "mixed/predictions.csv")["age_hi"].isna().all()


def test_validation_faces_do_not_check_what_was_calibrated_on_them(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    split = pd.read_csv(run / "split.csv")
    other = split.assign(part=split["part"].replace({"val": "test", "test": "val"}))
    other.to_csv(tmp_path / "other.csv", index=False)
    words = ("data.split=file", f"data.split_file={tmp_path}/other.csv")
    found = evaluated(run, tmp_path / "swapped", *words)
    n = int((other["part"] == "test").sum())
    assert found["run"]["validated_on"] == n > 10
    assert found["run"]["trained_on"] == 0
    assert "validation faces of the split" in found["run"]["intervals"]
    assert f"{n} faces of the test part were validation faces of the training" in caplog.text


def test_faces_it_was_trained_on_are_refused_unless_told(run: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"of the \d+ faces in the train part are, or are copies"):
        evaluated(run, tmp_path, "part=train")
    with pytest.raises(InputError, match="copies of, images this checkpoint was trained on"):
        evaluated(run, tmp_path, "data.split=notebook", "part=val")
    assert not (tmp_path / "metrics.json").exists()
    found = evaluated(run, tmp_path, "part=train", "allow_training_images=true")
    assert found["run"]["trained_on"] == found["train"]["n"] > 100


def test_a_fold_s_checkpoint_is_scored_on_another_split(tmp_path: Path):
    words = ("data.split=kfold", "data.fold=3", "trainer.max_epochs=1")
    fit(composed(*SMALL, *words, f"output_dir={tmp_path / 'fold'}"))
    allow = "allow_training_images=true"
    found = evaluated(tmp_path / "fold", tmp_path / "out", "data.split=holdout", allow)
    assert (found["run"]["split"], found["run"]["fold"]) == ("holdout", None)
    again = evaluated(tmp_path / "fold", tmp_path / "again")
    assert (again["run"]["split"], again["run"]["fold"]) == ("kfold", 3)


def test_other_data_of_the_same_kind_is_scored(run: Path, tmp_path: Path):
    found = evaluated(run, tmp_path, "data.drawn=60", "data.drawn_seed=5")
    about = json.loads((run / "metrics.json").read_text())["run"]
    assert found["run"]["data_digest"] != about["data_digest"]
    assert found["run"]["split_hash"] != found["run"]["trained_split_hash"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["part=dev"], "part=dev is not one of train, val, test"),
        (["data.split=notebook"], "has no face in its test part"),
        (["data.split=best"], "must be Literal"),
        (["data.root=/nowhere"], "is not a folder"),
        (["level=0"], "level=0.0: must be above 0 and at most 0.995"),
    ],
)
def test_bad_words_are_told(run: Path, tmp_path: Path, words, said):
    with pytest.raises(InputError, match=said):
        evaluated(run, tmp_path, *words)


def test_a_checkpoint_describes_itself(run: Path):
    net, loss, about = checkpoint.load(run / "checkpoints/best.ckpt")
    split = pd.read_csv(run / "split.csv")
    assert len(about["train_digests"]) == (split["part"] == "train").sum()
    assert about["config"]["data"]["image_size"] == 48
    assert net.decoder is loss


class Evil:
    def __reduce__(self):
        return (print, ("code from a checkpoint ran",))


def test_foreign_damaged_and_hostile_checkpoints_are_refused(run: Path, tmp_path: Path, capsys):
    good = (run / "checkpoints/best.ckpt").read_bytes()
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    path = tmp_path / "c.ckpt"

    def refused(said: str) -> None:
        with pytest.raises(InputError, match=said):
            checkpoint.load(path)

    refused("does not exist")
    path.write_bytes(good[: len(good) // 2])
    refused("cannot be read")
    path.write_text("hello")
    refused("cannot be read")
    torch.save({"state_dict": {}}, path)
    refused("was not made by agegender")
    torch.save({"state_dict": {}, "agegender": Evil()}, path)
    refused("cannot be read")
    assert "code from a checkpoint ran" not in capsys.readouterr().out
    for target in ("os.system", "lightning.pytorch.cli.instantiate_class", "torch.optim.Adam",
                   "agegender.data.source.fetch", "agegender.models.cnn.glorot",
                   "agegender.models.net.nn.Module"):  # fmt: skip
        content["agegender"]["config"]["model"]["backbone"]["_target_"] = target
        checkpoint.save(content, path)
        refused("may be built|no such thing|needs it")
    del content["agegender"]["config"]["model"]
    checkpoint.save(content, path)
    refused("does not say what its network is")
    content["agegender"]["config"]["model"] = {"_target_": "agegender.models.net.Net"}
    content["agegender"]["config"]["model"]["backbone"] = {
        "_target_": "agegender.models.cnn.CNN", "image_size": 64,
    }  # fmt: skip
    checkpoint.save(content, path)
    refused("does not fit its own network")
