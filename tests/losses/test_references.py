"""Each age loss against scipy, or its paper's formula written out in numpy; all in float64."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, huber, log_softmax, softmax
from scipy.stats import entropy, norm

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

OLDEST = 12
AGES = np.array([0.0, 4.5, 7.0, 12.0])  # both ends, and an age between two years
YEARS = np.arange(OLDEST + 1)
OF_YEARS = [CE, DLDL, DLDLv2, SORD, MeanVariance]
ORDINAL = [ORCNN, Coral]


def given(loss) -> np.ndarray:
    raw = torch.randn(len(AGES), loss.outputs, generator=torch.Generator().manual_seed(5))
    return (2 * raw).double().numpy()


def value(loss, raw: np.ndarray) -> float:
    tensor = torch.from_numpy(raw).float()
    ages = loss.decode(tensor)
    outputs = Outputs(ages.age, torch.zeros(len(raw)), tensor, ages.sd, ages.p)
    return loss(outputs, torch.from_numpy(AGES).float()).item()


def gaussian_label(age: float, sigma: float) -> np.ndarray:
    label = norm.pdf(YEARS, age, sigma)
    return label / label.sum()


def test_huber():
    loss = Huber(delta=1.5)
    raw = np.array([[0.5], [9.0], [7.0], [10.0]])
    assert value(loss, raw) == pytest.approx(huber(1.5, raw[:, 0] - AGES).mean(), rel=1e-6)


def test_ce():
    raw = given(loss := CE(OLDEST))
    logs = log_softmax(raw, axis=1)
    between = (logs[1, 4] + logs[1, 5]) / 2
    expected = -(logs[0, 0] + between + logs[2, 7] + logs[3, 12]) / 4
    assert value(loss, raw) == pytest.approx(expected, rel=1e-5)


def test_dldl_v2():
    raw = given(loss := DLDLv2(sigma=1.5, oldest=OLDEST, l1=0.7))
    expected = []
    for logits, age in zip(raw, AGES, strict=True):
        p = softmax(logits)
        expected.append(entropy(gaussian_label(age, 1.5), p) + 0.7 * abs(p @ YEARS - age))
    assert value(loss, raw) == pytest.approx(np.mean(expected), rel=1e-5)


def test_sord():
    raw = given(loss := SORD(slope=0.8, oldest=OLDEST))
    expected = [
        entropy(softmax(-0.8 * np.abs(YEARS - age)), softmax(logits))
        for logits, age in zip(raw, AGES, strict=True)
    ]
    assert value(loss, raw) == pytest.approx(np.mean(expected), rel=1e-5)


def test_mean_variance():
    raw = given(loss := MeanVariance(mean=0.2, variance=0.05, oldest=OLDEST))
    p = softmax(raw, axis=1)
    mean = p @ YEARS
    variance = p @ YEARS**2 - mean**2
    cross_entropy = value(CE(OLDEST), raw)  # checked above
    expected = cross_entropy + np.mean(0.2 * (mean - AGES) ** 2 / 2 + 0.05 * variance)
    assert value(loss, raw) == pytest.approx(expected, rel=1e-5)


def sum_of_questions(logits: np.ndarray) -> float:
    total = 0.0
    for row, age in zip(logits, AGES, strict=True):
        for year, logit in enumerate(row):
            p = expit(logit)
            total -= math.log(p) if age > year else math.log(1 - p)
    return total / len(AGES)


def test_or_cnn():
    raw = given(loss := ORCNN(OLDEST))
    assert raw.shape == (4, OLDEST)
    assert value(loss, raw) == pytest.approx(sum_of_questions(raw), rel=1e-5)


def test_coral():
    raw = given(loss := Coral(OLDEST))
    assert raw.shape == (4, 1)
    torch.nn.init.normal_(loss.biases, generator=torch.Generator().manual_seed(3))
    biases = loss.biases.detach().double().numpy()
    assert value(loss, raw) == pytest.approx(sum_of_questions(raw + biases), rel=1e-5)


def test_corals_score_of_zero_means_a_third_of_the_range_at_first():
    assert Coral(120).decode(torch.zeros(1, 1)).age.item() == 40


def test_a_unit_of_corals_untrained_score_is_ten_years():
    scores = torch.tensor([[-2.0], [1.0], [5.5]])
    assert Coral(120).decode(scores).age.tolist() == [20, 50, 95]


def test_gaussian_nll():
    raw = given(loss := GaussianNLL(OLDEST))
    sd = 1 + 10 * np.log1p(np.exp(raw[:, 1]))
    expected = -norm.logpdf(AGES, raw[:, 0], sd).mean() - math.log(2 * math.pi) / 2
    assert value(loss, raw) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", OF_YEARS)
def test_a_distribution_over_years_says_its_mean_and_spread(kind):
    loss = kind(oldest=OLDEST)
    raw = given(loss)
    ages = loss.decode(torch.from_numpy(raw).float())
    p = softmax(raw, axis=1)
    assert np.allclose(ages.p.numpy(), p, atol=1e-6)
    assert np.allclose(ages.age.numpy(), p @ YEARS, atol=1e-5)
    spread = np.sqrt(p @ YEARS**2 - (p @ YEARS) ** 2)
    assert np.allclose(ages.sd.numpy(), spread, atol=1e-4)


@pytest.mark.parametrize("kind", ORDINAL)
def test_the_age_is_the_number_of_questions_answered_yes(kind):
    loss = kind(oldest=4)
    if kind is Coral:
        torch.nn.init.zeros_(loss.biases)
        loss.biases.data += torch.logit(torch.tensor([0.9, 0.8, 0.6, 0.2]))
    raw = torch.zeros(1, 1) if kind is Coral else torch.logit(torch.tensor([[0.9, 0.8, 0.6, 0.2]]))
    ages = loss.decode(raw)
    assert ages.age.tolist() == [3]
    assert torch.allclose(ages.p, torch.tensor([[0.1, 0.1, 0.2, 0.4, 0.2]]))
    mean = 0.1 + 2 * 0.2 + 3 * 0.4 + 4 * 0.2
    variance = 0.1 + 4 * 0.2 + 9 * 0.4 + 16 * 0.2 - mean**2
    assert ages.sd.item() == pytest.approx(math.sqrt(variance), abs=1e-5)


def test_answers_that_contradict_make_a_distribution_all_the_same():
    ages = ORCNN(oldest=3).decode(torch.logit(torch.tensor([[0.7, 0.2, 0.6]])))
    assert ages.age.tolist() == [2]  # as the paper counts
    assert torch.allclose(ages.p, torch.tensor([[0.3, 0.5, 0.0, 0.2]]))


def test_the_normal_distribution_is_told_by_whole_years():
    ages = GaussianNLL(oldest=200).decode(torch.tensor([[100.0, 0.0]]))
    sd = 1 + 10 * math.log(2)
    assert ages.sd.item() == pytest.approx(sd)
    assert np.allclose(ages.p.numpy()[0], norm.pdf(np.arange(201), 100, sd), atol=1e-6)


@pytest.mark.parametrize("kind", [L1, Huber])
def test_a_single_age_has_no_distribution(kind):
    ages = kind().decode(torch.tensor([[3.0]]))
    assert ages == (torch.tensor([3.0]), None, None)


@pytest.mark.parametrize("age", [0.0, 0.5, 116.0, 120.0])
@pytest.mark.parametrize("kind", [*OF_YEARS, *ORDINAL, GaussianNLL])
def test_the_ends_of_the_range_behave(kind, age: float):
    loss = kind()
    raw = (5 * torch.randn(1, loss.outputs, generator=torch.Generator().manual_seed(1))).detach()
    raw.requires_grad_()
    ages = loss.decode(raw)
    found = loss(Outputs(ages.age, raw[:, 0], raw, ages.sd, ages.p), torch.tensor([age]))
    found.backward()
    assert torch.isfinite(found)
    assert torch.isfinite(raw.grad).all()
    assert raw.grad.abs().sum() > 0
    assert ages.p.sum().item() == pytest.approx(1, abs=1e-5)
    assert (ages.p >= 0).all()
    assert ages.sd > 0


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Huber, {"delta": 0}), (CE, {"oldest": 0}), (DLDLv2, {"l1": -1}), (SORD, {"slope": 0}),
        (MeanVariance, {"mean": -1}), (MeanVariance, {"variance": -1}), (ORCNN, {"oldest": 0}),
        (Coral, {"oldest": 0}), (GaussianNLL, {"oldest": 0}),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(kind, wrong):
    with pytest.raises(ValueError, match=f"loss.{next(iter(wrong))}="):
        kind(**wrong)
