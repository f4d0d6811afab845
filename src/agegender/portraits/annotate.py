"""Copies of pictures with what was said of their faces drawn in."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from agegender.portraits.faces import BOX, POINTS

LEAST = 480  # pixels of the longest side of a copy, so that labels can be read
LINE, TEXT = (255, 214, 10), (0, 0, 0)


def annotated(picture: Image.Image, rows: Sequence[Mapping[str, Any]]) -> Image.Image:
    """A copy of a picture with boxes, points and labels.

    A small picture is enlarged first; letters grow with the picture, and shrink with small faces as
    far as they can still be read. A label goes where no other one is.

    Args:
        picture: RGB.
        rows: of its faces, as `agegender.reader` has them.
    """
    grow = max(1, math.ceil(LEAST / max(picture.size)))
    copy = (
        picture.resize((picture.width * grow, picture.height * grow))
        if grow > 1
        else picture.copy()
    )
    draw = ImageDraw.Draw(copy)
    taken: list[tuple[float, float, float, float]] = []
    for row in rows:
        if row["face"] == 0:
            continue
        box = np.array([row[name] for name in BOX]) * grow
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


def label_of(row: Mapping[str, Any]) -> str:
    """What is written at a face, for instance `34 (27-41), female 98%`."""
    low, high, p = row["age_lo"], row["age_hi"], row["p_female"]
    between = "" if np.isnan(low) else f" ({low:.0f}-{high:.0f})"
    return f"{row['age_pred']:.0f}{between}, {row['gender']} {max(p, 1 - p):.0%}"


def _label(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: Any,
    text: str,
    taken: Sequence[tuple[float, float, float, float]],
) -> tuple[float, float, float, float]:
    """Write at a box, and give back where."""
    largest, least = max(size) / 28, max(size) / 60
    font = ImageFont.load_default(
        size=float(np.clip((box[2] - box[0]) / 7, max(least, 11), largest))
    )
    width, height = (value * 1.0 for value in draw.textbbox((0, 0), text, font=font)[2:])
    pad = height / 5
    width, height = width + 2 * pad, height + 2 * pad
    x = min(max(box[0], 0), size[0] - width)
    places = [box[1] - height, box[3], box[1] + pad, *np.arange(0, size[1] - height, height / 2)]
    for y in places:
        y = min(max(y, 0), size[1] - height)
        spot = (x, y, x + width, y + height)
        if not any(_meet(spot, other) for other in taken):
            break
    draw.rectangle(spot, fill=LINE)
    draw.text((x + pad, y + pad / 2), text, fill=TEXT, font=font)
    return spot


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
