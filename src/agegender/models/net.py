"""Backbone and heads put together."""

from typing import Protocol

import torch
from torch import Tensor, nn

from agegender.models.heads import DenseHead
from agegender.types import Ages, Outputs


class Backbone(Protocol):
    """Any module that turns images into (B, features) and says how many features."""

    features: int

    def __call__(self, image: Tensor) -> Tensor: ...


class AgeLoss(Protocol):
    """An age loss, which also says how the age head's numbers become years.

    `outputs` is how many numbers the head gives (K), `decode` turns (B, K) into `Ages`, and a
    call gives the scalar loss of `Outputs` against (B,) years.
    """

    outputs: int

    def decode(self, raw: Tensor) -> Ages: ...

    def __call__(self, outputs: Outputs, age: Tensor) -> Tensor: ...


class Net(nn.Module):
    """One backbone, two heads: age in years and the logit of being female.

    Args:
        backbone: images to features.
        decoder: the age loss; it sets how many numbers the age head gives (K) and turns
            them into years.
        hidden: width of each head's hidden layer.
        dropout: share of hidden units dropped in training, 0 to 1.

    Shapes:
        (B, C, H, W) float32 in 0..1 -> `Outputs`.
    """

    def __init__(
        self, backbone: Backbone, decoder: AgeLoss, hidden: int = 256, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder
        self.age_head = DenseHead(backbone.features, decoder.outputs, hidden, dropout)
        self.gender_head = DenseHead(backbone.features, 1, hidden, dropout)

    def forward(self, image: Tensor) -> Outputs:
        features = self.backbone(image)
        age_raw = self.age_head(features)
        with torch.autocast(age_raw.device.type, enabled=False):  # years are never rounded
            ages = self.decoder.decode(age_raw)
        return Outputs(
            age=ages.age,
            gender_logit=self.gender_head(features).squeeze(1),
            age_raw=age_raw,
            age_sd=ages.sd,
            age_p=ages.p,
        )


class FlipAveraged(nn.Module):
    """A network that looks at each face and at its mirror image, and says the mean.

    Shapes:
        As `Net`; `age_raw` is of the face alone, `age_sd` the mean of both.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Outputs:
        one: Outputs = self.net(image)
        other: Outputs = self.net(image.flip(3))
        return Outputs(
            age=(one.age + other.age) / 2,
            gender_logit=(one.gender_logit + other.gender_logit) / 2,
            age_raw=one.age_raw,
            age_sd=_mean(one.age_sd, other.age_sd),
            age_p=_mean(one.age_p, other.age_p),
        )


def as_input(pixels: Tensor, layout: torch.memory_format) -> Tensor:
    """What every network reads: (B, C, H, W) uint8 0..255 -> float32 0..1, in a memory layout."""
    return pixels.to(memory_format=layout).float().div_(255)


def _mean(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return None if one is None or other is None else (one + other) / 2
