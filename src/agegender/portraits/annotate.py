"""Copies of pictures with what was said of their faces drawn in."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from agegender.portraits.faces import BOX, POINTS

LEAST = 480  # pixels of the longest side of a copy, so that labels can be read
LETTERS = 11  # pixels of the smallest ones
JPEG_SIDE = 65_500  # pixels that the JPEG library allows
LINE, TEXT = (255, 214, 10), (0, 0, 0)


def annotated(
    picture: Image.Image, rows: Sequence[Mapping[str, Any]], enlarge: bool = True
) -> Image.Image:
    """A copy of a picture with boxes, points and labels.

    A small or narrow picture is enlarged first, until labels fit; letters grow with the picture,
    and shrink with small faces as far as they can still be read. A label goes where no other is.

    Args:
        picture: RGB.
        rows: of its faces, as `agegender.reader` has them.
        enlarge: False leaves any picture its size.
    """
    labels = [label_of(row) for row in rows if row["face"]]
    grow = _growth(picture.size, labels) if enlarge else 1
    size = (max(1, round(picture.width * grow)), max(1, round(picture.height * grow)))
    copy = picture.copy() if grow == 1 else picture.resize(size)
    draw = ImageDraw.Draw(copy)
    taken: list[tuple[float, float, float, float]] = []
    for row in rows:
        if row["face"] == 0:
            continue
        box = np.array([row[name] for name in BOX], dtype=float) * grow
        whole = np.isnan(box).any()  # the picture is the face
        if whole:
            box = np.array([0, 0, *copy.size], dtype=float)
        width = max(2, round(max(copy.size) / 400))
        if not whole:
            draw.rectangle(tuple(box.clip(0, [*copy.size] * 2)), outline=LINE, width=width)
            for x, y in np.array([row[name] for name in POINTS]).reshape(5, 2) * grow:
                draw.ellipse((x - width, y - width, x + width, y + width), fill=LINE)
        taken.append(_label(draw, copy.size, box, label_of(row), taken))
    return copy


def _growth(size: tuple[int, int], labels: Sequence[str]) -> float:
    """How many times as large a copy is: a whole number, or less than 1 if JPEG forces it."""
    widest = max((_extent(text, LETTERS)[0] for text in labels), default=0.0)
    wanted = max(1, math.ceil(LEAST / max(size)), math.ceil(widest / size[0]))
    return min(wanted, JPEG_SIDE / max(size))


def label_of(row: Mapping[str, Any]) -> str:
    """What is written at a face, for instance `34 (27-41), female 98%`."""
    years, p = between(row["age_lo"], row["age_hi"]), row["p_female"]
    interval = f" ({years})" if years else ""
    return f"{row['age_pred']:.0f}{interval}, {row['gender']} {max(p, 1 - p):.0%}"


def between(low: float | None, high: float | None) -> str:
    """An interval in whole years: `27-41`; `0-?` without an upper end; nothing if there is none."""
    if low is None or math.isnan(low):
        return ""
    return f"{low:.0f}-" + ("?" if high is None or math.isinf(high) else f"{high:.0f}")


def _label(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: Any,
    text: str,
    taken: Sequence[tuple[float, float, float, float]],
) -> tuple[float, float, float, float]:
    """Write at a box, and give back where."""
    largest, least = max(size) / 28, max(max(size) / 60, LETTERS)
    letters = float(np.clip((box[2] - box[0]) / 7, least, largest))
    fitting = letters * size[0] / _extent(text, letters)[0]
    letters = max(min(letters, fitting), LETTERS)
    width, height = _extent(text, letters)
    pad = height / 7
    x = max(0, min(box[0], size[0] - width))
    places = [box[1] - height, box[3], box[1] + pad, *np.arange(0, size[1] - height, height / 2)]
    for y in places:
        y = min(max(y, 0), size[1] - height)
        spot = (x, y, x + width, y + height)
        if not any(_meet(spot, other) for other in taken):
            break
    draw.rectangle(spot, fill=LINE)
    font = ImageFont.load_default(size=letters)
    draw.text((x + pad, y + pad / 2), text, fill=TEXT, font=font)
    return spot


def _extent(text: str, letters: float) -> tuple[float, float]:
    """Width and height of a label, with a fifth of the text's height around it."""
    _, _, width, height = ImageFont.load_default(size=letters).getbbox(text)
    return width + 2 * height / 5, height + 2 * height / 5


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
