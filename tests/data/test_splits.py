import hashlib
import logging
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


@pytest.mark.parametrize(
    ("fold", "test", "val"), [(0, {0, 1}, {2}), (2, {4, 5}, {6}), (4, {8, 9}, {0})]
)
def test_a_fold_has_two_slices_and_one_of_the_next_is_val(fold: int, test: set, val: set):
    frame = table(100)
    parts = assign_parts(frame, "kfold", fold=fold)
    assert set(frame["slice"][parts == "test"]) == test
    assert set(frame["slice"][parts == "val"]) == val
    if fold == 0:
        assert (assign_parts(frame, "kfold") == parts).all(), "the first is what is meant without"


def test_random_goes_by_the_sha256_of_names():
    frame = table(20)
    order = sorted(frame["file"], key=lambda file: hashlib.sha256(file.encode()).hexdigest())
    found = dict(zip(frame["file"], assign_parts(frame, "random"), strict=True))
    assert [found[file] for file in order] == ["train"] * 16 + ["val"] * 2 + ["test"] * 2
    found = dict(zip(frame["file"], assign_parts(frame, "notebook"), strict=True))
    assert [found[file] for file in order] == ["train"] * 16 + ["val"] * 4


def test_corals_train_part_gives_a_tenth_to_val_by_the_bytes_of_the_faces(tmp_path: Path):
    # a tenth of 16 ** 13 is 1999999999999.9...: the first is below it, the second above
    digests = ["1999999999999fff", "199999999999a000", "0000000000000000", "ffffffffffffffff"]
    frame = pd.DataFrame({"file": list("abcd"), "sha256": digests, "slice": 0})
    path = tmp_path / "split.csv"
    path.write_text("file,part\na,train\nb,train\nc,test\nd,train\n")
    assert assign_parts(frame, "coral", path).tolist() == ["val", "train", "test", "train"]
    assert "val" not in assign_parts(frame, "file", path), "a user's own split is not changed"
    path.write_text("file,part\na,train\nb,val\nc,test\nd,train\n")
    assert assign_parts(frame, "coral", path).tolist() == ["train", "val", "test", "train"]


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


@pytest.mark.parametrize("files", [["007", "12", "1e3"], ["NA", "nan", "None"]])
def test_names_that_look_like_numbers_or_gaps_are_names(files: list[str], tmp_path: Path):
    frame = pd.DataFrame({"file": files, "sha256": "0", "slice": 0})
    path = tmp_path / "split.csv"
    rows = zip(files, ("train", "val", "test"), strict=True)
    path.write_text("file,part\n" + "".join(f"{file},{part}\n" for file, part in rows))
    assert assign_parts(frame, "file", path).tolist() == ["train", "val", "test"]


def test_faces_that_a_split_file_leaves_out_are_told(tmp_path: Path, caplog):
    path = tmp_path / "split.csv"
    path.write_text("file,part\n0.jpg,train\n3.jpg,test\n")
    with caplog.at_level(logging.WARNING):
        assign_parts(table(5), "file", path)
    said = f"data.split_file={path} leaves out 3 of the 5 faces, the first is '1.jpg'"
    assert caplog.messages == [said]
    caplog.clear()
    path.write_text("file,part\n0.jpg,train\n1.jpg,test\n")
    assign_parts(table(2), "file", path)
    assert caplog.messages == []


def test_a_split_file_may_leave_out_every_face(tmp_path: Path):
    path = tmp_path / "split.csv"
    path.write_text("file,part\n")
    assert assign_parts(table(3), "file", path).tolist() == ["", "", ""]


def test_split_hash_names_who_is_where_whatever_the_order():
    files = pd.Series(["a", "b", "c"])
    first = split_hash(files, np.array(["train", "val", ""]))
    assert first == split_hash(files[::-1], np.array(["", "val", "train"]))
    assert first != split_hash(files, np.array(["val", "train", ""]))
    assert len(first) == 12
    by_hand = hashlib.sha256(b"a\ttrain\nb\tval").hexdigest()[:12]
    assert first == by_hand, "published hashes stay what they are"
    with pytest.raises(ValueError, match="shorter"):
        split_hash(files, np.array(["train", "val"]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,part\n0.jpg,train\n", " lacks the column file"),
        ("name,of\n0.jpg,train\n", " lacks the column file and part"),
        (
            "file,part\n1.jpg,train\n0.jpg,train\n0.jpg,test\n2.jpg,val\n2.jpg,val\n",
            " names '0.jpg' more than once (in test and train): a face belongs to one part",
        ),
        (
            "file,part\n0.jpg,valid\n1.jpg,dev\n",
            " has the part 'dev': allowed are train, val and test",
        ),
        ("file,part\n0.jpg,train\n1.jpg\n", " has a row without a file or a part: it may be cut"),
        ("file,part\n,train\n", " has a row without a file or a part: it may be cut"),
        (
            "file,part\n0.jpg,train\nx.jpg,test\ny.jpg,test\n",
            " names 2 files that are not in the data, the first 'x.jpg': remove them, or name the"
            " data that has them",
        ),
    ],
)
def test_a_bad_split_file_is_a_sentence(text: str, said: str, tmp_path: Path):
    path = tmp_path / "split.csv"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        assign_parts(table(5), "file", path)
    assert str(refused.value) == f"data.split_file={path}{said}"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_what_cannot_be_read_as_a_split_file_is_told(content: bytes | None, tmp_path: Path):
    path = tmp_path / "split.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"cannot read data.split_file={path}: ."):
        assign_parts(table(5), "file", path)


@pytest.mark.parametrize("split", ["coral", "file"])
def test_a_split_that_needs_a_file_says_so(split: Split):
    with pytest.raises(InputError) as refused:
        assign_parts(table(5), split)
    said = f"data.split={split} needs data.split_file=FILE: a CSV with the columns file and part"
    assert str(refused.value) == said


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
