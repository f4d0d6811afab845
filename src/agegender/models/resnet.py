"""A small residual network with a stride-2 stem, made for small CPUs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agegender.models.layers import Convolution


class ResNet(nn.Module):
    """Stem, stages of residual blocks, global average pooling.

    He et al. 2016, arXiv:1512.03385, basic blocks. The stem is one 3x3 convolution with stride
    2; each stage but the first halves the side and doubles the width, and its shortcut averages
    before it projects (ResNet-D: He et al. 2019, arXiv:1812.01187).

    Args:
        in_channels: 1 (grey) or 3 (RGB).
        width: channels of the first stage.
        depths: residual blocks of each stage.

    Shapes:
        (B, in_channels, H, W) float in 0..1 -> (B, features) float; any H and W of at least
        2 to the power of the number of stages.

    Raises:
        ValueError: if width or a depth is not at least 1.
    """

    def __init__(
        self, in_channels: int = 3, width: int = 32, depths: Sequence[int] = (1, 1, 1, 1)
    ) -> None:
        super().__init__()
        if width < 1 or not depths or min(depths) < 1:
            raise ValueError(
                f"width={width}, depths={list(depths)}: at least one stage, and each number at"
                f" least 1"
            )
        layers: list[nn.Module] = [Convolution(in_channels, width, 3, stride=2), nn.ReLU(True)]
        channels = width
        for stage, depth in enumerate(depths):
            for block in range(depth):
                halve = stage > 0 and block == 0
                layers.append(ResidualBlock(channels, width * 2**stage, halve))
                channels = width * 2**stage
        self.layers = nn.Sequential(*layers)
        self.features = channels

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image).mean((2, 3))  # type: ignore[no-any-return]  # (B, features)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Shapes:
        (B, in_channels, H, W) -> (B, out_channels, H, W), or half the side if `halve`.
    """

    def __init__(self, in_channels: int, out_channels: int, halve: bool) -> None:
        super().__init__()
        self.first = Convolution(in_channels, out_channels, 3, stride=2 if halve else 1)
        self.second = Convolution(out_channels, out_channels, 3)
        shortcut: list[nn.Module] = [nn.AvgPool2d(2, ceil_mode=True)] if halve else []
        if in_channels != out_channels:
            shortcut.append(Convolution(in_channels, out_channels, 1))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(torch.relu_(self.first(x)))
        return torch.relu_(y.add_(self.shortcut(x)))
