"""Ordinal regression: one question a year, is this face older than that."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs
from agegender.years import ordinal, years_to


class ORCNN(nn.Module):
    """The age head gives `oldest` logits: of being older than 0, 1, ..., oldest - 1 years.

    The loss is the sum of their binary cross-entropies (Niu et al. 2016,
    doi:10.1109/CVPR.2016.532, with equal weights), the age the number of questions answered yes.

    Args:
        oldest: the highest age that can be answered.

    Raises:
        ValueError: if oldest is not at least 1.
    """

    def __init__(self, oldest: int = 120) -> None:
        super().__init__()
        self.register_buffer("years", years_to(oldest)[:-1], persistent=False)
        self.outputs = oldest

    def decode(self, raw: Tensor) -> Ages:
        """(B, outputs) logits."""
        return ordinal(raw.sigmoid())

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, nats."""
        older = (age[:, None] > cast(Tensor, self.years)).float()  # (B, outputs)
        losses = F.binary_cross_entropy_with_logits(outputs.age_raw, older, reduction="none")
        return losses.sum(1).mean()
