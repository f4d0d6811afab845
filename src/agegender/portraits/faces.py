"""What a face in a picture is, and faces that the user brings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.data.files import FORMULA
from agegender.errors import InputError

Values = npt.NDArray[np.float64]
BOX = ("left", "top", "right", "bottom")
POINTS = tuple(
    f"{part}_{axis}"
    for part in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    for axis in "xy"
)
# where the points are in MTCNN's box, shares of its width and height: the mean over 990 of
# UTKFace's crops
IN_BOX = np.array(
    [(0.2667, 0.3723), (0.7314, 0.3724), (0.4979, 0.5852), (0.2920, 0.7458), (0.7052, 0.7458)]
)


class Face(NamedTuple):
    """A face in a picture; places are in pixels, (0, 0) the upper left corner of the first one.

    Attributes:
        box: (4,) left, top, right, bottom.
        points: (5, 2) x and y of the eye to the left in the picture, the other eye, the nose, the
            corner of the mouth to the left and the other one.
        score: 0 to 1, of the detector; NaN if the user brought the face.
    """

    box: Values
    points: Values
    score: float


def of_box(box: Values) -> Face:
    """A face of which only the box is known; its points are where they mostly are."""
    return Face(box, box[:2] + IN_BOX * (box[2:] - box[:2]), float("nan"))


def of_points(points: Values) -> Face:
    """A face of which only the (5, 2) points are known."""
    return Face(np.concatenate([points.min(0), points.max(0)]), points, float("nan"))


def read_faces(csv: Path) -> dict[Path, list[Face]]:
    """The faces of each picture in a table, as `predictions.csv` has them.

    Args:
        csv: with the column file (as seen from here, or from the table's folder) and left, top,
            right and bottom, or x and y of the five points (left_eye_x ...), in pixels of the
            upright picture. Where a row has both, the points count; a row with neither is none.

    Returns:
        By the picture's absolute path.

    Raises:
        InputError: if the table cannot be read, lacks columns, or has a value that is no number
            or a box whose sides are in the wrong order.
    """
    try:
        table = pd.read_csv(csv)
    except FileNotFoundError:
        raise InputError(f"boxes={csv} does not exist") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read boxes={csv}: {error}") from None
    has_box, has_points = ({*names} <= {*table.columns} for names in (BOX, POINTS))
    if "file" not in table or not (has_box or has_points):
        raise InputError(
            f"boxes={csv} needs the columns file, and {', '.join(BOX)} or {', '.join(POINTS)}"
        )
    faces: dict[Path, list[Face]] = {}
    for line, row in enumerate(table.to_dict("records"), start=2):
        face = _face_of(row, has_points, has_box, f"boxes={csv}, line {line}")
        if face is not None:
            faces.setdefault(_found(str(row["file"]), csv.parent), []).append(face)
    return faces


def _face_of(row: Mapping[Any, Any], has_points: bool, has_box: bool, place: str) -> Face | None:
    try:
        points = np.array([row[name] for name in POINTS if has_points], dtype=float)
        box = np.array([row[name] for name in BOX if has_box], dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{place}: places must be numbers, in pixels") from None
    boxed = not np.isnan(box).all()  # of no number, too, all are NaN
    if boxed and not (np.isfinite(box).all() and (box[:2] < box[2:]).all()):
        raise InputError(f"{place}: left must be less than right, and top less than bottom")
    if points.size and np.isfinite(points).all():
        face = of_points(points.reshape(5, 2))
        return face._replace(box=box) if boxed else face
    return of_box(box) if boxed else None


def _found(cell: str, folder: Path) -> Path:
    here = Path(cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell)
    return (here if here.exists() else folder / here).resolve()
