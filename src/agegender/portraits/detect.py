"""Faces in a picture, each with its box and five points, by MTCNN.

Zhang et al. 2016, arXiv:1604.02878. Two things differ from the paper's cascade: every level of the
pyramid has a grey edge, so that a face that fills or leaves the picture is found too; and the last
network looks twice, the second time where the first look has put the face, also mirrored.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

from agegender.portraits.faces import Face, Values
from agegender.portraits.mtcnn import Convolutional, Nets

LONGEST = 1280  # pixels of the copy that is searched
SMALLEST = 20  # pixels of a face in it; in small pictures less
CELL, STRIDE = 12, 2  # of the first network
EDGE = 6  # pixels of grey around each level: half a face
STEP = 0.709  # from level to level, as in the paper: half the area
THRESHOLDS = (0.6, 0.7, 0.8)
MOST = 300  # windows that come to the second network
GREY = (127, 127, 127)  # outside the picture; with black faces that fill it were missed
MIRRORED = [1, 0, 2, 4, 3]  # the points of a mirror image


@torch.inference_mode()
def find_faces(picture: Image.Image, nets: Nets) -> list[Face]:
    """All faces of an upright RGB picture, the largest first."""
    copy = _working_copy(picture)
    scale = np.array(picture.size) / np.array(copy.size)
    windows = _proposed(copy, nets.propose)
    windows = _refined(copy, windows, nets.refine)
    boxes, points, score = _located(copy, windows, nets.output)
    faces = [
        Face((box.reshape(2, 2) * scale).reshape(4), at * scale, float(p))
        for box, at, p in zip(boxes.numpy(), points.numpy(), score, strict=True)
    ]
    return sorted(faces, key=lambda face: -_area(face.box))


def _area(box: Values) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _working_copy(picture: Image.Image) -> Image.Image:
    shrink = max(picture.size) / LONGEST
    if shrink <= 1:
        return picture
    size = [max(1, round(side / shrink)) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2)


def _levels(copy: Image.Image) -> Iterator[Image.Image]:
    """The picture in sizes at which faces of all sizes are 12 pixels large."""
    scale = CELL / min(SMALLEST, max(8, min(copy.size) / 5))
    level = copy
    while min(copy.size) * scale >= CELL / 2:
        width, height = (max(1, round(side * scale)) for side in copy.size)
        level = level.resize((width, height), Image.Resampling.BILINEAR)
        yield level
        scale *= STEP


def _proposed(copy: Image.Image, net: Convolutional) -> Tensor:
    """(N, 4) windows in which the first network takes something for a face."""
    found = []
    for level in _levels(copy):
        pixels = F.pad(_as_pixels([level]), [EDGE] * 4, value=0.0)
        offsets, p = net(pixels)
        row, column = torch.nonzero(p[0] > THRESHOLDS[0], as_tuple=True)
        corner = torch.stack([column, row], 1) * float(STRIDE) - EDGE
        size = [level.width / copy.width, level.height / copy.height]
        windows = torch.cat([corner, corner + CELL], 1) / torch.tensor([*size, *size])
        score = p[0, row, column]
        kept = nms(windows, score, 0.5)
        found.append((windows[kept], offsets[0, :, row, column].T[kept], score[kept]))
    if not found:  # too narrow for any face
        return torch.empty(0, 4)
    windows, offsets, score = (torch.cat(parts) for parts in zip(*found, strict=True))
    kept = nms(windows, score, 0.7)[:MOST]
    return _moved(windows[kept], offsets[kept])


def _refined(copy: Image.Image, windows: Tensor, net: Convolutional) -> Tensor:
    squares, pixels = _cut(copy, windows, 24)
    offsets, p = net(pixels)
    likely = p > THRESHOLDS[1]
    boxes, score = _moved(squares[likely], offsets[likely]), p[likely]
    return boxes[nms(boxes, score, 0.7)]


def _located(
    copy: Image.Image, windows: Tensor, net: Convolutional
) -> tuple[Tensor, Tensor, list[float]]:
    """(F, 4) boxes, (F, 5, 2) points and F scores of what the last network takes for faces."""
    boxes, _, p = _looked(copy, windows, net)
    kept = [i for i in _apart(boxes, p) if p[i] > THRESHOLDS[2]]
    first, score = boxes[kept], p[kept].tolist()
    again, better, _ = _looked(copy, first, net)
    return again, better, score


def _looked(
    copy: Image.Image, windows: Tensor, net: Convolutional
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, points and probabilities, the mean over a look and one at the mirror image."""
    squares, pixels = _cut(copy, windows, 48)
    offsets, at, p = net(pixels)
    offsets_m, at_m, p_m = net(pixels.flip(3))
    offsets_m = offsets_m[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1])
    at, at_m = at.view(-1, 2, 5), at_m.view(-1, 2, 5)[:, :, MIRRORED]
    at_m = torch.stack([1 - at_m[:, 0], at_m[:, 1]], 1)
    place = ((at + at_m) / 2).transpose(1, 2)  # (N, 5, 2), shares of the square
    points = squares[:, None, :2] + place * (squares[:, None, 2:] - squares[:, None, :2])
    return _moved(squares, (offsets + offsets_m) / 2), points, (p + p_m) / 2


def _moved(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Boxes whose edges are moved by shares of their width and height."""
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * torch.cat([size, size], 1)


def _cut(copy: Image.Image, boxes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Squares around boxes, and their pixels, (N, 3, side, side); grey outside the picture."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) / 2
    half = half.clamp(2, 2 * max(copy.size))
    squares = torch.cat([middle - half, middle + half], 1)
    parts = []
    for left, top, right, bottom in squares.tolist():
        x, y = math.floor(left), math.floor(top)
        part = Image.new("RGB", (math.ceil(right) - x, math.ceil(bottom) - y), GREY)
        part.paste(copy, (-x, -y))
        inside = (left - x, top - y, right - x, bottom - y)
        parts.append(
            part.resize((side, side), Image.Resampling.BILINEAR, box=inside, reducing_gap=2)
        )
    return squares, _as_pixels(parts) if parts else torch.empty(0, 3, side, side)


def _as_pixels(pictures: list[Image.Image]) -> Tensor:
    """(N, 3, H, W) float32, -1 to 1, as the networks were trained."""
    stacked = np.stack([np.asarray(picture) for picture in pictures])
    return (torch.from_numpy(stacked).permute(0, 3, 1, 2).float() - 127.5) / 128


def _apart(boxes: Tensor, score: Tensor) -> list[int]:
    """Which boxes stay, the best first, if none may lie 0.7 inside another, or hold it."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept: list[int] = []
    for i in score.argsort(descending=True).tolist():
        low = torch.maximum(boxes[i, :2], boxes[kept, :2])
        high = torch.minimum(boxes[i, 2:], boxes[kept, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        if not (shared > 0.7 * torch.minimum(area[i], area[kept])).any():
            kept.append(i)
    return kept
