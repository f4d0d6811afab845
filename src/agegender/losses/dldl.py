"""Deep label distribution learning: the age head says a distribution over whole years."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs
from agegender.years import expectation, gaussian, years_to


class DLDL(nn.Module):
    """The age head gives a logit for each year 0, 1, ..., `oldest`; the age is the expectation.

    The loss is the Kullback-Leibler divergence from the predicted distribution to a Gaussian
    around the annotated age, cut off at both ends (Gao et al. 2017, arXiv:1611.01731).

    Args:
        sigma: standard deviation of the Gaussian label, years.
        oldest: the last year of the distribution.

    Raises:
        ValueError: if sigma is not above 0 or oldest is not at least 1.
    """

    def __init__(self, sigma: float = 2.0, oldest: int = 120) -> None:
        super().__init__()
        if sigma <= 0:
            raise ValueError(f"loss.sigma={sigma}: must be above 0 years")
        self.register_buffer("years", years_to(oldest), persistent=False)
        self.sigma = sigma
        self.outputs = oldest + 1

    def decode(self, raw: Tensor) -> Ages:
        """(B, outputs) logits; the age is the expectation."""
        return expectation(raw.softmax(dim=1), cast(Tensor, self.years))

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, nats."""
        label = gaussian(age, cast(Tensor, self.years), self.sigma)
        return F.kl_div(outputs.age_raw.log_softmax(dim=1), label, reduction="batchmean")
