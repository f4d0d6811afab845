"""A compact residual network: narrow where pictures are large, deep where they are small."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.models.layers import Convolution


class Compact(nn.Module):
    """Stem, stages of residual blocks, global average pooling.

    Most of a small network's time goes into its first stage, where pictures are largest, and most
    of what it can learn lies in its last ones: so the first stage is one narrow block, and the
    others have several (as RegNet: Radosavovic et al. 2020, arXiv:2003.13678). The blocks of the
    last stages weigh their channels before the shortcut joins (squeeze and excitation: Hu et al.
    2018, arXiv:1709.01507); in the first ones that costs a sixth of the time. SiLU (Elfwing et al.
    2018, arXiv:1702.03118) stands for ReLU.

    Args:
        in_channels: 1 (grey) or 3 (RGB).
        widths: channels of each stage; each stage but the first halves the side.
        depths: residual blocks of each stage.
        weighed: so many last stages weigh their channels.

    Shapes:
        (B, in_channels, H, W) float in 0..1 -> (B, features) float; any H and W of at least
        2 to the power of the number of stages.

    Raises:
        ValueError: if widths and depths are not of one length, or a number is not at least 1.
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: Sequence[int] = (24, 48, 96, 192),
        depths: Sequence[int] = (1, 2, 2, 2),
        weighed: int = 2,
    ) -> None:
        super().__init__()
        if not widths or len(widths) != len(depths) or min(*widths, *depths) < 1:
            raise ValueError(
                f"widths={list(widths)}, depths={list(depths)}: one depth for each width, and each"
                f" number at least 1"
            )
        channels = widths[0]
        layers: list[nn.Module] = [Convolution(in_channels, channels, 3, stride=2), nn.SiLU(True)]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            weigh = stage >= len(widths) - weighed
            for block in range(depth):
                layers.append(CompactBlock(channels, width, stage > 0 and block == 0, weigh))
                channels = width
        self.layers = nn.Sequential(*layers)
        self.features = channels

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image).mean((2, 3))  # type: ignore[no-any-return]  # (B, features)


class CompactBlock(nn.Module):
    """Two 3x3 convolutions and channel weights, beside a shortcut that averages where it halves.

    Shapes:
        (B, in_channels, H, W) -> (B, out_channels, H, W), or half the side if `halve`.
    """

    def __init__(self, in_channels: int, out_channels: int, halve: bool, weigh: bool) -> None:
        super().__init__()
        self.first = Convolution(in_channels, out_channels, 3, stride=2 if halve else 1)
        self.second = Convolution(out_channels, out_channels, 3)
        self.weights = _ChannelWeights(out_channels) if weigh else nn.Identity()
        shortcut: list[nn.Module] = [nn.AvgPool2d(2, ceil_mode=True)] if halve else []
        if in_channels != out_channels:
            shortcut.append(Convolution(in_channels, out_channels, 1))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = self.weights(self.second(F.silu(self.first(x))))
        return F.silu(y + self.shortcut(x))


class _ChannelWeights(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(16, channels // 4)
        self.squeeze, self.excite = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.excite(F.silu(self.squeeze(x.mean((2, 3)))))
        return x * weights.sigmoid()[:, :, None, None]
