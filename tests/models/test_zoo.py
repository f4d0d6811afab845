"""Every backbone of conf/model/ and every age loss of conf/loss/, found by globbing."""

import pytest
import torch
from torch import nn

from agegender.train import build_module
from agegender.types import Batch, Outputs

from ..conftest import ROOT, composed

MODELS = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml"))
LOSSES = sorted(path.stem for path in (ROOT / "conf/loss").glob("*.yaml"))
assert len(MODELS) >= 1
assert len(LOSSES) >= 1


def module_of(model: str, loss: str, *more: str):
    torch.manual_seed(0)
    return build_module(composed(f"model={model}", f"loss={loss}", *more))


def batch_of(n: int, channels: int, size: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        image=torch.rand(n, channels, size, size, generator=generator),
        age=torch.tensor([1.0, 26.0, 60.0, 116.0] * n)[:n],
        gender=torch.tensor([0.0, 1.0] * n)[:n],
        row=torch.arange(n),
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("model", MODELS)
def test_every_parameter_gets_a_gradient(model: str, loss: str):
    module = module_of(model, loss)
    batch = batch_of(4, 1, 128)
    outputs = module(batch.image)
    assert outputs.age.shape == outputs.gender_logit.shape == (4,)
    assert outputs.age_raw.shape == (4, module.loss.outputs)
    total = module.loss(outputs, batch.age) + outputs.gender_logit.sum()
    assert total.shape == ()
    total.backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [64, 96, 224])
@pytest.mark.parametrize("model", MODELS)
def test_grey_and_colour_at_any_size_in_bf16(model: str, size: int, channels: int):
    module = module_of(model, "l1", f"data.image_size={size}", f"data.channels={channels}").eval()
    batch = batch_of(2, channels, size)
    image = batch.image.to(memory_format=torch.channels_last)
    with torch.no_grad():
        exact = module(image)
        with torch.autocast("cpu", torch.bfloat16):
            rough = module(image)
    assert rough.age.dtype == torch.float32, "years are never rounded to bfloat16"
    assert rough.gender_logit.dtype == torch.float32
    assert torch.allclose(exact.age, rough.age, atol=0.02, rtol=0.05)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("model", MODELS)
def test_weights_survive_saving(model: str, loss: str, tmp_path):
    first = module_of(model, loss).eval()
    torch.save(first.state_dict(), tmp_path / "w.pt")
    second = module_of(model, loss).eval()
    for parameter in second.parameters():
        nn.init.zeros_(parameter)
    second.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))
    image = batch_of(2, 1, 128).image
    assert torch.equal(first(image).age, second(image).age)


@pytest.mark.parametrize("loss", LOSSES)
def test_an_age_loss_leads_to_the_age_and_grows_with_the_error(loss: str):
    age_loss = module_of("cnn", loss).loss
    age = torch.tensor([0.0, 26.0, 60.0, 116.0])
    raw = torch.zeros(4, age_loss.outputs, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=0.5)

    def loss_at(truth: torch.Tensor) -> torch.Tensor:
        return age_loss(Outputs(age_loss.decode(raw), torch.zeros(4), raw), truth)

    for _ in range(400):
        optimizer.zero_grad()
        loss_at(age).backward()
        optimizer.step()
    assert torch.allclose(age_loss.decode(raw), age, atol=2)  # a distribution ends at 0 years
    assert loss_at(age) < loss_at((age - 5).abs()) < loss_at((age - 20).abs())
