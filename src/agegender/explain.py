"""Where a network looks: how predicted age changes when a patch of a face is hidden."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from agegender.errors import InputError

PATCH, STRIDE = 8, 16  # the patch is an eighth of the side, and moves by a sixteenth
GREY = 0.5
OLDER, YOUNGER = (213, 94, 0), (0, 114, 178)  # Okabe & Ito
Pixels = npt.NDArray[np.uint8]


class AgeOnly(nn.Module):
    """A network of which only the age is asked: captum wants one tensor."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) float32 in 0..1 -> (B,) float32, years."""
        age: Tensor = self.net(image).age
        return age


def patch_of(side: int) -> int:
    """The side of the patch that is hidden in pictures of a size, pixels."""
    return max(1, side // PATCH)


def occlusion(net: nn.Module, image: Tensor) -> Tensor:
    """What each place of a face adds to its predicted age (Zeiler & Fergus 2014).

    Args:
        net: (B, C, H, W) float32 in 0..1 -> `agegender.types.Outputs`.
        image: (B, C, H, W) float32 in 0..1.

    Returns:
        (B, H, W) float32, years: the predicted age less that with a grey patch over the place.

    Raises:
        InputError: if captum is not installed.
    """
    try:
        from captum.attr import Occlusion
    except ImportError:
        raise InputError("explain=true needs captum: pip install -e '.[explain]'") from None
    channels, side = image.shape[1], image.shape[-1]
    stride = max(1, side // STRIDE)
    was = net.training
    net.eval()
    with torch.no_grad():
        found: Tensor = Occlusion(AgeOnly(net)).attribute(
            image.float(),
            sliding_window_shapes=(channels, patch_of(side), patch_of(side)),
            strides=(channels, stride, stride),
            baselines=GREY,
        )
    net.train(was)
    return found[:, 0]


def coloured(pixels: Pixels, years: npt.NDArray[np.floating]) -> tuple[Pixels, float]:
    """A face in grey under its map.

    Args:
        pixels: (C, H, W) uint8.
        years: (H, W), from `occlusion`.

    Returns:
        (3, H, W) uint8, orange where years are added and blue where they are taken away, and the
        years of full colour.
    """
    top = float(np.abs(years).max()) or 1.0
    strength = 0.75 * np.abs(years)[None] / top
    grey = pixels.mean(axis=0, keepdims=True)
    ends = np.array([YOUNGER, OLDER], dtype=float)[(years > 0).astype(int)]
    mixed = (1 - strength) * grey + strength * ends.transpose(2, 0, 1)
    return mixed.round().astype(np.uint8), top


def looked_at(
    net: nn.Module, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.integer]
) -> list[tuple[Pixels, float]]:
    """`coloured` maps of some rows of (N, C, H, W) uint8 pictures."""
    images = np.ascontiguousarray(pixels[rows])
    device = next(net.parameters()).device
    maps = occlusion(net, torch.from_numpy(images).to(device).float() / 255).cpu().numpy()
    return [coloured(face, years) for face, years in zip(images, maps, strict=True)]
