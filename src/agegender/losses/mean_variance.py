"""Classification of years whose distribution is pulled to the age and made narrow."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs
from agegender.years import between, expectation, years_to


class MeanVariance(nn.Module):
    """Cross-entropy, half the squared error of the distribution's mean, and its variance.

    Pan et al. 2018, doi:10.1109/CVPR.2018.00554; the weights are the paper's.

    Args:
        mean: weight of the mean's squared error (lambda 1).
        variance: weight of the variance (lambda 2).
        oldest: the last year of the distribution.

    Raises:
        ValueError: if a weight is below 0 or oldest is not at least 1.
    """

    def __init__(self, mean: float = 0.2, variance: float = 0.05, oldest: int = 120) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("variance", variance)):
            if value < 0:
                raise ValueError(f"loss.{name}={value}: must be at least 0")
        self.register_buffer("years", years_to(oldest), persistent=False)
        self.mean, self.variance = mean, variance
        self.outputs = oldest + 1

    def decode(self, raw: Tensor) -> Ages:
        """(B, outputs) logits; the age is the expectation."""
        return expectation(raw.softmax(dim=1), cast(Tensor, self.years))

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar."""
        found = self.decode(outputs.age_raw)
        years = cast(Tensor, self.years)
        cross_entropy = F.cross_entropy(outputs.age_raw, between(age, years))
        mean = F.mse_loss(found.age, age) / 2
        variance = cast(Tensor, found.sd).square().mean()
        return cross_entropy + self.mean * mean + self.variance * variance
