"""The training step, on a network so small that it can be worked out by hand."""

import math

import pytest
import torch
from torch import nn

from agegender.augment import Augment
from agegender.losses.l1 import L1
from agegender.models.net import FlipAveraged
from agegender.module import FaceModule
from agegender.train import build_module
from agegender.types import Batch, Outputs

from .conftest import composed


class Brightness(nn.Module):
    """The age is a hundred times the mean brightness; the gender's logit is always 1."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(100.0))

    def forward(self, image: torch.Tensor) -> Outputs:
        age = self.scale * image.mean((1, 2, 3))
        return Outputs(age, torch.ones(len(image)), age[:, None])


def batch_of(*levels: int) -> Batch:
    image = torch.tensor(levels, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4)
    n = len(levels)
    return Batch(image, torch.full((n,), 20.0), torch.ones(n), torch.arange(n))


def total(module: FaceModule, batch: Batch, monkeypatch) -> float:
    monkeypatch.setattr(module, "log_dict", lambda *args, **kwargs: None)  # there is no trainer
    torch.manual_seed(7)
    return module.training_step(batch, 0).item()


def cross_entropy(target: float) -> float:
    p = 1 / (1 + math.exp(-1))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


def test_the_losses_are_added(monkeypatch):
    found = total(FaceModule(Brightness(), L1()), batch_of(51, 102), monkeypatch)
    assert found == pytest.approx((0 + 20) / 2 + cross_entropy(1), abs=1e-4)


def test_gender_labels_are_smoothed_in_training_alone(monkeypatch):
    module = FaceModule(Brightness(), L1(), gender_smoothing=0.2)
    assert total(module, batch_of(51), monkeypatch) == pytest.approx(cross_entropy(0.9), abs=1e-4)
    outputs = module(batch_of(51).image.float() / 255)
    assert module.losses(outputs, torch.full((1,), 20.0), torch.ones(1))[1].item() == pytest.approx(
        cross_entropy(1)
    )
    with pytest.raises(ValueError, match="gender_smoothing=1"):
        FaceModule(Brightness(), L1(), gender_smoothing=1)


def test_mixup_mixes_pictures_and_losses_by_the_same_share(monkeypatch):
    augment = Augment(mixup=1.0)
    share = augment.share(torch.Generator().manual_seed(7))
    assert 0.5 <= share < 1
    # a black face of 10 years and a white one of 90
    batch = batch_of(0, 255)._replace(age=torch.tensor([10.0, 90.0]))
    module = FaceModule(Brightness(), L1(), augment=augment)
    said = (100 * (1 - share), 100 * share)
    own = (abs(said[0] - 10) + abs(said[1] - 90)) / 2
    others = (abs(said[0] - 90) + abs(said[1] - 10)) / 2
    expected = share * own + (1 - share) * others + cross_entropy(1)
    assert total(module, batch, monkeypatch) == pytest.approx(expected, rel=1e-4)


def test_shares_of_mixup_follow_the_beta_distribution():
    augment = Augment(mixup=0.4)
    shares = torch.tensor([augment.share(torch.Generator().manual_seed(i)) for i in range(2000)])
    assert shares.min() >= 0.5
    # of Beta(a, a): variance 1 / (4 (2 a + 1)), and the larger share is as far from a half
    assert ((shares - 0.5) ** 2).mean().item() == pytest.approx(1 / (4 * 1.8), rel=0.05)


@pytest.mark.parametrize("loss", ["l1", "dldl"])
def test_flip_averaging_is_the_mean_over_both_sides(loss: str):
    torch.manual_seed(0)
    net = build_module(composed("model=resnet", f"loss={loss}")).net.eval()
    image = torch.rand(3, 1, 64, 64)
    both = FlipAveraged(net)
    with torch.no_grad():
        one, other, mean = net(image), net(image.flip(3)), both(image)
        mirrored = both(image.flip(3))
    assert not torch.allclose(one.age, other.age)
    for name in ("age", "gender_logit", "age_sd", "age_p"):
        if getattr(one, name) is None:
            assert getattr(mean, name) is None
            continue
        expected = (getattr(one, name) + getattr(other, name)) / 2
        assert torch.allclose(getattr(mean, name), expected), name
        assert torch.allclose(getattr(mirrored, name), expected, atol=1e-5), name
