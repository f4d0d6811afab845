"""Which face belongs to which part.

A *split* is the scheme; a *part* is train, val or test.
"""

import hashlib
import logging
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.errors import InputError

log = logging.getLogger(__name__)
Split = Literal["holdout", "kfold", "random", "notebook", "coral", "file"]
BY_GROUP: tuple[Split, ...] = ("holdout", "kfold")  # no group crosses parts in these
FOLDS = 5
Parts = npt.NDArray[np.str_]  # (N,) of "train", "val", "test", or "" for left out


def assign_parts(
    frame: pd.DataFrame, split: Split, split_file: Path | None = None, fold: int = 0
) -> Parts:
    """The part of every face.

    Args:
        frame: the faces, with file, sha256 and slice (`agegender.data.audit`).
        split: `holdout`: 80/10/10 by group, balanced by age and gender. `kfold`: five folds
            of two slices by group; fold k is tested, one slice of the next fold is val.
            `random`: 80/10/10 over files, copies ignored. `notebook`: 80/20 over files without a
            test part, as the seed notebook. `coral`: a published CSV of train and test; a tenth
            of its train part, by the bytes of each file, becomes val. `file`: a user's own CSV.
        split_file: the CSV of `coral` and `file`, with the columns file and part.
        fold: 0 to 4, of `kfold`.

    Raises:
        InputError: if the CSV is missing or says something that cannot be.
    """
    if split == "holdout":
        return np.array(["train"] * 8 + ["val", "test"])[frame["slice"]]
    if split == "kfold":
        of_slice = np.full(2 * FOLDS, "train", dtype="<U5")
        of_slice[[2 * fold, 2 * fold + 1]] = "test"
        of_slice[(2 * fold + 2) % (2 * FOLDS)] = "val"
        return of_slice[frame["slice"]]
    if split == "random":
        return _by_name(frame, {"train": 0.8, "val": 0.9, "test": 1.0})
    if split == "notebook":
        return _by_name(frame, {"train": 0.8, "val": 1.0})
    if split_file is None:
        raise InputError(
            f"data.split={split} needs data.split_file=FILE: a CSV with the columns file and part"
        )
    parts = _read_parts(split_file, frame)
    if split == "coral" and "val" not in parts:
        position = frame["sha256"].str[:13].map(lambda digits: int(digits, 16) / 16**13)
        parts[(parts == "train") & (position.to_numpy() < 0.1)] = "val"
    return parts


def _by_name(frame: pd.DataFrame, ends: dict[str, float]) -> Parts:
    """Shares of the files in the order of the SHA-256 of their *names*: the same anywhere."""
    digests = [hashlib.sha256(file.encode()).hexdigest() for file in frame["file"]]
    parts = np.empty(len(frame), dtype="<U5")
    order, start = np.argsort(digests, kind="stable"), 0
    for part, end in ends.items():
        stop = round(end * len(frame))
        parts[order[start:stop]] = part
        start = stop
    return parts


def crossings(frame: pd.DataFrame) -> dict[str, int]:
    """How many faces of val and test have a copy in the train part."""
    train = set(frame.loc[frame["part"] == "train", "group_id"])
    leaked = frame["group_id"].isin(train)
    return {part: int((leaked & (frame["part"] == part)).sum()) for part in ("val", "test")}


def split_hash(files: pd.Series, parts: Parts) -> str:
    """12 hex digits that name a split: which file is in which part."""
    lines = sorted(f"{file}\t{part}" for file, part in zip(files, parts, strict=True) if part)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _read_parts(split_file: Path, frame: pd.DataFrame) -> Parts:
    try:
        table = pd.read_csv(split_file, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read data.split_file={split_file}: {error}") from None
    missing = {"file", "part"} - set(table.columns)
    if missing:
        raise InputError(
            f"data.split_file={split_file} lacks the column {' and '.join(sorted(missing))}"
        )
    needed = table[["file", "part"]]
    if (needed.isna() | (needed == "")).any(axis=None):
        raise InputError(
            f"data.split_file={split_file} has a row without a file or a part: it may be cut"
        )
    twice = table["file"][table["file"].duplicated()]
    if len(twice):
        places = " and ".join(sorted(set(table.loc[table["file"] == twice.iloc[0], "part"])))
        raise InputError(
            f"data.split_file={split_file} names {twice.iloc[0]!r} more than once (in {places}):"
            f" a face belongs to one part"
        )
    odd = set(table["part"]) - {"train", "val", "test"}
    if odd:
        raise InputError(
            f"data.split_file={split_file} has the part {sorted(odd)[0]!r}: allowed are train, val"
            f" and test"
        )
    chosen = frame["file"].map(dict(zip(table["file"], table["part"], strict=True)))
    absent = table["file"][~table["file"].isin(frame["file"])]
    if len(absent):
        raise InputError(
            f"data.split_file={split_file} names {len(absent)} files that are not in the data, the"
            f" first {absent.iloc[0]!r}: remove them, or name the data that has them"
        )
    left = frame.loc[chosen.isna(), "file"]
    if len(left):
        log.warning(
            "data.split_file=%s leaves out %d of the %d faces, the first is %r",
            *(split_file, len(left), len(frame), left.iloc[0]),
        )
    # a column of nothing but gaps is one of numbers
    return chosen.astype(object).fillna("").to_numpy(dtype="<U5")
