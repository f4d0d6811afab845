"""Faces moved, turned and scaled to the geometry of UTKFace's crops."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from agegender.data.cache import Pixels
from agegender.portraits.faces import Face, Values

SIDE = 200  # pixels of UTKFace's crops: dlib's face chips with a padding of 0.2
# where `find_faces` has the five points in such a crop: the mean over 990 of the training part
TEMPLATE = np.array(
    [(59.62, 58.06), (137.67, 58.05), (98.44, 103.99), (63.86, 138.75), (133.30, 138.73)]
)
LARGEST = 5  # a crop's side, in the shorter sides of its picture: its face is three times as wide
CORNERS = np.array([(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE)], dtype=float)


class Place(NamedTuple):
    """Where a crop lies in its picture: corner of the crop -> picture, and one step along it.

    A point (x, y) of the crop is at `origin + (x + iy) * step` of the picture, x and y of the
    picture as one complex number.
    """

    origin: complex
    step: complex

    @property
    def scale(self) -> float:
        """Pixels of the picture in one of the crop."""
        return abs(self.step)

    def in_picture(self, points: Values) -> Values:
        """(..., 2) of the crop -> (..., 2) of the picture."""
        z = self.origin + (points[..., 0] + 1j * points[..., 1]) * self.step
        return np.stack([z.real, z.imag], -1)

    def in_crop(self, points: Values) -> Values:
        """(..., 2) of the picture -> (..., 2) of the crop."""
        z = (points[..., 0] + 1j * points[..., 1] - self.origin) / self.step
        return np.stack([z.real, z.imag], -1)


def place_of(face: Face) -> Place:
    """The crop in which the five points are nearest to where UTKFace's crops have them.

    A similarity, by least squares over the points (Umeyama 1991; in the plane complex numbers
    give it in closed form, and no reflection).
    """
    here, there = face.points @ (1, 1j), TEMPLATE @ (1, 1j)
    from_middle = there - there.mean()
    step = (from_middle.conj() @ (here - here.mean())) / (abs(from_middle) ** 2).sum()
    return Place(complex(here.mean() - there.mean() * step), complex(step))


def crop(picture: Image.Image, place: Place) -> Pixels:
    """The pixels of a crop, black where it leaves the picture.

    Args:
        picture: RGB.
        place: where; pixels that become smaller are averaged first, so that nothing flickers.

    Returns:
        (SIDE, SIDE, 3) uint8.

    Raises:
        ValueError: if the crop would be a point, or too large for its picture.
    """
    side, most = place.scale * SIDE, LARGEST * min(picture.size)
    if not 0 < side <= most:
        raise ValueError(
            f"a face's box or points ask for a crop of {side:.0f} pixels: it must be above 0 and at"
            f" most {most}, {LARGEST} times the picture's shorter side"
        )
    shrink = max(1.0, place.scale)
    corners = place.in_picture(CORNERS)
    low = np.floor(corners.min(0) - 2 * shrink)
    size = np.ceil((corners.max(0) + 2 * shrink - low) / shrink)
    # of the pixels after shrinking those in the picture, and two more: averages reach beyond it
    first = np.maximum(np.floor(-low / shrink) - 2, 0)
    last = np.minimum(np.ceil((np.array(picture.size) - low) / shrink) + 2, size)
    if (first >= last).any():
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    start = low + first * shrink
    part = _shrunk(picture, start, (last - first).astype(int), shrink)
    step, origin = place.step / shrink, (place.origin - complex(*start)) / shrink
    exact = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
    data = tuple(round(value, 9) for value in exact)  # Pillow cuts off: 2.99...9 would be 2
    chip = part.transform(
        (SIDE, SIDE), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=0
    )
    return np.asarray(chip)


def _shrunk(
    picture: Image.Image, start: Values, size: npt.NDArray[np.int_], shrink: float
) -> Image.Image:
    """A part of a picture, black outside: `size` pixels, each the mean of `shrink` a side."""
    corner = np.floor(start)
    box = np.concatenate([start - corner, start - corner + size * shrink])
    x, y, right, bottom = (int(v) for v in np.concatenate([corner, corner + np.ceil(box[2:])]))
    part = picture.crop((x, y, right, bottom))
    if shrink == 1:
        return part
    width, height = (int(value) for value in size)
    left, top, *ends = (float(value) for value in box)
    whole = (left, top, min(ends[0], part.width), min(ends[1], part.height))
    return part.resize((width, height), Image.Resampling.BILINEAR, box=whole, reducing_gap=3)


def share_outside(picture: Image.Image, place: Place) -> float:
    """How much of a crop lies outside its picture, 0 to 1."""
    grid = np.stack(np.meshgrid(*[np.arange(2.0, SIDE, 4)] * 2), -1)  # (50, 50, 2)
    at = place.in_picture(grid)
    inside = (at >= 0).all(-1) & (at <= np.array(picture.size)).all(-1)
    return float(1 - inside.mean())
