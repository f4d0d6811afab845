"""How the losses of the two tasks become one."""

import torch
from torch import Tensor, nn


class Fixed(nn.Module):
    """A weighted sum.

    Args:
        age: weight of the age loss.
        gender: weight of the gender loss.

    Raises:
        ValueError: if a weight is below 0.
    """

    def __init__(self, age: float = 1.0, gender: float = 1.0) -> None:
        super().__init__()
        for name, value in (("age", age), ("gender", gender)):
            if value < 0:
                raise ValueError(f"weighting.{name}={value}: must be at least 0")
        self.age, self.gender = age, gender

    def forward(self, age_loss: Tensor, gender_loss: Tensor) -> Tensor:
        """Two scalars -> their sum."""
        return self.age * age_loss + self.gender * gender_loss


class Uncertainty(nn.Module):
    """Weights that are learned: each task's own uncertainty divides its loss.

    Kendall, Gal & Cipolla 2018, arXiv:1705.07115: for each task exp(-s) loss + s / 2, where
    s = log sigma^2 is a parameter. Both start at 0, that is with weights of 1.

    Attributes:
        log_variance: (2,) s of age and gender.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(2))

    def forward(self, age_loss: Tensor, gender_loss: Tensor) -> Tensor:
        """Two scalars -> their weighted sum."""
        losses = torch.stack([age_loss, gender_loss])
        return (losses * (-self.log_variance).exp() + self.log_variance / 2).sum()
