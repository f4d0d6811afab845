"""Faces moved, turned and scaled to the geometry of UTKFace's crops."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from agegender.data.cache import Pixels
from agegender.portraits.faces import Face, Values

SIDE = 200  # pixels of UTKFace's crops: dlib's face chips with a padding of 0.2
# where `find_faces` has the five points in such a crop: the mean over 990 of the training part
TEMPLATE = np.array(
    [(59.62, 58.06), (137.67, 58.05), (98.44, 103.99), (63.86, 138.75), (133.30, 138.73)]
)
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
    """
    shrink = max(1.0, place.scale)
    corners = place.in_picture(CORNERS)
    low = np.floor(corners.min(0) - 2 * shrink).astype(int)
    size = np.ceil((corners.max(0) + 2 * shrink - low) / shrink).astype(int)
    x, y = (int(value) for value in low)
    width, height = (int(value) for value in size)
    box = (0.0, 0.0, width * shrink, height * shrink)
    part = picture.crop((x, y, x + int(np.ceil(box[2])), y + int(np.ceil(box[3]))))
    if shrink > 1:
        part = part.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=3)
    step, origin = place.step / shrink, (place.origin - complex(x, y)) / shrink
    exact = (step.real, -step.imag, origin.real, step.imag, step.real, origin.imag)
    data = tuple(round(value, 9) for value in exact)  # Pillow cuts off: 2.99...9 would be 2
    chip = part.transform(
        (SIDE, SIDE), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=0
    )
    return np.asarray(chip)


def share_outside(picture: Image.Image, place: Place) -> float:
    """How much of a crop lies outside its picture, 0 to 1."""
    grid = np.stack(np.meshgrid(*[np.arange(2.0, SIDE, 4)] * 2), -1)  # (50, 50, 2)
    at = place.in_picture(grid)
    inside = (at >= 0).all(-1) & (at <= np.array(picture.size)).all(-1)
    return float(1 - inside.mean())
