"""Whether a face found anywhere in a picture becomes the crop that the network was trained on."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from omegaconf import DictConfig
from PIL import Image, ImageFilter
from tqdm import tqdm

from agegender import checkpoint
from agegender.data.cache import Pixels
from agegender.estimators import Estimator, TorchEstimator
from agegender.portraits.align import CORNERS, SIDE, Place, crop, place_of
from agegender.portraits.detect import find_faces
from agegender.portraits.faces import of_box
from agegender.portraits.mtcnn import load_nets
from agegender.unseen import unseen_faces

SIDES = ((60, 120), (120, 250), (250, 600))  # of the faces' crops in scenes, pixels
ANGLE = 20.0  # largest turn either way, degrees
WHOLE = Place(0j, 1 + 0j)  # a crop that is its picture
FOUND = 60.0  # mean shift of the corners, px of 200, beyond which another face was meant

Rng = np.random.Generator


class Sought(NamedTuple):
    """What became of one face."""

    shift: float
    shift_box: float
    others: int
    crop: Pixels | None


def check(cfg: DictConfig, faces: int, seed: int = 0) -> pd.DataFrame:
    """Find and align real crops again: by themselves, and pasted, scaled and turned into scenes.

    Args:
        cfg: as `scripts/evaluate.py` has it: a checkpoint, and data whose test part is taken,
            or the val part where there is none.
        faces: how many.
        seed: of the scenes.

    Returns:
        A row a kind of scene: scene, part, faces, found (share), others (further faces found, a
        scene), shift, shift_p95 and shift_box (mean and 95th percentile of the mean distance of the
        four corners from the original crop's, px of 200, of found faces; by the five points, and by
        the detector's box alone), mae_crops (years, of the original crops), mae_portrait (of the
        same faces found and aligned again).
    """
    estimator = TorchEstimator(checkpoint.named(cfg.checkpoint or checkpoint.SHIPPED))
    _, part, crops, frame = unseen_faces(cfg, estimator.description, faces, SIDE)
    age = frame["age_years"].to_numpy(np.float64)
    rows = [_row("the crop alone", ((Image.fromarray(one), WHOLE) for one in crops), crops, age,
                 estimator)]  # fmt: skip
    for low, high in SIDES:
        kind = f"a scene, crops of {low} to {high} px"
        rows.append(_row(kind, scenes_of(crops, low, high, seed), crops, age, estimator))
    table = pd.DataFrame(rows)
    table.insert(1, "part", part)
    return table


def scenes_of(
    crops: Sequence[Pixels], low: int, high: int, seed: int
) -> Iterator[tuple[Image.Image, Place]]:
    """Each crop in a scene, `low` to `high` pixels large."""
    rng = np.random.default_rng([seed, low])
    for one in crops:
        yield scene_of(one, rng, float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def scene_of(pixels: Pixels, rng: Rng, side: float) -> tuple[Image.Image, Place]:
    """A picture with a crop in it, and where.

    Args:
        pixels: (SIDE, SIDE, 3) uint8.
        rng: of place, angle and background.
        side: of the crop in the picture, pixels.
    """
    turn = np.exp(1j * np.radians(rng.uniform(-ANGLE, ANGLE)))
    reach = side * (abs(turn.real) + abs(turn.imag)) / 2
    size = np.ceil(2 * reach + side * rng.uniform(0.1, 1.5, 2)).astype(int)
    middle = reach + (size - 2 * reach) * rng.uniform(size=2)
    width, height = int(size[0]), int(size[1])
    whole = round(side)
    place = Place(
        complex(*middle) - (SIDE + SIDE * 1j) / 2 * turn * whole / SIDE, turn * whole / SIDE
    )
    small = Image.fromarray(pixels).resize((whole, whole), Image.Resampling.LANCZOS)
    back = (1 / turn).real, -(1 / turn).imag, (1 / turn).imag
    start = -place.origin / turn
    matrix = (back[0], back[1], start.real, back[2], back[0], start.imag)
    moved, mask = (
        image.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
        for image in (small, Image.new("L", small.size, 255))
    )
    scene = _background(rng, width, height)
    scene.paste(moved, mask=mask)
    return scene, place


def _background(rng: Rng, width: int, height: int) -> Image.Image:
    """Soft blotches of colour under fine grain."""
    blotches = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    soft = np.asarray(blotches.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    grain = rng.normal(0, 12, (height, width, 1)).astype(np.float32)
    mixed = Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))
    return mixed.filter(ImageFilter.GaussianBlur(1))


def _row(
    kind: str,
    scenes: Iterable[tuple[Image.Image, Place]],
    crops: Sequence[Pixels],
    age: npt.NDArray[np.float64],
    estimator: Estimator,
) -> dict[str, object]:
    sought = list(tqdm(seek(scenes), kind, len(crops), leave=False, disable=None))
    found = np.array([one.crop is not None for one in sought])
    shift = np.array([one.shift for one in sought])[found]
    again = estimator([one.crop for one in sought if one.crop is not None])
    before = estimator([pixels for pixels, hit in zip(crops, found, strict=True) if hit])
    return {
        "scene": kind,
        "faces": len(sought),
        "found": float(found.mean()),
        "others": float(np.mean([one.others for one in sought])),
        "shift": float(shift.mean()),
        "shift_p95": float(np.percentile(shift, 95)),
        "shift_box": float(np.mean([one.shift_box for one in sought if one.crop is not None])),
        "mae_crops": float(abs(before.age - age[found]).mean()),
        "mae_portrait": float(abs(again.age - age[found]).mean()),
    }


def seek(scenes: Iterable[tuple[Image.Image, Place]]) -> Iterator[Sought]:
    """Look for one face in each scene."""
    nets = load_nets()
    for picture, true in scenes:
        faces = find_faces(picture, nets)
        shifts = [shift_of(place_of(face), true) for face in faces]
        if not faces or min(shifts) > FOUND:
            yield Sought(np.nan, np.nan, len(faces), None)
            continue
        best = faces[int(np.argmin(shifts))]
        by_box = shift_of(place_of(of_box(best.box)), true)
        yield Sought(min(shifts), by_box, len(faces) - 1, crop(picture, place_of(best)))


def shift_of(place: Place, true: Place) -> float:
    """Mean distance of a crop's corners from where they should be, px of the true crop."""
    apart = place.in_picture(CORNERS) - true.in_picture(CORNERS)
    return float(np.hypot(*apart.T).mean() / true.scale)
