"""Every backbone of conf/model/ and every age loss of conf/loss/, found by globbing."""

import pytest
import torch
from torch import nn

from agegender.train import build_module
from agegender.types import Batch, Outputs

from ..conftest import ROOT, composed

MODELS = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml"))
LOSSES = sorted(path.stem for path in (ROOT / "conf/loss").glob("*.yaml"))
assert len(MODELS) >= 4
assert len(LOSSES) >= 10


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
    image = batch_of(2, channels, size).image.to(memory_format=torch.channels_last)
    with torch.no_grad():
        exact = module(image)
        with torch.autocast("cpu", torch.bfloat16):
            rough = module(image)
    assert torch.allclose(exact.age, rough.age, atol=0.02, rtol=0.05)


@pytest.mark.parametrize("loss", LOSSES)
def test_years_are_never_rounded_to_bfloat16(loss: str):
    module = module_of("resnet", loss)
    batch = batch_of(8, 1, 64)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = module(batch.image)
        values = [*module.losses(outputs, *batch[1:3]), *(v for v in outputs if v is not None)]
    assert {value.dtype for value in values} == {torch.float32}
    exact = module.loss.decode(outputs.age_raw)
    assert torch.equal(outputs.age, exact.age)
    again = module.losses(outputs, *batch[1:3])
    assert [value.item() for value in values[:2]] == [value.item() for value in again]


@pytest.mark.parametrize("loss", LOSSES)
def test_32_faces_are_learned_by_heart(loss: str):
    small = ("model.backbone.width=8", "model.dropout=0", "data.image_size=32", "data.channels=3")
    module = module_of("resnet", loss, *small)
    image = torch.rand(32, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    age = torch.tensor([0.0, 1.0, 116.0, 110.0] + [1.0 + 3 * i for i in range(28)])
    batch = Batch(image, age, (age % 2), torch.arange(32))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.003)
    error, wrong = torch.tensor(0.0), 0
    for _ in range(1500):
        optimizer.zero_grad()
        outputs = module(image)
        error = (outputs.age - age).abs().max()
        wrong = ((outputs.gender_logit > 0) != (age % 2 == 1)).sum()
        if error < 6 and not wrong:
            break
        sum(module.losses(outputs, *batch[1:3])).backward()
        optimizer.step()
    assert error < 6, "the youngest and the oldest too"
    assert not wrong


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
    optimizer = torch.optim.Adam([raw, *age_loss.parameters()], lr=0.5)

    def loss_at(truth: torch.Tensor) -> torch.Tensor:
        return age_loss(Outputs(age_loss.decode(raw).age, torch.zeros(4), raw), truth)

    for _ in range(1500):
        optimizer.zero_grad()
        loss_at(age).backward()
        optimizer.step()
    assert torch.allclose(age_loss.decode(raw).age, age, atol=2)  # a distribution ends at 0
    # to cross-entropy one wrong year is as bad as another
    assert loss_at(age) < loss_at((age - 5).abs()) <= loss_at((age - 20).abs()) + 1e-3
