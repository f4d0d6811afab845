"""Faces as Lightning takes them."""

import logging
import os
from pathlib import Path
from typing import Any, Literal, get_args

import lightning.pytorch as pl
import numpy as np
import pandas as pd
from torch.utils.data import DataLoader, Sampler

from agegender.data import synthetic
from agegender.data.audit import group_faces, group_table, said_of, unfit
from agegender.data.batches import (
    Deal,
    FaceBatches,
    InOrderBatches,
    Rows,
    ShuffledBatches,
    age_chances,
)
from agegender.data.cache import open_pixels
from agegender.data.files import in_turn
from agegender.data.own import read_labels
from agegender.data.source import find_utkface
from agegender.data.splits import BY_GROUP, FOLDS, Split, assign_parts, crossings, split_hash
from agegender.data.table import Faces, read_table, release_table
from agegender.errors import InputError
from agegender.types import Batch

log = logging.getLogger(__name__)
Duplicates = Literal["one", "keep", "drop_conflicts"]


def default_cache_dir() -> Path:
    """`$AGEGENDER_DATA`, or a folder in the user's cache."""
    place = os.environ.get("AGEGENDER_DATA", "")
    return Path(place).expanduser() if place else Path("~/.cache/agegender").expanduser()


class FaceData(pl.LightningDataModule):
    """UTKFace, any folder of pictures named like it, a user's own faces, or drawn portraits.

    Args:
        root: a folder of pictures, or a parent that holds `UTKFace/`.
        archive: the original `UTKFace.tar.gz`, or Kaggle's zip.
        csv: a table of a user's own faces; see `agegender.data.own.read_labels`.
        drawn: draw this many synthetic portraits instead; 0 means real data. With none of
            root, archive, csv and drawn, UTKFace is downloaded.
        drawn_seed: seed of the drawing.
        cache_dir: where downloads, tables and decoded pixels are kept; default
            `$AGEGENDER_DATA`, else `~/.cache/agegender`.
        split: `holdout`, `kfold`, `random`, `notebook`, `coral` or `file`; see
            `agegender.data.splits.assign_parts`.
        split_file: the CSV that `coral` and `file` read.
        fold: 0 to 4: which fold `kfold` tests.
        duplicates: what becomes of photographs that appear more than once. `one`: one face
            each, with the median age; contradicting ones (in gender, or in age by more than 5
            years) are left out. `drop_conflicts`: only these are left out. `keep`: all stay as
            they are. Default: `one` for `holdout` and `kfold`, `keep` for the others, whose
            figures are to be compared with published ones.
        image_size: side of the network's input, pixels.
        channels: 1 (grey) or 3 (RGB).
        batch_size: faces a training step, of each process if there are several.
        balance: how often faces of rare ages are trained on: 0 as often as all others, 1 so that
            all ages come equally often; between, by that power of the frequency of an age.
        pin_memory: put batches where a CUDA GPU copies them from while it computes.
        seed: decides the order of the training faces, together with the epoch.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        root: str | None = None,
        archive: str | None = None,
        csv: str | None = None,
        drawn: int = 0,
        drawn_seed: int = 0,
        cache_dir: str | None = None,
        split: Split = "holdout",
        split_file: str | None = None,
        fold: int = 0,
        duplicates: Duplicates | None = None,
        image_size: int = 128,
        channels: Literal[1, 3] = 1,
        batch_size: int = 32,
        balance: float = 0.0,
        pin_memory: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if sum(map(bool, (root, archive, csv, drawn))) > 1:
            raise ValueError(
                "data.root, data.archive, data.csv and data.drawn exclude each other: give one"
            )
        _check_split(split, fold, duplicates)
        if channels not in (1, 3):
            raise ValueError(f"data.channels={channels} is neither 1 (grey) nor 3 (RGB)")
        if not 16 <= image_size <= 512:
            raise ValueError(f"data.image_size={image_size} is not within 16 to 512 pixels")
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size} is not at least 1")
        if not 0 <= balance <= 1:
            raise ValueError(f"data.balance={balance} is not within 0 to 1")
        if drawn < 0:
            raise ValueError(f"data.drawn={drawn} is not at least 0")
        self.root, self.archive = root, archive
        self.csv = Path(csv).expanduser() if csv else None
        self.drawn, self.drawn_seed = drawn, drawn_seed
        self.cache_dir = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
        self.split, self.split_file = split, Path(split_file).expanduser() if split_file else None
        self.fold = fold
        self.duplicates = duplicates or ("one" if split in BY_GROUP else "keep")
        self.image_size, self.channels = image_size, channels
        self.batch_size, self.balance = batch_size, balance
        self.pin_memory, self.seed = pin_memory, seed
        self._faces: Faces | None = None

    def setup(self, stage: str) -> None:
        """Find, check, group, split and decode; only the first call does anything."""
        if self._faces is None:
            with in_turn(self.cache_dir):  # one process makes what is to be cached
                self._faces = self._prepared()
            self._tell_parts(("train", "val") if stage == "fit" else ())

    def _prepared(self) -> Faces:
        faces = self._read()
        self._tell(faces)
        # drawn portraits are alike without being copies
        faces = group_faces(faces, self.cache_dir, near=not self.drawn)
        parts = assign_parts(faces.frame, self.split, self.split_file, self.fold)
        groups = group_table(faces.frame)
        self.groups = groups.assign(left_out=unfit(groups) & (self.duplicates != "keep"))
        self.frame = apply_policy(faces.frame.assign(part=parts), self.groups, self.duplicates)
        self.kept_test = np.flatnonzero(parts == "test")
        self.split_hash = split_hash(self.frame["file"], self.frame["part"].to_numpy(dtype=str))
        self.crossings = crossings(self.frame)
        self.pixels = open_pixels(faces, self.cache_dir, self.channels, self.image_size)
        return faces

    @property
    def faces(self) -> Faces:
        """The table of faces and what was rejected; there after `setup`."""
        assert self._faces is not None, "setup() comes first"
        return self._faces

    def rows(self, part: str) -> Rows:
        """Rows of `frame` in a part."""
        return np.flatnonzero(self.frame["part"] == part)

    def scored(self, part: str) -> pd.DataFrame:
        """The faces that a part is scored on, with the labels they are scored against.

        Besides train, val and test there is `test_keep`: all faces of the test part's
        photographs, as annotated, whatever `duplicates` says; empty if that changes nothing.
        Its rows keep their place in `frame`.
        """
        if part != "test_keep":
            return self.frame.iloc[self.rows(part)]
        same = np.array_equal(self.kept_test, self.rows("test"))
        return self.faces.frame.iloc[[] if same else self.kept_test].assign(part=part)

    def train_dataloader(self) -> "DataLoader[Batch]":
        rows = self.rows("train")
        chances = age_chances(self.frame["age_years"].to_numpy()[rows], self.balance)
        batches = ShuffledBatches(
            len(rows), self.batch_size, self.seed, chances, self._deal(), self._done
        )
        return self._loader(rows, batches)

    def _done(self) -> int:
        """How many batches an epoch has had when one is asked for first: 0 but after a cut."""
        trainer = self.trainer
        return trainer.fit_loop.epoch_loop.batch_progress.current.ready if trainer else 0

    def val_dataloader(self) -> "DataLoader[Batch]":
        deal = self._deal()
        return self._in_order(self.rows("val")[deal.rank :: deal.world])

    def _deal(self) -> Deal:
        """This process's place among those that train together."""
        trainer = self.trainer
        return Deal(trainer.global_rank, trainer.world_size) if trainer else Deal()

    def part_dataloader(self, part: str) -> "DataLoader[Batch]":
        """All faces of a part in table order, without augmentation."""
        return self._in_order(np.array(self.scored(part).index, dtype=np.int64))

    def _in_order(self, rows: Rows) -> "DataLoader[Batch]":
        return self._loader(rows, InOrderBatches(len(rows), self.batch_size))

    def _loader(self, rows: Rows, batches: "Sampler[Rows]") -> "DataLoader[Batch]":
        # the sampler yields whole batches of positions; no worker could be faster than one
        # fancy index into the memory map
        dataset = FaceBatches(self.pixels, self.frame, rows)
        return DataLoader(
            dataset,
            batch_size=None,
            sampler=batches,
            collate_fn=_as_it_is,
            pin_memory=self.pin_memory,
        )

    def _read(self) -> Faces:
        if self.csv:
            return read_table(self.csv.parent, self.cache_dir, read_labels(self.csv))
        if self.drawn:
            folder = synthetic.draw_folder(self.cache_dir, self.drawn, self.drawn_seed)
        else:
            folder = find_utkface(self.root, self.archive, self.cache_dir)
        return read_table(folder, self.cache_dir)

    def _tell(self, faces: Faces) -> None:
        log.info(
            "%d faces in %s, %d files rejected", len(faces.frame), faces.folder, len(faces.rejects)
        )
        whole = release_table().attrs["files"]
        if not (self.drawn or self.csv) and (faces.release, len(faces.frame)) != (whole, whole):
            log.warning(
                "this is not the public UTKFace release: %d of %d files match", faces.release, whole
            )

    def _tell_parts(self, needed: tuple[str, ...]) -> None:
        parts = ("train", "val", "test")
        counts = {part: len(self.rows(part)) for part in parts}
        log.info("%s", said_of(self.groups))
        log.info(
            "duplicates=%s leaves %d of %d faces in the split",
            *(self.duplicates, sum(counts.values()), len(self.frame)),
        )
        log.info(
            "split %s (%s): %s",
            *(self.split, self.split_hash),
            ", ".join(f"{n} {part}" for part, n in counts.items()),
        )
        if any(self.crossings.values()):
            log.warning(
                "copies cross parts: %d faces of val and %d of test have a copy in train",
                *(self.crossings["val"], self.crossings["test"]),
            )
        for part in needed:
            if not counts[part]:
                raise InputError(f"data.split={self.split} leaves no face in the {part} part")


def apply_policy(frame: pd.DataFrame, groups: pd.DataFrame, duplicates: Duplicates) -> pd.DataFrame:
    """Empty the part of faces that the policy leaves out, and settle ages; see `FaceData`."""
    if duplicates == "keep":
        return frame
    frame = frame.copy()
    frame.loc[frame["photo_id"].isin(groups.loc[groups["left_out"], "photo_id"]), "part"] = ""
    if duplicates == "one":
        order = frame.sort_values(["sha256", "file"]).index
        first = ~frame.loc[order, "photo_id"].duplicated()
        frame.loc[first.index[~first], "part"] = ""
        frame["age_years"] = frame.groupby("photo_id")["age_years"].transform("median")
    return frame


def _as_it_is(batch: Any) -> Any:
    return batch


def _check_split(split: Split, fold: int, duplicates: Duplicates | None) -> None:
    if split not in get_args(Split):
        raise ValueError(f"data.split={split!r} is not one of {', '.join(get_args(Split))}")
    if not 0 <= fold < FOLDS:
        raise ValueError(f"data.fold={fold} is not within 0 to {FOLDS - 1}")
    if fold and split != "kfold":
        raise ValueError(f"data.fold={fold} is for data.split=kfold, not {split}")
    if duplicates not in (None, *get_args(Duplicates)):
        allowed = ", ".join(get_args(Duplicates))
        raise ValueError(f"data.duplicates={duplicates!r} is not one of {allowed}")
