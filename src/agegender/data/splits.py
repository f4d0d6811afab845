"""Which face belongs to which part.

A *split* is the scheme; a *part* is train, val or test.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.errors import InputError

log = logging.getLogger(__name__)
Split = Literal["holdout", "notebook", "coral"]
Parts = npt.NDArray[np.str_]  # (N,) of "train", "val", "test", or "" for left out


def holdout(frame: pd.DataFrame, split_file: Path | None) -> Parts:
    """80/10/10 by the bytes of each file: the same anywhere, and exact copies never part."""
    position = frame["sha256"].str[:13].map(lambda digits: int(digits, 16) / 16**13)
    return np.select([position < 0.8, position < 0.9], ["train", "val"], "test")


def notebook(frame: pd.DataFrame, split_file: Path | None) -> Parts:
    """80/20 without a test part, as the seed notebook: random over files, copies ignored.

    The order is that of the SHA-256 of the file *names*, so every machine and seed has the
    same split.
    """
    digests = [hashlib.sha256(file.encode()).hexdigest() for file in frame["file"]]
    parts = np.full(len(frame), "val", dtype="<U5")
    parts[np.argsort(digests, kind="stable")[: round(0.8 * len(frame))]] = "train"
    return parts


def coral(frame: pd.DataFrame, split_file: Path | None) -> Parts:
    """A published split (ages 21 to 60) from a CSV with the columns file and part.

    Where the CSV has no val part, a tenth of its train part, by the bytes of each file, is held
    out for selection.
    """
    if split_file is None:
        raise InputError(
            "data.split=coral needs data.split_file=FILE: a CSV with the columns file and part"
        )
    parts = _read_parts(split_file, frame)
    position = frame["sha256"].str[:13].map(lambda digits: int(digits, 16) / 16**13).to_numpy()
    if "val" not in parts:
        parts[(parts == "train") & (position < 0.1)] = "val"
    return parts


SPLITS: dict[Split, Callable[[pd.DataFrame, Path | None], Parts]] = {
    "holdout": holdout,
    "notebook": notebook,
    "coral": coral,
}


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
    twice = table["file"][table["file"].duplicated()]
    if len(twice):
        raise InputError(f"data.split_file={split_file} names {twice.iloc[0]!r} more than once")
    odd = set(table["part"]) - {"train", "val", "test"}
    if odd:
        raise InputError(
            f"data.split_file={split_file} has the part {sorted(odd)[0]!r}: allowed are train, val"
            f" and test"
        )
    chosen = frame["file"].map(dict(zip(table["file"], table["part"], strict=True)))
    if chosen.isna().all():
        raise InputError(f"none of the files in data.split_file={split_file} is in the data")
    absent = len(table) - int(chosen.notna().sum())
    if absent:
        log.warning("%d of the %d files in %s are not in the data", absent, len(table), split_file)
    return chosen.fillna("").to_numpy(dtype="<U5")
