"""What the machine can do, and what training costs as the work grows."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig
from torch.utils.data import DataLoader

from agegender.bench.link import Link, Stopwatch
from agegender.bench.loops import Faces, Loop, data_of
from agegender.data.batches import FaceBatches, ShuffledBatches
from agegender.data.cache import open_pixels
from agegender.types import Batch


def peak(link: Link) -> None:
    """What the machine can do at most: matrix products, and copies in memory."""
    link.ready()
    while True:
        link.order()
        watch = Stopwatch()
        link.answer(
            0, watch, bf16=_gflops(torch.bfloat16), fp32=_gflops(torch.float32), copy=_gb_per_s()
        )


def cache(link: Link, cfg: DictConfig) -> None:
    """How long it takes to decode every face into a new cache."""
    data = data_of(cfg)
    link.ready()
    link.order()
    with tempfile.TemporaryDirectory(dir=data.cache_dir) as folder:
        watch = Stopwatch()
        pixels = open_pixels(data.faces, Path(folder), data.channels, data.image_size)
        link.answer(len(pixels), watch)


def cost(link: Link, cfg: DictConfig, seconds: float) -> None:
    """Training steps on a constant batch, or on repeated data, of whatever size is ordered."""
    link.ready()
    threads = torch.get_num_threads()
    while True:
        order = {"batch": cfg.data.batch_size, "size": cfg.data.image_size, "threads": threads}
        order |= {"images": 0, **link.order()}
        torch.set_num_threads(order["threads"])
        given = cfg.copy()
        given.data.batch_size, given.data.image_size = order["batch"], order["size"]
        loop = Loop(given)
        with tempfile.TemporaryDirectory() as folder:
            batches: Iterator[Faces]
            if order["images"]:
                batches = map(loop.faces, _repeated(given, order["images"], Path(folder)))
            else:
                batches = itertools.repeat(_noise(given, loop))
            for _ in range(3):
                loop.step(next(batches))
            watch, images = Stopwatch(), 0
            while watch.seconds() < seconds:
                faces = next(batches)
                loop.step(faces)
                images += len(faces[1])
            link.answer(images, watch)


def _repeated(cfg: DictConfig, n: int, folder: Path) -> Iterator[Batch]:
    """Shuffled batches of so many faces, copies of those there are, from a map of their own."""
    data = data_of(cfg)
    rows = np.resize(np.arange(len(data.pixels)), n)
    shape = (n, *data.pixels.shape[1:])
    pixels = np.lib.format.open_memmap(
        folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape
    )
    for start in range(0, n, len(data.pixels)):
        part = pixels[start : start + len(data.pixels)]
        part[:] = data.pixels[: len(part)]
    pixels.flush()
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    frame: pd.DataFrame = data.frame.iloc[rows]
    batches = ShuffledBatches(n, data.batch_size, seed=0)
    loader = DataLoader(
        FaceBatches(pixels, frame, np.arange(n)),
        batch_size=None,
        sampler=batches,
        collate_fn=lambda batch: batch,
    )
    return itertools.chain.from_iterable(itertools.repeat(loader))


def _noise(cfg: DictConfig, loop: Loop) -> Faces:
    n, side = cfg.data.batch_size, cfg.data.image_size
    image = torch.rand(n, cfg.data.channels, side, side)
    return image.contiguous(memory_format=loop.module.layout), 80 * torch.rand(n), torch.ones(n)


def _gflops(dtype: torch.dtype, n: int = 2048) -> float:
    a, b = torch.rand(n, n, dtype=dtype), torch.rand(n, n, dtype=dtype)
    return 2 * n**3 / 1e9 / _quickest(lambda: torch.mm(a, b))


def _gb_per_s() -> float:
    source = torch.rand(2**26)
    target = torch.empty_like(source)
    return 2 * source.nbytes / 1e9 / _quickest(lambda: target.copy_(source))


def _quickest(work: Callable[[], Any]) -> float:
    times = []
    for _ in range(8):
        watch = Stopwatch()
        work()
        times.append(watch.seconds())
    return min(times)
