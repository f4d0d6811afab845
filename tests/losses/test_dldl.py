import numpy as np
import pytest
import torch
from scipy.stats import entropy

from agegender.losses.dldl import DLDL
from agegender.types import Outputs


def outputs_of(raw: torch.Tensor, loss: DLDL) -> Outputs:
    return Outputs(age=loss.decode(raw).age, gender_logit=torch.zeros(len(raw)), age_raw=raw)


def test_it_is_the_divergence_that_scipy_computes():
    loss = DLDL(sigma=1.5, oldest=10)
    raw = torch.randn(3, 11, generator=torch.Generator().manual_seed(0))
    ages = np.array([0.0, 4.5, 10.0])
    years = np.arange(11)
    expected = []
    for logits, age in zip(raw.double().numpy(), ages, strict=True):
        label = np.exp(-((years - age) ** 2) / (2 * 1.5**2))
        expected.append(entropy(label / label.sum(), np.exp(logits) / np.exp(logits).sum()))
    found = loss(outputs_of(raw, loss), torch.tensor(ages, dtype=torch.float32))
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_the_age_is_the_expectation():
    loss = DLDL(oldest=3)
    raw = torch.tensor([[0.0, 0.0, 0.0, 0.0], [-99.0, -99.0, 0.0, 0.0]])
    assert loss.decode(raw).age.tolist() == pytest.approx([1.5, 2.5])


@pytest.mark.parametrize("wrong", [{"sigma": 0.0}, {"oldest": 0}])
def test_impossible_values_are_refused(wrong):
    with pytest.raises(ValueError, match=f"loss.{next(iter(wrong))}=0"):
        DLDL(**wrong)
