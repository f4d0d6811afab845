"""How the learning rate moves in the course of a training, step by step."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """The optimizer's own learning rate throughout.

    Args:
        optimizer: what is scheduled.
        total_steps: of the whole training; does not matter here.
    """
    return LambdaLR(optimizer, lambda step: 1.0)


def onecycle(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.25, start: float = 0.04
) -> LambdaLR:
    """Up to the optimizer's learning rate and down to zero, each along half a cosine.

    Smith & Topin 2017, arXiv:1708.07120, in the form that is usual since: two phases, momentum
    as it is.

    Args:
        optimizer: what is scheduled; its learning rate is the highest.
        total_steps: of the whole training.
        warmup: share of the steps that go up, 0 to below 1.
        start: first learning rate, as a share of the highest, 0 to 1.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"scheduler.warmup={warmup}: must be from 0 to below 1")
    if not 0 <= start <= 1:
        raise ValueError(f"scheduler.start={start}: must be from 0 to 1")
    up = warmup * total_steps

    def factor(step: int) -> float:
        if step < up:
            return start + (1 - start) * _rise(step / up)
        return 1 - _rise(min((step - up) / (total_steps - up), 1.0))

    return LambdaLR(optimizer, factor)


def cosine(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.05, end: float = 0.01
) -> LambdaLR:
    """Straight up to the optimizer's learning rate, then down along half a cosine.

    Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts; the warm-up is that of Goyal et
    al. 2017, arXiv:1706.02677.

    Args:
        optimizer: what is scheduled; its learning rate is the highest.
        total_steps: of the whole training.
        warmup: share of the steps that go up, 0 to below 1.
        end: last learning rate, as a share of the highest, 0 to 1.

    Raises:
        ValueError: if an argument is out of its range.
    """
    if not 0 <= warmup < 1:
        raise ValueError(f"scheduler.warmup={warmup}: must be from 0 to below 1")
    if not 0 <= end <= 1:
        raise ValueError(f"scheduler.end={end}: must be from 0 to 1")
    up = warmup * total_steps

    def factor(step: int) -> float:
        if step < up:
            return (step + 1) / (up + 1)
        return 1 - (1 - end) * _rise(min((step - up) / (total_steps - up), 1.0))

    return LambdaLR(optimizer, factor)


def _rise(x: float) -> float:
    """0 at 0, 1 at 1, half a cosine between."""
    return (1 - math.cos(math.pi * x)) / 2
