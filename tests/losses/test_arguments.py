"""What a loss does without arguments, at the ends of what they may be, and what it keeps."""

import pytest
import torch

from agegender.losses.ce import CE
from agegender.losses.coral import Coral
from agegender.losses.dldl import DLDL
from agegender.losses.dldl_v2 import DLDLv2
from agegender.losses.gaussian_nll import GaussianNLL
from agegender.losses.huber import Huber
from agegender.losses.l1 import L1
from agegender.losses.mean_variance import MeanVariance
from agegender.losses.or_cnn import ORCNN
from agegender.losses.sord import SORD
from agegender.types import Outputs

AGES = torch.tensor([3.0, 61.5, 116.0])
# those of conf/loss; mean and variance are the weights of Pan et al.
DEFAULTS = {
    L1: {"relu": False},
    Huber: {"delta": 1.0},
    CE: {"oldest": 120},
    DLDL: {"sigma": 2.0, "oldest": 120},
    DLDLv2: {"sigma": 2.0, "oldest": 120, "l1": 1.0},
    SORD: {"slope": 1.0, "oldest": 120},
    MeanVariance: {"mean": 0.2, "variance": 0.05, "oldest": 120},
    ORCNN: {"oldest": 120},
    Coral: {"oldest": 120},
    GaussianNLL: {"oldest": 120},
}


def value(loss, raw: torch.Tensor) -> float:
    ages = loss.decode(raw)
    return loss(Outputs(ages.age, raw[:, 0], raw, ages.sd, ages.p), AGES).item()


def some_raw(loss) -> torch.Tensor:
    return 3 * torch.randn(len(AGES), loss.outputs, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", DEFAULTS)
def test_without_arguments_a_loss_is_the_documented_one(kind):
    loss, told = kind(), kind(**DEFAULTS[kind])
    raw = some_raw(told)
    assert loss.outputs == told.outputs
    assert value(loss, raw) == value(told, raw)
    for found, expected in zip(loss.decode(raw), told.decode(raw), strict=True):
        assert (found is None and expected is None) or torch.equal(found, expected)


@pytest.mark.parametrize(
    ("kind", "smallest"),
    [
        (Huber, {"delta": 0.1}), (DLDL, {"sigma": 0.1}), (DLDLv2, {"sigma": 0.1, "l1": 0.0}),
        (SORD, {"slope": 0.1}), (MeanVariance, {"mean": 0.0, "variance": 0.0}),
        *((kind, {"oldest": 1}) for kind in (CE, DLDL, SORD, MeanVariance, ORCNN, Coral)),
    ],
)  # fmt: skip
def test_the_smallest_arguments_are_taken(kind, smallest):
    loss = kind(**smallest)
    raw = some_raw(loss)
    assert torch.isfinite(torch.tensor(value(loss, raw)))


def test_a_weight_of_zero_leaves_a_part_out():
    raw = some_raw(CE())
    assert value(MeanVariance(mean=0.0, variance=0.0), raw) == pytest.approx(value(CE(), raw))
    assert value(DLDLv2(l1=0.0), raw) == pytest.approx(value(DLDL(), raw))


@pytest.mark.parametrize("kind", DEFAULTS)
def test_a_checkpoint_keeps_what_is_learned_and_no_table_of_years(kind):
    assert list(kind().state_dict()) == (["biases"] if kind is Coral else [])


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (Huber, {"delta": -1.0}, "loss.delta=-1.0: must be above 0 years"),
        (DLDL, {"sigma": -2.0}, "loss.sigma=-2.0: must be above 0 years"),
        (SORD, {"slope": -0.5}, "loss.slope=-0.5: must be above 0 a year"),
        (DLDLv2, {"l1": -0.1}, "loss.l1=-0.1: must be at least 0"),
        (MeanVariance, {"variance": -0.1}, "loss.variance=-0.1: must be at least 0"),
        (CE, {"oldest": 0}, "loss.oldest=0: must be at least 1 year"),
    ],
)
def test_a_refusal_says_the_value_and_what_is_allowed(kind, wrong, said):
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        kind(**wrong)
    assert str(refused.value) == said
