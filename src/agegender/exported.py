"""The graph that is exported: uint8 crops in, years and probabilities out."""

import torch
from torch import Tensor, nn

from agegender.data.cache import resize_weights
from agegender.models.net import FlipAveraged, Net, as_input
from agegender.portraits.align import SIDE

LUMA = (19595, 38470, 7471)  # of 65536: Pillow's own integers for ITU-R 601
NAMES = ("age", "age_sd", "p_female")


class Exported(nn.Module):
    """All that happens to a crop on its way to the network, and the network.

    The resize is `agegender.data.cache.prepare`'s to the last bit: constant matrices that Pillow
    itself has given, in float64, and whole values after each of the two passes as in Pillow.

    Args:
        net: the network.
        channels: 1 (grey) or 3 (RGB), that it reads.
        side: of what it reads, pixels.

    Shapes:
        (N, SIDE, SIDE, 3) uint8 RGB -> three (N,) float32: age and its standard deviation in
        years (NaN where the network says one age only), and the probability of female, 0 to 1.
    """

    weights: Tensor
    luma: Tensor

    def __init__(self, net: Net | FlipAveraged, channels: int, side: int) -> None:
        super().__init__()
        self.net, self.channels, self.side = net, channels, side
        self.register_buffer("weights", torch.from_numpy(resize_weights(SIDE, side)))
        self.register_buffer("luma", torch.tensor(LUMA, dtype=torch.float32))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        said = self.net(as_input(self.prepared(crops), torch.contiguous_format))
        sd = torch.full_like(said.age, torch.nan) if said.age_sd is None else said.age_sd
        return said.age, sd, said.gender_logit.sigmoid()

    def prepared(self, crops: Tensor) -> Tensor:
        """As `prepare`: (N, SIDE, SIDE, 3) uint8 -> (N, C, side, side) float32, 0 to 255, whole."""
        pixels = crops.float()  # (N, SIDE, SIDE, 3)
        if self.channels == 1:  # whole numbers below 2 to the power of 24: exact in float32
            pixels = ((pixels * self.luma).sum(3, keepdim=True) + 32768).div(65536).floor()
        pixels = pixels.permute(0, 3, 1, 2)  # (N, C, SIDE, SIDE)
        if self.side != SIDE:
            pixels = pixels.double()
            pixels = _whole(pixels @ self.weights)  # each row
            pixels = _whole((pixels.transpose(2, 3) @ self.weights).transpose(2, 3))  # each column
        return pixels.float()


def _whole(values: Tensor) -> Tensor:
    """Rounded as Pillow does, halves upwards, and kept within 0..255."""
    return (values + 0.5).floor().clamp(0, 255)
