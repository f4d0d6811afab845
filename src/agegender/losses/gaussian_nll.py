"""A normal distribution whose width the network says itself."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.types import Ages, Outputs
from agegender.years import gaussian, years_to

NARROWEST = 1.0  # year, as finely as ages are labelled; below it single faces rule the gradient
UNIT = 10.0  # years; an untrained head then says a spread of 10 ln 2, about 7 years


class GaussianNLL(nn.Module):
    """The age head gives the mean and the spread of a normal distribution.

    The loss is its negative log-likelihood (Nix & Weigend 1994, doi:10.1109/ICNN.1994.374138),
    without the constant.

    Args:
        oldest: the last year of the distribution that is told; the loss does without it.

    Raises:
        ValueError: if oldest is not at least 1.
    """

    outputs = 2

    def __init__(self, oldest: int = 120) -> None:
        super().__init__()
        self.register_buffer("years", years_to(oldest), persistent=False)

    def decode(self, raw: Tensor) -> Ages:
        """(B, 2): the mean in years, and what softplus makes the spread of."""
        age = raw[:, 0]
        sd = NARROWEST + UNIT * F.softplus(raw[:, 1])
        return Ages(age, sd, gaussian(age, cast(Tensor, self.years), sd[:, None]))

    def forward(self, outputs: Outputs, age: Tensor) -> Tensor:
        """Outputs of B faces and their (B,) ages in years -> scalar, nats."""
        found = self.decode(outputs.age_raw)
        return F.gaussian_nll_loss(found.age, age, cast(Tensor, found.sd).square())
