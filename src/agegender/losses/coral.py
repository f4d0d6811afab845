"""Ordinal regression whose questions share one score, so that answers never contradict."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs
from agegender.years import ordinal, years_to

SPREAD = 10.0  # years that one unit of the untrained score is worth


class Coral(nn.Module):
    """The age head gives one score; the loss has a bias for each year, learned with the network.

    The logit of being older than k years is score + bias k; the loss is the sum of the binary
    cross-entropies (Cao, Mirjalili & Raschka 2020, doi:10.1016/j.patrec.2020.11.008), the age the
    number of questions answered yes. The biases start on a line: a score of zero then means a
    third of `oldest`, about the mean age of UTKFace, where the paper lets all start at zero.

    Args:
        oldest: the highest age that can be answered.

    Raises:
        ValueError: if oldest is not at least 1.
    """

    outputs = 1

    def __init__(self, oldest: int = 120) -> None:
        super().__init__()
        years = years_to(oldest)[:-1]
        self.register_buffer("years", years, persistent=False)
        self.biases = nn.Parameter((oldest / 3 - years) / SPREAD)

    def decode(self, raw: Tensor) -> Ages:
        """(B, 1) scores."""
        return ordinal(self._logits(raw).sigmoid())

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, nats."""
        older = (age[:, None] > cast(Tensor, self.years)).float()  # (B, oldest)
        logits = self._logits(outputs.age_raw)
        losses = F.binary_cross_entropy_with_logits(logits, older, reduction="none")
        return losses.sum(1).mean()

    def _logits(self, raw: Tensor) -> Tensor:
        """(B, 1) -> (B, oldest)."""
        return raw + self.biases
