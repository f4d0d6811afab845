"""Soft labels that fall off with the distance in years."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs
from agegender.years import expectation, years_to


class SORD(nn.Module):
    """The age head gives a logit for each year; each year's label falls off with its distance.

    The label of year k is softmax(-slope |k - age|), the loss the Kullback-Leibler divergence to
    it: Diaz & Marathe 2019, doi:10.1109/CVPR.2019.00487, with the absolute distance.

    Args:
        slope: of the fall, a year.
        oldest: the last year of the distribution.

    Raises:
        ValueError: if slope is not above 0 or oldest is not at least 1.
    """

    def __init__(self, slope: float = 1.0, oldest: int = 120) -> None:
        super().__init__()
        if slope <= 0:
            raise ValueError(f"loss.slope={slope}: must be above 0 a year")
        self.register_buffer("years", years_to(oldest), persistent=False)
        self.slope = slope
        self.outputs = oldest + 1

    def decode(self, raw: Tensor) -> Ages:
        """(B, outputs) logits; the age is the expectation."""
        return expectation(raw.softmax(dim=1), cast(Tensor, self.years))

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, nats."""
        distance = (cast(Tensor, self.years) - age[:, None]).abs()  # (B, outputs)
        label = (-self.slope * distance).softmax(dim=1)
        return F.kl_div(outputs.age_raw.log_softmax(dim=1), label, reduction="batchmean")
