"""What is measured of a part (train, val or test) while the network runs."""

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics import functional as tmf
from torchmetrics.utilities.distributed import gather_all_tensors

from agegender.types import Batch, Outputs

KEPT = ("row", "age", "gender", "age_pred", "age_sd", "p_female")  # of every face
LOSSES = ("loss", "age_loss", "gender_loss")  # as a step weighs them, and each by itself


class Predictions(NamedTuple):
    """All faces of one pass over a part, in the order they came.

    Attributes:
        row: (N,) int64, rows of the data module's table.
        age_pred: (N,) float32, years.
        age_sd: (N,) float32, years; NaN where the age loss has no distribution.
        p_female: (N,) float32, 0 to 1.
    """

    row: Tensor
    age_pred: Tensor
    age_sd: Tensor
    p_female: Tensor


class FaceMetrics(Metric):
    """Age MAE, RMSE (years) and CS@5; gender accuracy and AUROC (0 to 1); mean losses.

    A step only keeps what the network said; everything is computed once at the end of the
    epoch, and gathered over the processes by torchmetrics where there are several. What is kept
    is one tensor each, not a list with one a step: small tensors that stay between large ones
    that go would cut the heap in pieces, which was seen to cost 2 GB in one validation. Losses
    are summed here too, which costs a step less than logging them by Lightning.
    """

    full_state_update = False
    higher_is_better = None
    row: Tensor
    age: Tensor
    gender: Tensor
    age_pred: Tensor
    age_sd: Tensor
    p_female: Tensor
    losses: Tensor
    last: Predictions

    def __init__(self) -> None:
        # torchmetrics gathers single tensors by stacking them, which wants them of one length
        super().__init__(sync_on_compute=False)
        for name in KEPT:
            kind = torch.int64 if name == "row" else torch.float32
            self.add_state(name, default=torch.empty(0, dtype=kind), dist_reduce_fx=None)
        self.add_state("losses", default=torch.zeros(len(LOSSES)), dist_reduce_fx=None)

    def update(self, outputs: Outputs, batch: Batch, losses: Tensor) -> None:
        """Keep what was said of a batch of B faces.

        Args:
            outputs: what the network said.
            batch: the labels.
            losses: (3,) float32, the batch's mean of each of `LOSSES`.
        """
        unknown = torch.full_like(outputs.age, torch.nan)
        values = {
            "row": batch.row,
            "age": batch.age,
            "gender": batch.gender,
            "age_pred": outputs.age.detach(),
            "age_sd": (unknown if outputs.age_sd is None else outputs.age_sd).detach(),
            "p_female": outputs.gender_logit.detach().sigmoid(),
        }
        for name, value in values.items():
            setattr(self, name, torch.cat([getattr(self, name), value]))
        self.losses = self.losses + losses.detach() * len(batch.age)

    def compute(self) -> dict[str, Tensor]:
        """Scalars of all processes' faces; `last` then holds what was said of each.

        They are `age_mae`, `age_rmse`, `age_cs5`, `gender_acc`, `gender_auroc` and `LOSSES`.

        CS@5 is the cumulative score: the share of faces whose age is at most 5 years off.
        AUROC is NaN where there is one gender only.
        """
        of_all = {name: torch.cat(_of_all_processes(getattr(self, name))) for name in KEPT}
        losses = torch.stack(_of_all_processes(self.losses)).sum(0)
        age, age_pred = of_all["age"], of_all["age_pred"]
        p_female, gender = of_all["p_female"], of_all["gender"].long()
        self.last = Predictions(*(of_all[name].cpu() for name in Predictions._fields))
        both = 0 < gender.sum() < len(gender)
        auroc = tmf.classification.binary_auroc(p_female, gender) if both else torch.nan
        return {
            "age_mae": tmf.mean_absolute_error(age_pred, age),
            "age_rmse": tmf.mean_squared_error(age_pred, age, squared=False),
            "age_cs5": ((age_pred - age).abs() <= 5).float().mean(),
            "gender_acc": tmf.classification.binary_accuracy(p_female, gender),
            "gender_auroc": torch.as_tensor(auroc),
            **dict(zip(LOSSES, losses / len(age), strict=True)),
        }


def _of_all_processes(value: Tensor) -> list[Tensor]:
    """A tensor of each process that trains together, in the order of their ranks."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return gather_all_tensors(value) if together else [value]
