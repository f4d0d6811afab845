"""Huber's loss on the age itself."""

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs


class Huber(nn.Module):
    """The age head gives one number, the years; small errors count by their square.

    Huber 1964, doi:10.1214/aoms/1177703732: e^2 / 2 for errors e up to `delta`, beyond that
    delta (|e| - delta / 2).

    Args:
        delta: years.

    Raises:
        ValueError: if delta is not above 0.
    """

    outputs = 1

    def __init__(self, delta: float = 1.0) -> None:
        super().__init__()
        if delta <= 0:
            raise ValueError(f"loss.delta={delta}: must be above 0 years")
        self.delta = delta

    def decode(self, raw: Tensor) -> Ages:
        """(B, 1) years."""
        return Ages(raw.squeeze(1))

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, squared years."""
        return F.huber_loss(outputs.age, age, delta=self.delta)
