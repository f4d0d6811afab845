from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.data.audit import group_faces
from agegender.data.splits import BY_GROUP, Split, assign_parts, crossings, split_hash
from agegender.data.table import Faces
from agegender.errors import InputError

CORAL_CSV = Path(__file__).parents[3] / "shared/splits/coral_utk.csv"


def table(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    digests = [rng.bytes(32).hex() for _ in range(n)]
    frame = pd.DataFrame({"file": [f"{i}.jpg" for i in range(n)], "sha256": digests})
    return frame.assign(slice=rng.permutation(n) % 10)


def shares(parts) -> dict[str, float]:
    return pd.Series(parts).value_counts(normalize=True).round(2).to_dict()


def test_holdout_is_80_10_10_by_slice():
    frame = table(1000)
    parts = assign_parts(frame, "holdout")
    assert shares(parts) == {"train": 0.8, "val": 0.1, "test": 0.1}
    assert set(frame["slice"][parts == "val"]) == {8}
    assert set(frame["slice"][parts == "test"]) == {9}


def test_folds_test_every_face_once_and_part_no_slice():
    frame = table(1000)
    folds = [assign_parts(frame, "kfold", fold=k) for k in range(5)]
    assert (sum((parts == "test").astype(int) for parts in folds) == 1).all()
    assert (sum((parts == "val").astype(int) for parts in folds) <= 1).all()
    for parts in folds:
        assert shares(parts) == {"train": 0.7, "test": 0.2, "val": 0.1}
        assert (pd.Series(parts).groupby(frame["slice"]).nunique() == 1).all()


def test_random_and_notebook_hang_on_the_names_alone():
    frame = table(1000)
    assert pd.Series(assign_parts(frame, "notebook")).value_counts().to_dict() == {
        "train": 800,
        "val": 200,
    }
    parts = assign_parts(frame, "random")
    assert pd.Series(parts).value_counts().to_dict() == {"train": 800, "val": 100, "test": 100}
    other = frame.assign(sha256="0", slice=0).iloc[::-1]
    assert (assign_parts(other, "random")[::-1] == parts).all()


def test_crossings_count_faces_whose_group_is_in_train():
    frame = pd.DataFrame(
        {
            "group_id": list("aabbbcd"),
            "part": ["train", "test", "train", "val", "val", "test", "train"],
        }
    )
    assert crossings(frame) == {"val": 2, "test": 1}


def test_a_users_own_split_is_taken_as_it_is(tmp_path: Path):
    path = tmp_path / "split.csv"
    path.write_text("file,part\n0.jpg,train\n3.jpg,test\n1.jpg,val\n")
    assert assign_parts(table(5), "file", path).tolist() == ["train", "val", "", "test", ""]


def test_split_hash_names_who_is_where_whatever_the_order():
    files = pd.Series(["a", "b", "c"])
    first = split_hash(files, np.array(["train", "val", ""]))
    assert first == split_hash(files[::-1], np.array(["", "val", "train"]))
    assert first != split_hash(files, np.array(["val", "train", ""]))
    assert len(first) == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,part\n0.jpg,train\n", "lacks the column file"),
        ("file,part\n0.jpg,train\n0.jpg,test\n", r"'0.jpg' more than once \(in test and train\)"),
        ("file,part\n0.jpg,dev\n", "has the part 'dev'"),
        (
            "file,part\nx.jpg,test\n0.jpg,train\n",
            "names 1 files that are not in the data, the first 'x.jpg'",
        ),
        ("", "cannot read"),
    ],
)
def test_a_bad_split_file_is_a_sentence(text: str, said: str, tmp_path: Path):
    path = tmp_path / "split.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        assign_parts(table(5), "file", path)
    with pytest.raises(InputError, match=r"data\.split_file=FILE"):
        assign_parts(table(5), "coral")


@pytest.fixture(scope="module")
def grouped(utkface: Faces, cache_dir: Path) -> pd.DataFrame:
    return group_faces(utkface, cache_dir).frame


@pytest.mark.parametrize("split", BY_GROUP)
@pytest.mark.parametrize("fold", range(5))
def test_no_copy_in_real_utkface_crosses_parts(split: Split, fold: int, grouped: pd.DataFrame):
    frame = grouped.assign(part=assign_parts(grouped, split, fold=fold))
    copies = grouped["sha256"].value_counts()
    assert (copies > 1).sum() == 375, "the release's groups of exact copies"
    assert (frame.groupby("sha256")["part"].nunique() == 1).all()
    assert (frame.groupby("group_id")["part"].nunique() == 1).all()
    assert crossings(frame) == {"val": 0, "test": 0}


def test_holdout_of_real_utkface_is_balanced_and_the_published_one(grouped: pd.DataFrame):
    frame = grouped.assign(part=assign_parts(grouped, "holdout"))
    by_part = frame.groupby("part")
    assert shares(frame["part"]) == {"train": 0.8, "val": 0.1, "test": 0.1}
    assert np.ptp(by_part["age_years"].mean()) < 0.2
    assert np.ptp(by_part["gender"].mean()) < 0.01
    assert split_hash(frame["file"], frame["part"].to_numpy()) == "7ebd1dd16c94"


def test_other_splits_of_real_utkface_say_what_crosses(grouped: pd.DataFrame):
    for split in ("random", "notebook"):
        found = crossings(grouped.assign(part=assign_parts(grouped, split)))
        assert found["val"] > 100, split


def test_notebook_split_of_real_utkface_is_the_published_one(utkface: Faces):
    parts = assign_parts(utkface.frame, "notebook")
    assert split_hash(utkface.frame["file"], parts) == "0d0f88eaa573"
    assert pd.Series(parts).value_counts().to_dict() == {"train": 18_966, "val": 4_742}


@pytest.mark.skipif(not CORAL_CSV.is_file(), reason="the CORAL split file is not here")
def test_coral_split_of_real_utkface(utkface: Faces):
    parts = pd.Series(assign_parts(utkface.frame, "coral", CORAL_CSV))
    counts = parts.value_counts().to_dict()
    assert counts["test"] == 3_287
    assert counts["train"] + counts["val"] == 13_147
    assert 0.09 < counts["val"] / 13_147 < 0.11
    ages = utkface.frame["age_years"][parts != ""]
    assert (ages.min(), ages.max()) == (21, 60)
