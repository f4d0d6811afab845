import math

import pytest
import torch

from agegender.train import build_module
from agegender.weighting import Fixed, Uncertainty

from .conftest import composed


def test_fixed_weights():
    age, gender = torch.tensor(6.0), torch.tensor(0.5)
    assert Fixed()(age, gender).item() == 6.5
    assert Fixed(age=0.5, gender=10)(age, gender).item() == 8
    with pytest.raises(ValueError, match=r"weighting\.gender=-1"):
        Fixed(gender=-1)


def test_learned_weights_end_where_the_formula_says():
    # exp(-s) loss + s / 2 is smallest at s = log(2 loss), where it is 1/2 + log(2 loss) / 2
    weighting = Uncertainty()
    losses = torch.tensor(6.0), torch.tensor(0.3)
    assert weighting(*losses).item() == pytest.approx(6.3)
    optimizer = torch.optim.Adam(weighting.parameters(), lr=0.05)
    for _ in range(500):
        optimizer.zero_grad()
        total = weighting(*losses)
        total.backward()
        optimizer.step()
    found = weighting.log_variance.tolist()
    assert found == pytest.approx([math.log(12), math.log(0.6)], abs=1e-3)
    assert total.item() == pytest.approx(1 + (math.log(12) + math.log(0.6)) / 2, abs=1e-4)


def test_learned_weights_are_learned_with_the_network_and_do_not_decay():
    module = build_module(composed("weighting=uncertainty", "optimizer=adamw"))
    optimizer, _ = module.optimizers_for(total_steps=10)
    groups = [
        group["weight_decay"]
        for group in optimizer.param_groups
        if any(p is module.weighting.log_variance for p in group["params"])
    ]
    assert groups == [0.0]
