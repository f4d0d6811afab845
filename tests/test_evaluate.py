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
    words = [f"checkpoint={run}/checkpoints/best.ckpt", f"output_dir={output}", *more]
    return evaluate(composed(*words, name="evaluate"))


def test_a_checkpoint_alone_gives_the_runs_own_figures(run: Path, tmp_path: Path):
    done = run_script(
        "evaluate", f"checkpoint={run}/checkpoints/best.ckpt", f"output_dir={tmp_path}"
    )
    assert done.returncode == 0, done.stderr
    assert "test" in done.stdout
    before, after = (json.loads((f / "metrics.json").read_text()) for f in (run, tmp_path))
    assert after["test"] == before["test"]
    tables = [pd.read_csv(folder / "predictions.csv") for folder in (run, tmp_path)]
    mine = tables[0][tables[0]["part"] == "test"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, tables[1])


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
        torch.save(content, path)
        refused("may be built|no such thing|needs it")
    del content["agegender"]["config"]["model"]
    torch.save(content, path)
    refused("does not say what its network is")
    content["agegender"]["config"]["model"] = {"_target_": "agegender.models.net.Net"}
    content["agegender"]["config"]["model"]["backbone"] = {
        "_target_": "agegender.models.cnn.CNN", "image_size": 64,
    }  # fmt: skip
    torch.save(content, path)
    refused("does not fit its own network")
