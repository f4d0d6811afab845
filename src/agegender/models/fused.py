"""A compact network of fused inverted bottlenecks, after EfficientNetV2."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from agegender.models.layers import Convolution


class Fused(nn.Module):
    """Stem, stages of fused inverted bottlenecks, a 1x1 convolution, global average pooling.

    Tan & Le 2021, arXiv:2104.00298: a 3x3 convolution widens, a 1x1 convolution narrows, and the
    shortcut joins the narrow ends. Depthwise convolutions, which they use in late stages, save
    operations and not time on a CPU, so there are none; instead the late stages weigh their
    channels (squeeze and excitation, Hu et al. 2018, arXiv:1709.01507).

    Args:
        in_channels: 1 (grey) or 3 (RGB).
        widths: narrow channels of each stage; each halves the side.
        depths: blocks of each stage.
        expand: wide channels over narrow ones.
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
        widths: Sequence[int] = (24, 48, 96, 160),
        depths: Sequence[int] = (1, 2, 3, 2),
        expand: int = 3,
        weighed: int = 2,
    ) -> None:
        super().__init__()
        if len(widths) != len(depths) or min(*widths, *depths, expand) < 1:
            raise ValueError(
                f"widths={list(widths)}, depths={list(depths)}, expand={expand}: one depth for each"
                f" width, and each number at least 1"
            )
        layers: list[nn.Module] = [Convolution(in_channels, widths[0], 3, stride=2), nn.SiLU(True)]
        channels = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            weigh = stage >= len(widths) - weighed
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(FusedBlock(channels, width, expand, stride, weigh))
                channels = width
        self.features = 4 * channels
        layers += [Convolution(channels, self.features, 1), nn.SiLU(True)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image).mean((2, 3))  # type: ignore[no-any-return]  # (B, features)


class FusedBlock(nn.Module):
    """Wide 3x3 convolution, channel weights, narrow 1x1 convolution, beside a shortcut.

    Shapes:
        (B, in_channels, H, W) -> (B, out_channels, H, W), or half the side at a stride of 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, expand: int, stride: int, weigh: bool
    ) -> None:
        super().__init__()
        wide = in_channels * expand
        self.widen = Convolution(in_channels, wide, 3, stride)
        self.weigh = _ChannelWeights(wide, in_channels) if weigh else None
        self.narrow = Convolution(wide, out_channels, 1)
        self.joins = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.silu(self.widen(x), inplace=True)
        if self.weigh is not None:
            y = self.weigh(y)
        y = self.narrow(y)
        return y + x if self.joins else y


class _ChannelWeights(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, given: int) -> None:
        super().__init__()
        squeezed = max(8, given // 4)
        self.squeeze, self.excite = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.excite(F.silu(self.squeeze(x.mean((2, 3)))))
        return x * weights.sigmoid()[:, :, None, None]
