"""Distributions over whole years: labels made of ages, and ages read from them."""

import torch
from torch import Tensor

from agegender.types import Ages


def years_to(oldest: int) -> Tensor:
    """(oldest + 1,) float32: 0, 1, ..., oldest.

    Raises:
        ValueError: if that is not at least one year.
    """
    if oldest < 1:
        raise ValueError(f"loss.oldest={oldest}: must be at least 1 year")
    return torch.arange(oldest + 1.0)


def expectation(p: Tensor, years: Tensor) -> Ages:
    """The mean and the standard deviation of distributions.

    Args:
        p: (B, Y), rows that sum to 1.
        years: (Y,).
    """
    age = p @ years  # (B,)
    variance = (p * (years - age[:, None]) ** 2).sum(1)
    return Ages(age, variance.clamp(min=1e-12).sqrt(), p)


def ordinal(p_over: Tensor) -> Ages:
    """Ages from the probabilities of being older than 0, 1, ..., K - 1 years.

    The age is the number of years that are more likely passed than not (Niu et al. 2016, Cao et
    al. 2020). Where a probability rises from one year to the next, which a distribution's cannot,
    `p` and `sd` take the lower one before it.

    Args:
        p_over: (B, K), each 0 to 1.
    """
    falling = p_over.cummin(1).values  # (B, K)
    ends = torch.ones_like(falling[:, :1])
    p = torch.cat([ends, falling], 1) - torch.cat([falling, 0 * ends], 1)  # (B, K + 1)
    spread = expectation(p, torch.arange(p.shape[1], dtype=p.dtype, device=p.device))
    return Ages((p_over > 0.5).sum(1).to(p.dtype), spread.sd, p)


def gaussian(age: Tensor, years: Tensor, sigma: Tensor | float) -> Tensor:
    """(B,) ages -> (B, Y): a normal distribution around each, cut off at both ends.

    Args:
        age: years.
        years: (Y,).
        sigma: standard deviation, years; one, or (B, 1).
    """
    return (-((years - age[:, None]) ** 2) / (2 * sigma**2)).softmax(dim=1)


def between(age: Tensor, years: Tensor) -> Tensor:
    """(B,) ages -> (B, Y): 1 at a whole year; an age between two years is shared by them."""
    age = age.clamp(years[0], years[-1])
    return (1 - (years - age[:, None]).abs()).clamp(min=0)
