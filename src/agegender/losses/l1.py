"""Mean absolute error on the age itself."""

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs


class L1(nn.Module):
    """The age head gives one number, the years; the loss is the mean absolute error.

    Args:
        relu: clip predicted ages at zero, as the seed notebook's last activation does.
    """

    outputs = 1

    def __init__(self, relu: bool = False) -> None:
        super().__init__()
        self.relu = relu

    def decode(self, raw: Tensor) -> Ages:
        """(B, 1) years."""
        age = raw.squeeze(1)
        return Ages(age.relu() if self.relu else age)

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, years."""
        return F.l1_loss(outputs.age, age)
