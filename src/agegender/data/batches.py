"""Whole batches of faces out of the memory map, and the order they come in."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch.utils.data import Dataset, Sampler

from agegender.data.cache import Pixels
from agegender.types import Batch

Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def age_chances(age: Values, balance: float) -> Values | None:
    """How likely each face is to be drawn, so that rare ages are trained on more often.

    The frequency of an age is that of ages at most two years off, since UTKFace's heap at round
    years.

    Args:
        age: (n,) years.
        balance: power of the frequency that is undone, 0 to 1.

    Returns:
        (n,) chances that sum to 1; None if all are equal.
    """
    if not balance:
        return None
    year = age.round().astype(int)
    counts = np.convolve(np.bincount(year, minlength=5), np.ones(5), "same")
    weights = counts[year] ** -balance
    chances: Values = weights / weights.sum()
    return chances


class Deal(NamedTuple):
    """Which part of each batch is whose, where several processes train one network.

    Attributes:
        rank: of this process, from 0.
        world: how many processes there are.
    """

    rank: int = 0
    world: int = 1


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
    """Positions 0..n-1 in an order that (seed, epoch) decides; Lightning sets the epoch.

    Of several processes each gets an equal share of every batch, so that they end together; up to
    world - 1 positions at the end of an epoch's order are left out for that.

    Args:
        n: how many there are.
        batch_size: of all batches but the last, for each process. Where one process trains alone,
            a single face that is left over goes into the batch before it, since batch
            normalisation can do nothing with one.
        seed: of the order.
        chances: (n,) of each position, to draw n of them with replacement; None: each comes once.
        deal: which share is this process's.
        done: how many batches an epoch that was cut off has had; they are left out.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int,
        chances: Values | None = None,
        deal: Deal = Deal(),  # noqa: B008 - it cannot be changed
        done: Callable[[], int] = int,
    ) -> None:
        self.n, self.batch_size, self.seed, self.epoch = n, batch_size, seed, 0
        self.chances, self.deal, self.done = chances, deal, done

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        mine, size = self.n // self.deal.world, self.batch_size
        lone = self.deal.world == 1 and mine > size and mine % size == 1
        return mine // size if lone else -(-mine // size)

    def __iter__(self) -> Iterator[Rows]:
        rank, world = self.deal
        rng = np.random.default_rng([self.seed, self.epoch])
        if self.chances is None:
            order = rng.permutation(self.n)
        else:
            order = rng.choice(self.n, self.n, p=self.chances)
        order = order[: self.n - self.n % world]
        step, batches = self.batch_size * world, len(self)
        for i in range(self.done() % batches, batches):
            end = (i + 1) * step if i < batches - 1 else len(order)
            yield order[i * step : end][rank::world]


class InOrderBatches(Sampler[Rows]):
    """Positions 0..n-1 in order."""

    def __init__(self, n: int, batch_size: int) -> None:
        self.n, self.batch_size = n, batch_size

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Rows]:
        for start in range(0, self.n, self.batch_size):
            yield np.arange(start, min(start + self.batch_size, self.n))
