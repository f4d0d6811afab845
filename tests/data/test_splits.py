from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.data.splits import coral, holdout, notebook, split_hash
from agegender.data.table import Faces
from agegender.errors import InputError

CORAL_CSV = Path(__file__).parents[3] / "shared/splits/coral_utk.csv"


def table(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    digests = [rng.bytes(32).hex() for _ in range(n)]
    return pd.DataFrame({"file": [f"{i}.jpg" for i in range(n)], "sha256": digests})


def shares(parts) -> dict[str, float]:
    return pd.Series(parts).value_counts(normalize=True).round(2).to_dict()


def test_holdout_is_80_10_10_and_hangs_on_the_bytes_alone():
    frame = table(20_000)
    parts = holdout(frame, None)
    assert shares(parts) == {"train": 0.8, "val": 0.1, "test": 0.1}
    renamed = frame.assign(file="other" + frame["file"]).iloc[::-1]
    assert (holdout(renamed, None)[::-1] == parts).all()


def test_notebook_is_80_20_without_a_test_part():
    parts = notebook(table(1000), None)
    assert pd.Series(parts).value_counts().to_dict() == {"train": 800, "val": 200}


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
        ("file,part\n0.jpg,train\n0.jpg,test\n", "names '0.jpg' more than once"),
        ("file,part\n0.jpg,dev\n", "has the part 'dev'"),
        ("file,part\nx.jpg,test\n", "none of the files"),
        ("", "cannot read"),
    ],
)
def test_a_bad_split_file_is_a_sentence(text: str, said: str, tmp_path: Path):
    path = tmp_path / "split.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        coral(table(5), path)
    with pytest.raises(InputError, match=r"data\.split_file=FILE"):
        coral(table(5), None)


def test_exact_copies_in_real_utkface_never_cross(utkface: Faces):
    frame = utkface.frame.assign(part=holdout(utkface.frame, None))
    parts = frame.groupby("sha256")["part"].agg(["size", "nunique"])
    assert (parts["size"] > 1).sum() == 375, "the release's groups of exact copies"
    assert (parts["nunique"] == 1).all()
    assert shares(frame["part"]) == {"train": 0.8, "val": 0.1, "test": 0.1}
    assert split_hash(frame["file"], frame["part"].to_numpy()) == "c68bc831db41"


def test_notebook_split_of_real_utkface_is_the_published_one(utkface: Faces):
    parts = notebook(utkface.frame, None)
    assert split_hash(utkface.frame["file"], parts) == "0d0f88eaa573"
    assert pd.Series(parts).value_counts().to_dict() == {"train": 18_966, "val": 4_742}


@pytest.mark.skipif(not CORAL_CSV.is_file(), reason="the CORAL split file is not here")
def test_coral_split_of_real_utkface(utkface: Faces):
    parts = pd.Series(coral(utkface.frame, CORAL_CSV))
    counts = parts.value_counts().to_dict()
    assert counts["test"] == 3_287
    assert counts["train"] + counts["val"] == 13_147
    assert 0.09 < counts["val"] / 13_147 < 0.11
    ages = utkface.frame["age_years"][parts != ""]
    assert (ages.min(), ages.max()) == (21, 60)
