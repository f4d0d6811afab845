"""What several backbones are made of."""

from torch import nn


class Convolution(nn.Sequential):
    """Convolution without bias, then batch normalisation; the side is kept at a stride of 1."""

    def __init__(self, in_channels: int, out_channels: int, side: int, stride: int = 1) -> None:
        convolution = nn.Conv2d(in_channels, out_channels, side, stride, side // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(convolution, nn.BatchNorm2d(out_channels))
