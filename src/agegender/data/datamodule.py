"""Faces as Lightning takes them."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from agegender.data import synthetic
from agegender.data.cache import Pixels, open_pixels
from agegender.data.source import find_utkface
from agegender.data.splits import SPLITS, Split, split_hash
from agegender.data.table import Faces, read_table, release_digests
from agegender.errors import InputError
from agegender.types import Batch

log = logging.getLogger(__name__)
Rows = npt.NDArray[np.int64]


def default_cache_dir() -> Path:
    """`$AGEGENDER_DATA`, or a folder in the user's cache."""
    place = os.environ.get("AGEGENDER_DATA", "")
    return Path(place).expanduser() if place else Path("~/.cache/agegender").expanduser()


class FaceData(pl.LightningDataModule):
    """UTKFace, or any folder of pictures named like it, or drawn portraits.

    Args:
        root: a folder of pictures, or a parent that holds `UTKFace/`.
        archive: the original `UTKFace.tar.gz`, or Kaggle's zip.
        drawn: draw this many synthetic portraits instead; 0 means real data. With neither
            root, archive nor drawn, UTKFace is downloaded.
        drawn_seed: seed of the drawing.
        cache_dir: where downloads, tables and decoded pixels are kept; default
            `$AGEGENDER_DATA`, else `~/.cache/agegender`.
        split: `holdout`, `notebook` or `coral`; see `agegender.data.splits`.
        split_file: the CSV that `coral` reads.
        image_size: side of the network's input, pixels.
        channels: 1 (grey) or 3 (RGB).
        batch_size: faces a training step.
        seed: decides the order of the training faces, together with the epoch.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        root: str | None = None,
        archive: str | None = None,
        drawn: int = 0,
        drawn_seed: int = 0,
        cache_dir: str | None = None,
        split: Split = "holdout",
        split_file: str | None = None,
        image_size: int = 128,
        channels: Literal[1, 3] = 1,
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if sum(map(bool, (root, archive, drawn))) > 1:
            raise ValueError("data.root, data.archive and data.drawn exclude each other: give one")
        if split not in SPLITS:
            raise ValueError(f"data.split={split!r} is not one of {', '.join(SPLITS)}")
        if channels not in (1, 3):
            raise ValueError(f"data.channels={channels} is neither 1 (grey) nor 3 (RGB)")
        if not 16 <= image_size <= 512:
            raise ValueError(f"data.image_size={image_size} is not within 16 to 512 pixels")
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size} is not at least 1")
        if drawn < 0:
            raise ValueError(f"data.drawn={drawn} is not at least 0")
        self.root, self.archive = root, archive
        self.drawn, self.drawn_seed = drawn, drawn_seed
        self.cache_dir = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
        self.split, self.split_file = split, Path(split_file) if split_file else None
        self.image_size, self.channels = image_size, channels
        self.batch_size, self.seed = batch_size, seed
        self._faces: Faces | None = None

    def setup(self, stage: str) -> None:
        """Find, check, split and decode; only the first call does anything."""
        if self._faces is not None:
            return
        folder = self._find()
        faces = read_table(folder, self.cache_dir)
        self._tell(faces)
        parts = SPLITS[self.split](faces.frame, self.split_file)
        self.frame = faces.frame.assign(part=parts)
        self.split_hash = split_hash(faces.frame["file"], parts)
        self.pixels = open_pixels(faces, self.cache_dir, self.channels, self.image_size)
        self._faces = faces
        counts = {part: len(self.rows(part)) for part in ("train", "val", "test")}
        log.info(
            "split %s (%s): %s",
            self.split,
            self.split_hash,
            ", ".join(f"{n} {part}" for part, n in counts.items()),
        )
        for part in ("train", "val"):
            if not counts[part]:
                raise InputError(f"data.split={self.split} leaves no face in the {part} part")

    @property
    def faces(self) -> Faces:
        """The table of faces and what was rejected; there after `setup`."""
        assert self._faces is not None, "setup() comes first"
        return self._faces

    def rows(self, part: str) -> Rows:
        """Rows of `frame` in a part."""
        return np.flatnonzero(self.frame["part"] == part)

    def train_dataloader(self) -> "DataLoader[Batch]":
        rows = self.rows("train")
        return self._loader(rows, ShuffledBatches(len(rows), self.batch_size, self.seed))

    def val_dataloader(self) -> "DataLoader[Batch]":
        return self.part_dataloader("val")

    def test_dataloader(self) -> "DataLoader[Batch]":
        return self.part_dataloader("test")

    def part_dataloader(self, part: str) -> "DataLoader[Batch]":
        """The faces of a part in table order, without augmentation."""
        rows = self.rows(part)
        return self._loader(rows, InOrderBatches(len(rows), self.batch_size))

    def _loader(self, rows: Rows, batches: "Sampler[Rows]") -> "DataLoader[Batch]":
        # the sampler yields whole batches of positions; no worker could be faster than one
        # fancy index into the memory map
        dataset = FaceBatches(self.pixels, self.frame, rows)
        return DataLoader(dataset, batch_size=None, sampler=batches, collate_fn=_as_it_is)

    def _find(self) -> Path:
        if self.drawn:
            return synthetic.draw_folder(self.cache_dir, self.drawn, self.drawn_seed)
        return find_utkface(self.root, self.archive, self.cache_dir)

    def _tell(self, faces: Faces) -> None:
        log.info(
            "%d faces in %s, %d files rejected", len(faces.frame), faces.folder, len(faces.rejects)
        )
        whole = len(release_digests())
        if not self.drawn and (faces.release, len(faces.frame)) != (whole, whole):
            log.warning(
                "this is not the public UTKFace release: %d of %d files match", faces.release, whole
            )


class FaceBatches(Dataset[Batch]):
    """Index with an array of positions, get a `Batch`."""

    def __init__(self, pixels: Pixels, frame: pd.DataFrame, rows: Rows) -> None:
        self.pixels = pixels
        self.rows = torch.from_numpy(rows)
        self.age = torch.from_numpy(frame["age_years"].to_numpy(np.float32)[rows])
        self.gender = torch.from_numpy(frame["gender"].to_numpy(np.float32)[rows])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Rows) -> Batch:
        row = self.rows[positions]
        return Batch(
            image=torch.from_numpy(self.pixels[row.numpy()]),
            age=self.age[positions],
            gender=self.gender[positions],
            row=row,
        )


class ShuffledBatches(Sampler[Rows]):
    """Positions 0..n-1 in an order that (seed, epoch) decides; Lightning sets the epoch."""

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self.n, self.batch_size, self.seed, self.epoch = n, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Rows]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.n)
        for start in range(0, self.n, self.batch_size):
            yield order[start : start + self.batch_size]


class InOrderBatches(Sampler[Rows]):
    """Positions 0..n-1 in order."""

    def __init__(self, n: int, batch_size: int) -> None:
        self.n, self.batch_size = n, batch_size

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Rows]:
        for start in range(0, self.n, self.batch_size):
            yield np.arange(start, min(start + self.batch_size, self.n))


def _as_it_is(batch: Any) -> Any:
    return batch
