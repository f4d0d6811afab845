"""Any of torchvision's classification networks."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision import models

CLASSES = 1000  # of the layer that is taken off
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what its pictures are scaled by


class WeightsError(ValueError):
    """Pretrained weights cannot be had."""


class Torchvision(nn.Module):
    """A network by its name, without its last layer: https://pytorch.org/vision/stable/models.html.

    A grey picture is given to it three times.

    Args:
        name: as torchvision has it, for instance `mobilenet_v3_small`.
        in_channels: 1 (grey) or 3 (RGB).
        image_size: height and width of the input in pixels.
        pretrained: begin with torchvision's best weights, learned on ImageNet and downloaded once.

    Shapes:
        (B, in_channels, image_size, image_size) float in 0..1 -> (B, features) float.

    Raises:
        ValueError: if there is no such network, it does not take pictures of this size, or its
            weights cannot be had.
    """

    def __init__(
        self,
        name: str = "mobilenet_v3_small",
        in_channels: int = 3,
        image_size: int = 128,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        known = models.list_models(module=models)
        if name not in known:
            raise ValueError(f"model.backbone.name={name} is not one of {', '.join(known)}")
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)
        try:
            self.net = _network(name, image_size, pretrained)
            self.features = _take_last_off(self.net)
            with torch.no_grad():
                self.eval()(torch.zeros(1, in_channels, image_size, image_size))
        except WeightsError:
            raise
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ValueError(
                f"model.backbone.name={name} takes no pictures of {image_size} x {image_size}"
                f" pixels: {str(error).strip().splitlines()[0]}"
            ) from error
        self.train()

    def forward(self, image: Tensor) -> Tensor:
        mean, deviation = cast(Tensor, self.mean), cast(Tensor, self.deviation)
        scaled = (image.expand(-1, 3, -1, -1) - mean) / deviation
        return self.net(scaled)  # type: ignore[no-any-return]  # (B, features)


def _network(name: str, image_size: int, pretrained: bool) -> nn.Module:
    arguments: dict[str, Any] = {"weights": "DEFAULT" if pretrained else None}
    if name.startswith("vit_"):
        arguments["image_size"] = image_size
    elif name.startswith("maxvit_"):
        arguments["input_size"] = (image_size, image_size)
    elif name in ("googlenet", "inception_v3") and not pretrained:
        arguments |= {"aux_logits": False, "init_weights": True}
    try:
        net: nn.Module = models.get_model(name, **arguments)
    except (OSError, RuntimeError) as error:  # no network; another file than expected
        raise WeightsError(
            f"model.backbone.pretrained=true: the weights of {name} cannot be downloaded ({error})."
            f" Say pretrained=false, or put the file where torch looks for it:"
            f" {torch.hub.get_dir()}/checkpoints"
        ) from error
    if name in ("googlenet", "inception_v3"):
        net.aux_logits = False  # type: ignore[assignment]
    return net


def _take_last_off(net: nn.Module) -> int:
    """Replace the layer that says the classes, and say how many features it was given."""
    last = [
        (name, layer)
        for name, layer in net.named_modules()
        if (isinstance(layer, nn.Linear) and layer.out_features == CLASSES)
        or (isinstance(layer, nn.Conv2d) and layer.out_channels == CLASSES)
    ]
    name, layer = last[-1]
    parent, _, leaf = name.rpartition(".")
    setattr(net.get_submodule(parent), leaf, nn.Identity())
    features = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
    return int(features)
