import urllib.error

import pytest
import torch
from torchvision import models

from agegender import checkpoint
from agegender.errors import InputError
from agegender.models.torchvision import DEVIATION, MEAN, Torchvision
from agegender.train import build_module, fit

from ..conftest import SMALL, composed

# one of each way in which torchvision's networks end, or want to be made
KINDS = [
    ("resnet18", 64, 512), ("mobilenet_v3_small", 96, 1024), ("squeezenet1_1", 64, 512),
    ("vit_b_32", 96, 768), ("googlenet", 64, 1024), ("shufflenet_v2_x0_5", 64, 1024),
]  # fmt: skip


@pytest.mark.parametrize(("name", "size", "features"), KINDS)
def test_networks_of_every_kind_give_features(name: str, size: int, features: int):
    for channels in (1, 3):
        net = Torchvision(name, channels, size)
        assert net.training
        assert net.features == features
        assert net(torch.rand(2, channels, size, size)).shape == (2, features)


def test_it_is_torchvisions_own_network():
    torch.manual_seed(0)
    ours = Torchvision("resnet18", 1, 64).eval()
    torch.manual_seed(0)
    theirs = models.resnet18().eval()
    theirs.fc = torch.nn.Identity()
    grey = torch.rand(2, 1, 64, 64)
    scaled = [(grey[:, 0] - m) / d for m, d in zip(MEAN, DEVIATION, strict=True)]
    with torch.no_grad():
        assert torch.allclose(ours(grey), theirs(torch.stack(scaled, 1)), atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["name=resnet19"], "name=resnet19 is not one of alexnet, "),
        (["name=vit_b_16", "image_size=100"], "takes no pictures of 100 x 100 pixels"),
        (["name=maxvit_t", "image_size=64"], "takes no pictures of 64 x 64 pixels"),
        (["name=inception_v3", "image_size=64"], "takes no pictures of 64 x 64 pixels"),
    ],
)
def test_what_it_cannot_be_is_said(words, said):
    given = [f"model.backbone.{word}" for word in words]
    with pytest.raises(InputError, match=said):
        build_module(composed("model=torchvision", *given, "output_dir=out"))


def test_weights_that_cannot_be_downloaded_are_said(monkeypatch):
    def no_network(*args, **kwargs):
        raise urllib.error.URLError("there is no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    with pytest.raises(InputError, match="weights of resnet18 cannot be downloaded"):
        build_module(
            composed("model=torchvision", "model.backbone.name=resnet18",
                     "model.backbone.pretrained=true", "output_dir=out")
        )  # fmt: skip


def test_pretrained_weights_are_loaded_once_and_never_for_a_checkpoint(tmp_path, monkeypatch):
    torch.manual_seed(1)
    weights = models.squeezenet1_1().state_dict()
    asked = []

    def server(url, *args, **kwargs):
        asked.append(url)
        return weights

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", server)
    words = (
        "model=torchvision", "model.backbone.name=squeezenet1_1", "model.backbone.pretrained=true",
        "optimizer.lr=1e-30", "trainer.max_epochs=1",
    )  # fmt: skip
    fit(composed(*SMALL, *words, f"output_dir={tmp_path}"))
    assert len(asked) == 1
    assert "squeezenet1_1" in asked[0]
    net = checkpoint.load(tmp_path / "checkpoints/best.ckpt").net
    assert len(asked) == 1
    first = net.backbone.net.features[0].weight
    assert torch.allclose(first, weights["features.0.weight"])
