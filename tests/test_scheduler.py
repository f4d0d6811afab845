import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR

from agegender.errors import InputError
from agegender.scheduler import constant, cosine, onecycle
from agegender.train import build_module, fit

from .conftest import SMALL, composed


def rates(make, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_onecycle_is_what_torch_computes():
    def torchs(optimizer):
        return OneCycleLR(
            optimizer, 0.5, total_steps=101, pct_start=26 / 101, div_factor=25,
            final_div_factor=1e9, cycle_momentum=False,
        )  # fmt: skip

    # torch's first phase ends one step before its share of them, the second at total_steps - 1
    ours = rates(lambda optimizer: onecycle(optimizer, 100), 100)
    assert ours == pytest.approx(rates(torchs, 100), abs=1e-6)


def test_cosine_is_what_torch_computes():
    def torchs(optimizer):
        up = LinearLR(optimizer, 1 / 21, 1.0, total_iters=20)
        down = CosineAnnealingLR(optimizer, T_max=80, eta_min=0.5 * 0.02)
        return SequentialLR(optimizer, [up, down], milestones=[20])

    ours = rates(lambda optimizer: cosine(optimizer, 100, warmup=0.2, end=0.02), 100)
    # torch's line reaches the top at step 20, which is where ours begins to fall
    assert ours[20:] == pytest.approx(rates(torchs, 100)[20:], abs=1e-6)
    assert ours[:20] == pytest.approx([0.5 * (step + 1) / 21 for step in range(20)])
    for wrong in ({"warmup": 1.0}, {"end": -0.1}):
        with pytest.raises(ValueError, match=f"scheduler.{next(iter(wrong))}="):
            cosine(torch.optim.SGD([nn.Parameter(torch.zeros(1))]), 10, **wrong)


def test_constant_changes_nothing_and_wrong_shares_are_refused():
    assert rates(lambda optimizer: constant(optimizer, 10), 10) == [0.5] * 10
    for wrong in ({"warmup": 1.0}, {"start": -0.1}):
        with pytest.raises(ValueError, match=f"scheduler.{next(iter(wrong))}="):
            onecycle(torch.optim.SGD([nn.Parameter(torch.zeros(1))]), 10, **wrong)


def test_no_warmup_starts_at_the_top():
    found = rates(lambda optimizer: onecycle(optimizer, 10, warmup=0.0), 10)
    assert found[0] == 0.5
    assert found[5] == pytest.approx(0.25)
    assert math.isclose(found[9], 0.5 * (1 + math.cos(0.9 * math.pi)) / 2)


def test_decay_is_for_the_weights_of_layers_alone():
    module = build_module(composed("model=resnet", "optimizer=adamw"))
    optimizer, _ = module.optimizers_for(total_steps=10)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in module.named_parameters():
        is_norm_or_bias = name.endswith("bias") or parameter.ndim == 1
        assert decay[id(parameter)] == (0.0 if is_norm_or_bias else 0.05), name


def test_a_planned_rate_or_another_precision_is_not_continued(tmp_path):
    words = (*SMALL, "scheduler=onecycle", f"output_dir={tmp_path / 'run'}")
    fit(composed(*words, "trainer.max_epochs=1"))
    with pytest.raises(InputError, match="was planned for 1 epochs"):
        fit(composed(*words, "trainer.max_epochs=2", "ckpt_path=last"))
    given = composed(*words).trainer.precision
    other = {"32-true": "bf16-mixed", "bf16-mixed": "32-true"}[given]
    with pytest.raises(InputError, match=f"precision={other}: it was started with {given}"):
        fit(composed(*words, f"trainer.precision={other}", "ckpt_path=last"))
