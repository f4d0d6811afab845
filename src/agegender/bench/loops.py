"""Plain PyTorch loops that train the project's networks without Lightning."""

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from agegender.bench.link import Link, Stopwatch
from agegender.bench.textbook import TextbookFaces
from agegender.config import build, check_config
from agegender.data.datamodule import FaceData
from agegender.machine import keep_freed_memory
from agegender.module import FaceModule
from agegender.train import build_module
from agegender.types import Batch

PROFILED = 10  # steps
Faces = tuple[Tensor, Tensor, Tensor]  # images as the network takes them, ages, genders


class Loop:
    """A plain PyTorch training step of a config's network.

    Args:
        cfg: composed as `scripts/train.py` does.
    """

    def __init__(self, cfg: DictConfig) -> None:
        check_config(cfg)
        if cfg.keep_freed_memory:
            keep_freed_memory()
        torch.manual_seed(cfg.seed)
        self.bf16 = str(cfg.trainer.precision).startswith("bf16")
        self.module: FaceModule = build_module(cfg)
        self.optimizer, _ = self.module.optimizers_for(total_steps=1)

    def step(self, faces: Faces) -> None:
        image, age, gender = faces
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            outputs = self.module(image)
        loss = self.module.weighting(*self.module.losses(outputs, age, gender))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def infer(self, batches: Iterable[Faces]) -> int:
        """Read faces, and how many there were."""
        self.module.eval()
        n = 0
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            for image, _, _ in batches:
                n += len(self.module(image).age)
        self.module.train()
        return n

    def faces(self, batch: Batch) -> Faces:
        """A loader's batch as the network takes it."""
        image = batch.image.to(memory_format=self.module.layout).float().div_(255)
        return image, batch.age, batch.gender


def bare(link: Link, cfg: DictConfig, seconds: float) -> None:
    """The project's batches without Lightning."""
    loop, data = Loop(cfg), data_of(cfg)

    def endless() -> Iterator[Faces]:
        loader = data.train_dataloader()
        for epoch in itertools.count():
            loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
            yield from map(loop.faces, loader)

    _serve(link, loop, endless(), lambda: map(loop.faces, data.val_dataloader()), seconds)


def ceiling(link: Link, cfg: DictConfig, seconds: float) -> None:
    """One constant batch: what the step costs without any data path."""
    loop, data = Loop(cfg), data_of(cfg)
    faces = loop.faces(next(iter(data.train_dataloader())))
    batches = -(-len(data.rows("val")) // data.batch_size)
    forward, backward = _gflop(loop.module, faces[0])
    facts = {
        "gflop_per_image": forward + backward,
        "infer_gflop_per_image": forward,
        "parameters": sum(p.numel() for p in loop.module.net.parameters()),
    }
    _serve(
        link,
        loop,
        itertools.repeat(faces),
        lambda: itertools.repeat(faces, batches),
        seconds,
        facts,
    )


def textbook(link: Link, cfg: DictConfig, seconds: float, workers: int) -> None:
    """Every face from its file each time, in float32 and torch's own layout."""
    loop, data = Loop(cfg), data_of(cfg)

    def loader(part: str) -> "DataLoader[Any]":
        return DataLoader(
            TextbookFaces(data, data.rows(part)),
            batch_size=data.batch_size,
            shuffle=part == "train",
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    train, val = loader("train"), loader("val")
    endless = itertools.chain.from_iterable(itertools.repeat(train))
    _serve(link, loop, endless, lambda: val, seconds)


def data_of(cfg: DictConfig) -> FaceData:
    data: FaceData = build(cfg.data, seed=cfg.seed)
    data.setup("fit")
    return data


def _serve(
    link: Link,
    loop: Loop,
    batches: Iterator[Faces],
    held_out: Callable[[], Iterable[Faces]],
    seconds: float,
    facts: dict[str, float] | None = None,
) -> None:
    """Take a first step, then do as ordered until there are no orders."""
    loop.step(next(batches))
    link.ready(**(facts or {}))
    while True:
        order = link.order()
        watch, images = Stopwatch(), 0
        more: dict[str, Any] = {}
        if order == "profile":
            more = {"operators": _operators(lambda: loop.step(next(batches)))}
        elif order == "infer":
            images = loop.infer(held_out())
        else:
            while watch.seconds() < seconds:
                faces = next(batches)
                loop.step(faces)
                images += len(faces[1])
        link.answer(images, watch, **more)


def _operators(step: Callable[[], None]) -> list[dict[Hashable, Any]]:
    """Torch's own operators by the time spent in them, without those that they call.

    Args:
        step: one training step; it is taken several times.

    Returns:
        A row an operator and shape of its first input: operator, shape, ms (a step), calls (a
        step); the longest first.
    """
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        for _ in range(PROFILED):
            step()
    rows = [
        {
            "operator": event.key.removeprefix("aten::"),
            "shape": "x".join(map(str, event.input_shapes[0])) if event.input_shapes else "",
            "ms": event.self_cpu_time_total / 1000 / PROFILED,
            "calls": event.count / PROFILED,
        }
        for event in recorded.key_averages(group_by_input_shape=True)
    ]
    table = pd.DataFrame(rows).groupby(["operator", "shape"], as_index=False).sum()
    return table.sort_values("ms", ascending=False).to_dict("records")


def _gflop(module: FaceModule, image: Tensor) -> tuple[float, float]:
    """Billions of floating-point operations an image, forward and backward.

    Backward is twice forward, for the gradients of inputs and of weights, but the pictures
    themselves need none. (Torch's own count of it is wrong for convolutions in groups.)
    """
    first = next(layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d))
    with FlopCounterMode(display=False) as whole:
        module(image)
    with FlopCounterMode(display=False) as of_first:
        first(torch.empty(len(image), first.in_channels, *image.shape[2:]))
    forward, spared = (
        counter.get_total_flops() / len(image) / 1e9 for counter in (whole, of_first)
    )
    return forward, 2 * forward - spared
