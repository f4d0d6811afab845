"""Augmentation of a whole batch at once, on whatever device it is on."""

import math

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601
GROWTH = 16  # pixels; kernels are planned anew for each size
ERASED = (0.02, 0.2)  # shares of the picture; Zhong et al. 2020, arXiv:1708.04896, go to 0.4


class Augment:
    """Colour, black borders, flip, affine and erasing; each face draws its own.

    With all its defaults it changes nothing. The steps come in the order of the list.

    Args:
        brightness: largest relative change of brightness.
        contrast: largest relative change of the contrast, around the face's own mean.
        colour: largest relative change of the saturation; nothing to grey pictures.
        grey: probability of a colour picture turning grey.
        border: probability of a black border along a side, as UTKFace's crops have where they
            leave the photograph.
        flip: probability of a left-right flip, 0 to 1.
        rotate: largest rotation, degrees.
        scale: largest relative change of size: 0.4 means from 1 / 1.4 to 1.4.
        shift: largest shift, share of the picture's side.
        erase: probability that a rectangle is painted over with one colour.
        mixup: strength of mixing two faces, the parameter of a symmetric beta distribution
            (Zhang et al. 2018, arXiv:1710.09412); 0 mixes none. `FaceModule` does it, since it
            needs the labels.
        start_size: side of the images in the first epochs, pixels, from where they grow to their
            own side in steps of 16 (progressive learning: Tan and Le 2021, arXiv:2104.00298); 0
            leaves them as they are. `FaceModule` asks for it by `resize`. Validation has images of
            full size throughout, on which a network that has only seen small ones errs by far.
        grown: the share of the training after which images have their own side, 0 to 1.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        colour: float = 0.0,
        grey: float = 0.0,
        border: float = 0.0,
        flip: float = 0.0,
        rotate: float = 0.0,
        scale: float = 0.0,
        shift: float = 0.0,
        erase: float = 0.0,
        mixup: float = 0.0,
        start_size: int = 0,
        grown: float = 0.75,
    ) -> None:
        limits = {"rotate": 180.0, "mixup": 10.0, "start_size": 1024.0}
        given = {name: value for name, value in locals().items() if name not in ("self", "limits")}
        for name, value in given.items():
            high = limits.get(name, 1)
            if not 0 <= value <= high:
                raise ValueError(f"augment.{name}={value}: must be from 0 to {high:g}")
        self.brightness, self.contrast, self.colour, self.grey = brightness, contrast, colour, grey
        self.border, self.erase, self.mixup = border, erase, mixup
        self.flip, self.rotate, self.scale, self.shift = flip, rotate, scale, shift
        self.start_size, self.grown = start_size, grown

    def __call__(self, image: Tensor, generator: Generator) -> Tensor:
        """(B, C, H, W) float in 0..1 -> the same shape and range.

        Args:
            image: the batch.
            generator: where every random number comes from; on the image's device.
        """
        if self.brightness or self.contrast:
            image = self._light(image, generator)
        if image.shape[1] == 3 and (self.colour or self.grey):
            image = self._saturation(image, generator)
        if self.border:
            image = image * ~self._border(image, generator)
        if self.rotate or self.scale or self.shift:
            image = self._move(image, generator)
        elif self.flip:  # alone it needs no interpolation
            mirror = _column(_chance(self.flip, image, generator))
            image = torch.where(mirror, image.flip(3), image)
        if self.erase:
            image = self._erase(image, generator)
        return image

    def resize(self, image: Tensor, done: float) -> Tensor:
        """(B, C, S, S) -> the batch as small as it is to be when that share of training is done."""
        side = image.shape[-1]
        if not self.start_size or done >= self.grown or self.start_size >= side:
            return image
        steps = int((side - self.start_size) / GROWTH * done / self.grown + 1e-6)
        size = self.start_size + GROWTH * steps
        return F.interpolate(image, (size, size), mode="bilinear", antialias=True)

    def share(self, generator: Generator) -> float:
        """What mixup leaves of each face of a batch, at least a half; the rest is another's."""
        share = np.random.default_rng(generator.initial_seed()).beta(self.mixup, self.mixup)
        return float(max(share, 1 - share))

    def _light(self, image: Tensor, generator: Generator) -> Tensor:
        gain = _column(1 + self.brightness * _uniform(image, generator))
        spread = _column(1 + self.contrast * _uniform(image, generator))
        mean = image.mean((1, 2, 3), keepdim=True)
        return ((mean + spread * (image - mean)) * gain).clamp(0, 1)

    def _saturation(self, image: Tensor, generator: Generator) -> Tensor:
        weights = torch.tensor(LUMA, dtype=image.dtype, device=image.device)
        luma = (image * weights[:, None, None]).sum(1, keepdim=True)
        strength = 1 + self.colour * _uniform(image, generator)
        strength = torch.where(_chance(self.grey, image, generator), 0.0, strength)
        return (luma + _column(strength) * (image - luma)).clamp(0, 1)

    def _border(self, image: Tensor, generator: Generator) -> Tensor:
        """(B, 1, H, W) bool: beyond a straight line along one side, a little askew."""
        x, y = _coordinates(image)
        side = (torch.rand(len(image), generator=generator, device=image.device) * 4).floor()
        angle = math.pi / 2 * side + math.radians(15) * _uniform(image, generator)
        from_middle = 0.7 + 0.3 * _uniform(image, generator)  # of half the side: 0.4 to 1
        chosen = _column(_chance(self.border, image, generator))
        along = _column(angle.cos()) * x + _column(angle.sin()) * y
        return chosen & (along > _column(from_middle))

    def _move(self, image: Tensor, generator: Generator) -> Tensor:
        mirror = torch.where(_chance(self.flip, image, generator), -1.0, 1.0)
        angle = math.radians(self.rotate) * _uniform(image, generator)
        size = (1 + self.scale) ** _uniform(image, generator)
        # a shift by half the picture is 1 in grid_sample's -1..1 coordinates
        dx, dy = (2 * self.shift * _uniform(image, generator) for _ in range(2))
        cos, sin = angle.cos() / size, angle.sin() / size
        rows = [cos * mirror, -sin, dx, sin * mirror, cos, dy]
        theta = torch.stack(rows, dim=1).view(len(image), 2, 3)
        grid = F.affine_grid(theta, list(image.shape), align_corners=False)
        # bicubic: bilinear blurs, so that faces as they are, which are sharper, look older. Black
        # outside, like UTKFace's own crops where they leave the photo
        return F.grid_sample(image, grid, mode="bicubic", align_corners=False).clamp(0, 1)

    def _erase(self, image: Tensor, generator: Generator) -> Tensor:
        x, y = _coordinates(image)
        low, high = ERASED
        area = low + (high - low) * (_uniform(image, generator) + 1) / 2
        stretch = 2 ** _uniform(image, generator)  # width over height: 1 / 2 to 2
        width, height = (area * stretch).sqrt(), (area / stretch).sqrt()  # halves, as x and y are
        middle_x = (1 - width) * _uniform(image, generator)
        middle_y = (1 - height) * _uniform(image, generator)
        inside = ((x - _column(middle_x)).abs() < _column(width)) & (
            (y - _column(middle_y)).abs() < _column(height)
        )
        shape = (len(image), image.shape[1], 1, 1)
        paint = torch.rand(shape, generator=generator, device=image.device)
        chosen = _column(_chance(self.erase, image, generator))
        return torch.where(inside & chosen, paint, image)


def _uniform(image: Tensor, generator: Generator) -> Tensor:
    """(B,) float32 in -1..1, one a face, on the image's device."""
    return torch.rand(len(image), generator=generator, device=image.device) * 2 - 1


def _chance(probability: float, image: Tensor, generator: Generator) -> Tensor:
    """(B,) bool: which faces are chosen."""
    return torch.rand(len(image), generator=generator, device=image.device) < probability


def _column(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1), to meet images."""
    return values[:, None, None, None]


def _coordinates(image: Tensor) -> tuple[Tensor, Tensor]:
    """(W,) and (H, 1): where a pixel's middle is, -1 at the left and top edge, 1 at the other."""
    height, width = image.shape[2:]
    x = (torch.arange(width, device=image.device) + 0.5) * 2 / width - 1
    y = (torch.arange(height, device=image.device) + 0.5) * 2 / height - 1
    return x, y[:, None]
