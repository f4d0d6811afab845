"""A user's own faces, by the same commands."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from agegender.data.datamodule import FaceData
from agegender.data.own import read_labels
from agegender.data.table import Faces
from agegender.errors import InputError
from agegender.evaluate import evaluate

from ..conftest import composed, refusal, run_script


@pytest.fixture
def own(drawn: Faces, tmp_path: Path) -> pd.DataFrame:
    """Sixty faces under names that say nothing, in a folder of their own."""
    frame = drawn.frame.head(60)
    (tmp_path / "faces").mkdir()
    paths = [f"faces/p{i}.jpg" for i in range(len(frame))]
    for path, file in zip(paths, frame["file"], strict=True):
        shutil.copy(drawn.folder / file, tmp_path / path)
    table = pd.DataFrame({"path": paths, "age": frame["age_years"], "gender": frame["gender"]})
    return table.reset_index(drop=True)


SHRUNK = ("data=csv", "data.image_size=48", "trainer.max_epochs=1", "data.duplicates=keep")


def test_a_csv_trains_and_is_evaluated(own: pd.DataFrame, tmp_path: Path):
    own["group"] = ["family" if i < 40 else "" for i in range(len(own))]
    own.to_csv(tmp_path / "own.csv", index=False)
    run = tmp_path / "run"
    done = run_script(
        "train",
        *SHRUNK,
        f"data.csv={tmp_path / 'own.csv'}",
        f"output_dir={run}",
        "augment=none",
        "report=false",
    )
    assert done.returncode == 0, done.stderr
    split = pd.read_csv(run / "split.csv").set_index("file")
    family = split.loc[own["path"][:40]]
    assert family["group_id"].nunique() == 1
    assert family["part"].nunique() == 1
    metrics = json.loads((run / "metrics.json").read_text())
    done = run_script(
        "evaluate",
        f"checkpoint={run}/checkpoints/best.ckpt",
        "part=val",
        "report=false",
        f"output_dir={tmp_path / 'scored'}",
    )
    assert done.returncode == 0, done.stderr
    scored = json.loads((tmp_path / "scored/metrics.json").read_text())
    assert scored["val"] == metrics["val"]


def test_people_of_a_group_stay_together_and_are_no_copies(own: pd.DataFrame, tmp_path: Path):
    own["group"] = [f"person {i // 4}" for i in range(len(own))]
    own["age"] = [20 + i % 40 for i in range(len(own))]
    own["gender"] = [i % 2 for i in range(len(own))]
    rng = np.random.default_rng(0)
    for path in own["path"]:  # drawn faces are alike enough to be taken for copies
        noise = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((64, 64)).save(tmp_path / path)
    own.to_csv(tmp_path / "own.csv", index=False)
    data = FaceData(csv=str(tmp_path / "own.csv"), cache_dir=str(tmp_path), image_size=16)
    data.setup("fit")
    assert data.duplicates == "one"
    assert (data.frame["part"] != "").all(), "nobody is left out for having two pictures"
    found = data.frame.set_index("file").loc[own["path"]]
    assert found["age_years"].tolist() == own["age"].tolist()
    parts = found.groupby(own["group"].to_numpy())["part"].nunique()
    assert (parts == 1).all()
    assert found["group_id"].nunique() == 15
    assert data.groups.empty


def test_an_outside_test_set_is_scored_as_a_whole(own: pd.DataFrame, checkpoint_file, tmp_path):
    own.to_csv(tmp_path / "own.csv", index=False)
    split = pd.DataFrame({"file": own["path"], "part": "test"})
    split.to_csv(tmp_path / "split.csv", index=False)
    words = (
        f"checkpoint={checkpoint_file}", f"data.csv={tmp_path}/own.csv", "data.split=file",
        f"data.split_file={tmp_path}/split.csv", "allow_training_images=true",
        f"output_dir={tmp_path}/scored",
    )  # fmt: skip
    evaluate(composed(*words, name="evaluate"))
    metrics = json.loads((tmp_path / "scored/metrics.json").read_text())
    assert metrics["test"]["n"] == 60
    guess = own["age"].median()
    wanted = (own["age"] - guess).abs().mean()
    assert metrics["baseline"]["test"]["age_mae"] == pytest.approx(wanted)
    with pytest.raises(InputError, match="leaves no face in the train part"):
        FaceData(csv=str(tmp_path / "own.csv"), split="file", cache_dir=str(tmp_path),
                 split_file=str(tmp_path / "split.csv")).setup("fit")  # fmt: skip


def test_labels_are_those_of_the_csv(own: pd.DataFrame, tmp_path: Path):
    own["age"] = [i + 0.5 for i in range(len(own))]
    own["race"] = ["" if i else "3" for i in range(len(own))]
    own.iloc[::-1].to_csv(tmp_path / "own.csv", index=False)
    found = read_labels(tmp_path / "own.csv").set_index("file").loc[own["path"]]
    assert found["age_years"].tolist() == own["age"].tolist()
    assert found["gender"].tolist() == own["gender"].tolist()
    assert found["race"].iloc[0] == 3
    assert found["race"].isna().sum() == 59


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("age", "-1", "line 5: age '-1' is not a number of years from 0 to 120"),
        ("age", "400", "line 5: age '400'"),
        ("age", "old", "line 5: age 'old'"),
        ("gender", "2", "line 5: gender '2' is neither 0"),
        ("gender", "female", "line 5: gender 'female'"),
        ("race", "7", "line 5: race '7'"),
        ("path", "faces/none.jpg", "line 5: path 'faces/none.jpg' is no file"),
        ("path", "faces/p0.jpg", "line 5: path 'faces/p0.jpg' stands in it more than once"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(own, tmp_path, column, value, said):
    table = own.astype(str).assign(race="")
    table.loc[3, column] = value
    table.to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(InputError, match=said):
        read_labels(tmp_path / "own.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,age\na.jpg,3\n", "lacks the column gender"),
        ("path,age,gender\n", "has no rows"),
        ("", "cannot read"),
    ],
)
def test_a_csv_that_is_none_is_a_sentence(text: str, said: str, tmp_path: Path):
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_labels(tmp_path / "own.csv")


def test_the_command_line_says_it_without_a_traceback(tmp_path: Path):
    for words, said in (
        (["data=csv"], "data.csv: give it a value"),
        (["data=csv", "data.csv=nowhere.csv"], "data.csv=nowhere.csv does not exist"),
        (["data=synthetic", "data.split=kfold", "data.fold=5"], "data.fold=5 is not within 0 to 4"),
    ):
        assert said in refusal("train", *words, f"output_dir={tmp_path / 'run'}", cwd=tmp_path)
        assert not (tmp_path / "run/checkpoints").exists()
