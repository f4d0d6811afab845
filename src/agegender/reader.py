"""From pictures to a table: read, find the faces, align them, and ask the network."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from agegender.checkpoint import SHIPPED, named
from agegender.data.cache import Pixels
from agegender.errors import InputError
from agegender.estimators import Answers, Estimator, Values, open_estimator
from agegender.intervals import LEVEL, bounds, check_level
from agegender.portraits.align import crop, place_of
from agegender.portraits.detect import find_faces
from agegender.portraits.faces import BOX, POINTS, Face, read_faces
from agegender.portraits.judge import warnings_of
from agegender.portraits.mtcnn import load_nets
from agegender.portraits.read import Picture, read_bytes, read_picture

log = logging.getLogger(__name__)
DETECTORS = ("mtcnn", "none", "boxes")
COLUMNS = (
    "file", "face", "faces", "error", *BOX, *POINTS, "score", "age_pred", "age_sd", "age_lo",
    "age_hi", "p_female", "gender", "warning",
)  # fmt: skip
FACES_AT_ONCE, PIXELS_AT_ONCE = 32, 50_000_000  # that wait for the network together
HALF_STEP = 0.5 / 255  # of a tensor's values: what resampling leaves beyond 0 and 1 is less

Row: TypeAlias = dict[str, Any]
Find: TypeAlias = Callable[[Image.Image, Path | None], "list[Face] | None"]


class Looked(NamedTuple):
    """What was found in one picture.

    Attributes:
        rows: one a face, or one with the reason why there is none; the keys are `COLUMNS`.
        picture: upright RGB; None if it could not be read.
        age_p: (faces, Y) the probability of each of the years 0, 1, ..., Y - 1; None if there is no
            face, or as in `agegender.estimators.Answers`.
    """

    rows: list[Row]
    picture: Image.Image | None
    age_p: Values | None


class _Found(NamedTuple):
    """A picture whose faces wait for the network."""

    name: str
    picture: Image.Image | None
    faces: list[Face | None]
    crops: list[Pixels]
    warnings: list[str]
    error: str


class Model:
    """A trained network behind a face detector.

    Args:
        estimator: the network.
        find: the faces of a picture, or None if the picture is a crop itself.
        level: the share of annotated ages that is to lie within the intervals.

    Raises:
        InputError: if level is out of its range.
    """

    def __init__(self, estimator: Estimator, find: Find, level: float = LEVEL) -> None:
        check_level(level)
        self.estimator, self.find, self.level = estimator, find, level

    def predict(self, images: "Picture | Tensor | Iterable[Picture | Tensor]") -> pd.DataFrame:
        """Age and gender of every face in one picture or several.

        Args:
            images: paths, Pillow pictures, (H, W, 3) uint8 arrays, or tensors (3, H, W), uint8 in
                0..255 or float in 0..1; one of them, or several, or one array or tensor with a
                first dimension more.

        Returns:
            One row a face: file (its path, or its number), face and faces (its number in the
            picture, and of how many), error (empty, or why there is no face), left, top, right
            and bottom of its box and x and y of its five points (pixels of the upright picture),
            score (of the detector, 0 to 1), age_pred, age_sd, age_lo and age_hi (years, apparent
            age; the interval is missing where the checkpoint was not calibrated), p_female (0 to
            1), gender (male or female, as UTKFace's annotators use the words) and warning (small,
            blurred, turned, cut).
        """
        rows = [row for looked in self.look(_named(images)) for row in looked.rows]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def look(self, pictures: Iterable[tuple[str, Picture | Tensor | bytes]]) -> Iterator[Looked]:
        """The same picture by picture, for any number of them; few are in memory at a time.

        Args:
            pictures: what to call each, and a path, a picture, an array, a tensor or a whole file's
                bytes.
        """
        waiting: list[_Found] = []
        for name, picture in pictures:
            waiting.append(self._found(name, picture))
            pixels = sum(math.prod(one.picture.size) for one in waiting if one.picture)
            if sum(len(one.crops) for one in waiting) >= FACES_AT_ONCE or pixels >= PIXELS_AT_ONCE:
                yield from self._answered(waiting)
                waiting = []
        yield from self._answered(waiting)

    def _found(self, name: str, picture: Picture | Tensor | bytes) -> _Found:
        try:
            image = _read(picture)
        except (ValueError, OSError) as error:
            return _Found(name, None, [], [], [], str(error))
        faces = self.find(image, Path(picture) if isinstance(picture, str | Path) else None)
        if faces is None:
            return _Found(name, image, [None], [np.asarray(image)], [""], "")
        crops, warnings = [], []
        for face in faces:
            place = place_of(face)
            try:
                crops.append(crop(image, place))
            except ValueError as error:
                return _Found(name, image, [], [], [], str(error))
            wrong = warnings_of(face, place, image, crops[-1], self.estimator.input_side)
            warnings.append(", ".join(wrong))
        return _Found(name, image, [*faces], crops, warnings, "" if faces else "no face found")

    def _answered(self, waiting: Sequence[_Found]) -> Iterator[Looked]:
        answers = self.estimator([crop for one in waiting for crop in one.crops])
        low, high = age_bounds(answers, self.estimator.calibration, self.level)
        said = list(zip(answers.age, answers.age_sd, answers.p_female, low, high, strict=True))
        start = 0
        for one in waiting:
            mine = slice(start, start + len(one.crops))
            start = mine.stop
            rows = [_row(one, i, about) for i, about in enumerate(said[mine])]
            age_p = answers.age_p[mine] if rows and answers.age_p is not None else None
            yield Looked(rows or [_no_face(one)], one.picture, age_p)


def age_bounds(
    answers: Answers, calibration: dict[str, Any] | None, level: float
) -> tuple[Values, Values]:
    """Between which years an age is, by the checkpoint's own calibration; NaN if it has none."""
    if calibration is None:
        unknown = np.full(len(answers.age), np.nan)
        return unknown, unknown
    return bounds(answers.age, answers.age_sd, calibration, level)


def open_model(
    checkpoint: str | Path = SHIPPED,
    detector: str = "mtcnn",
    boxes: str | Path | None = None,
    runtime: str | None = None,
    level: float = LEVEL,
) -> Model:
    """A model for pictures.

    Args:
        checkpoint: a checkpoint, an exported `.onnx` file, or `shipped`: the package's own.
        detector: mtcnn; none: every picture is a face crop already; boxes: the user brings them.
        boxes: the table for the last; see `agegender.portraits.faces.read_faces`.
        runtime: torch or onnx; None: as the file's name ends.
        level: of the intervals of age, above 0 and below 1.

    Raises:
        InputError: if the file or a word cannot be used.
    """
    find = _detector(detector, Path(boxes) if boxes else None)
    estimator = open_estimator(named(checkpoint), runtime)
    if estimator.notice:
        log.info("checkpoint=%s: %s", checkpoint, estimator.notice)
    return Model(estimator, find, level)


def _detector(detector: str, boxes: Path | None) -> Find:
    if detector not in DETECTORS:
        raise InputError(f"detector={detector} is not one of {', '.join(DETECTORS)}")
    if (detector == "boxes") != (boxes is not None):
        raise InputError("detector=boxes and boxes=TABLE.csv belong together: give both or neither")
    if detector == "none":
        return lambda picture, path: None
    if boxes is not None:
        brought = read_faces(boxes)
        return lambda picture, path: brought.get(path.resolve(), []) if path else []
    nets = load_nets()
    return lambda picture, path: find_faces(picture, nets)


def _row(one: _Found, i: int, said: tuple[float, ...]) -> Row:
    age, sd, p_female, low, high = (round(float(value), 4) for value in said)
    row: Row = {"file": one.name, "face": i + 1, "faces": len(one.crops), "error": ""}
    face = one.faces[i]
    places = [np.nan] * 15 if face is None else [*face.box, *face.points.flat, face.score]
    row |= zip((*BOX, *POINTS, "score"), (round(float(v), 4) for v in places), strict=True)
    row |= {"age_pred": age, "age_sd": sd, "age_lo": low, "age_hi": high, "p_female": p_female}
    return row | {"gender": "female" if p_female > 0.5 else "male", "warning": one.warnings[i]}


def _no_face(one: _Found) -> Row:
    empty: Row = {name: np.nan for name in COLUMNS}
    about = {"file": one.name, "face": 0, "faces": 0, "error": one.error}
    return empty | about | {"gender": "", "warning": ""}


def _named(
    images: "Picture | Tensor | Iterable[Picture | Tensor]",
) -> Iterator[tuple[str, Picture | Tensor]]:
    several = images if _several(images) else [images]
    for number, image in enumerate(several):  # type: ignore[arg-type]
        yield str(image if isinstance(image, str | Path) else number), image


def _several(images: object) -> bool:
    if isinstance(images, np.ndarray | Tensor):
        return images.ndim == 4
    return not isinstance(images, str | Path | Image.Image)


def _read(picture: Picture | Tensor | bytes) -> Image.Image:
    if isinstance(picture, bytes):
        return read_bytes(picture)
    return read_picture(_array_of(picture) if isinstance(picture, Tensor) else picture)


def _array_of(image: Tensor) -> Pixels:
    """(C, H, W) uint8 in 0..255, or float in 0..1 -> (H, W, C) uint8, or (H, W) if C is 1.

    Raises:
        ValueError: if its shape or its values are others.
    """
    if image.ndim != 3 or image.numel() == 0:
        raise ValueError(f"a tensor of shape {tuple(image.shape)}: it must be (3, H, W)")
    if image.is_floating_point():
        low, high = (float(value) for value in image.detach().aminmax())
        if not (low > -HALF_STEP and high < 1 + HALF_STEP):  # NaN is refused, too
            raise ValueError(
                f"a float tensor of values from {low:.4g} to {high:.4g}: they must be within 0 to"
                f" 1; as uint8 they may be 0 to 255"
            )
        image = image.detach().mul(255).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = image.cpu().numpy()
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
