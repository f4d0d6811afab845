"""Classification of whole years, read by its expectation."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs
from agegender.years import between, expectation, years_to


class CE(nn.Module):
    """The age head gives a logit for each year; the loss is the cross-entropy with the true one.

    Rothe, Timofte & Van Gool 2018 (DEX), doi:10.1007/s11263-016-0940-3. An annotated age between
    two years, the median of a photograph's copies, is shared by both.

    Args:
        oldest: the last year of the distribution.

    Raises:
        ValueError: if oldest is not at least 1.
    """

    def __init__(self, oldest: int = 120) -> None:
        super().__init__()
        self.register_buffer("years", years_to(oldest), persistent=False)
        self.outputs = oldest + 1

    def decode(self, raw: Tensor) -> Ages:
        """(B, outputs) logits; the age is the expectation."""
        return expectation(raw.softmax(dim=1), cast(Tensor, self.years))

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, nats."""
        return F.cross_entropy(outputs.age_raw, between(age, cast(Tensor, self.years)))
