"""Label distributions and the expected age, learned together."""

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.losses.dldl import DLDL
from agegender.types import Ages, Outputs


class DLDLv2(nn.Module):
    """DLDL's divergence, and the mean absolute error of the expectation beside it.

    Gao et al. 2018 (IJCAI), doi:10.24963/ijcai.2018/99.

    Args:
        sigma: standard deviation of the Gaussian label, years.
        oldest: the last year of the distribution.
        l1: weight of the absolute error (the paper's lambda).

    Raises:
        ValueError: if sigma is not above 0, oldest not at least 1, or l1 below 0.
    """

    def __init__(self, sigma: float = 2.0, oldest: int = 120, l1: float = 1.0) -> None:
        super().__init__()
        if l1 < 0:
            raise ValueError(f"loss.l1={l1}: must be at least 0")
        self.distribution = DLDL(sigma, oldest)
        self.l1 = l1
        self.outputs = self.distribution.outputs

    def decode(self, raw: Tensor) -> Ages:
        """(B, outputs) logits; the age is the expectation."""
        return self.distribution.decode(raw)

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, nats and weighted years."""
        divergence: Tensor = self.distribution(outputs, age)
        return divergence + self.l1 * F.l1_loss(outputs.age, age)
