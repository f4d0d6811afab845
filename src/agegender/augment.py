"""Augmentation of a whole batch at once, on whatever device it is on."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F


class Augment:
    """Random flip, small affine and brightness; each face draws its own.

    With all its defaults it changes nothing.

    Args:
        flip: probability of a left-right flip, 0 to 1.
        rotate: largest rotation, degrees.
        scale: largest relative change of size (0.1 means 0.9 to 1.1).
        shift: largest shift, share of the picture's side.
        brightness: largest relative change of brightness.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        flip: float = 0.0,
        rotate: float = 0.0,
        scale: float = 0.0,
        shift: float = 0.0,
        brightness: float = 0.0,
    ) -> None:
        limits = {"flip": 1, "rotate": 180, "scale": 0.9, "shift": 1, "brightness": 1}
        for name, high in limits.items():
            value = locals()[name]
            if not 0 <= value <= high:
                raise ValueError(f"augment.{name}={value}: must be from 0 to {high}")
        self.flip, self.rotate, self.scale = flip, rotate, scale
        self.shift, self.brightness = shift, brightness

    def __call__(self, image: Tensor, generator: Generator) -> Tensor:
        """(B, C, H, W) float in 0..1 -> the same shape and range.

        Args:
            image: the batch.
            generator: where every random number comes from; on the image's device.
        """
        if self.rotate or self.scale or self.shift:
            image = self._move(image, generator)
        elif self.flip:  # alone it needs no interpolation
            mirror = self._mirror(image, generator)[:, None, None, None]
            image = torch.where(mirror, image.flip(3), image)
        if self.brightness:
            gain = 1 + self.brightness * _uniform(len(image), image, generator)
            image = (image * gain[:, None, None, None]).clamp(0, 1)
        return image

    def _mirror(self, image: Tensor, generator: Generator) -> Tensor:
        """(n,) bool: which faces are flipped."""
        return torch.rand(len(image), generator=generator, device=image.device) < self.flip

    def _move(self, image: Tensor, generator: Generator) -> Tensor:
        n = len(image)
        mirror = torch.where(self._mirror(image, generator), -1.0, 1.0)
        angle = math.radians(self.rotate) * _uniform(n, image, generator)
        size = 1 + self.scale * _uniform(n, image, generator)
        # a shift by half the picture is 1 in grid_sample's -1..1 coordinates
        dx, dy = (2 * self.shift * _uniform(n, image, generator) for _ in range(2))
        cos, sin = angle.cos() / size, angle.sin() / size
        rows = [cos * mirror, -sin, dx, sin * mirror, cos, dy]
        theta = torch.stack(rows, dim=1).view(n, 2, 3)
        grid = F.affine_grid(theta, list(image.shape), align_corners=False)
        # black outside, like UTKFace's own crops where they leave the photo
        return F.grid_sample(image, grid, align_corners=False)


def _uniform(n: int, image: Tensor, generator: Generator) -> Tensor:
    """(n,) float32 in -1..1 on the image's device."""
    return torch.rand(n, generator=generator, device=image.device) * 2 - 1
