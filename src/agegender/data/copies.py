"""Near copies: one photograph saved again, resized, shifted, lit differently, or mirrored.

Found in three steps, each dearer and surer than the one before:

1. a descriptor of 16 x 16 pixels proposes pairs;
2. an affine alignment of the two pictures at 32 x 32 drops most of them;
3. the same at 64 x 64 decides: a pair is one photograph if, aligned, fine detail agrees.

The thresholds were set by looking at pairs on both sides of them; see
docs/results/copies_verdicts.csv.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

VERSION = 2  # raise it when finding or judging pairs changes
SIDE = 64  # pixels of the pictures that are compared, grey
CANDIDATE = 0.68  # least cosine of two descriptors
COARSE = 0.78  # least agreement of fine detail at 32 x 32
SAME = 0.88  # least agreement of fine detail at 64 x 64: one photograph
STEPS = 6  # of the alignment, at each of its two scales

Pairs = npt.NDArray[np.int64]


def near_copies(pixels: npt.NDArray[np.uint8]) -> pd.DataFrame:
    """Pairs of pictures that are one photograph.

    Args:
        pixels: (N, 64, 64) uint8, grey.

    Returns:
        A row a pair: a, b (rows, a < b), agreement (SAME to 1), mirrored (b is a, left to
        right).
    """
    pictures = torch.from_numpy(np.array(pixels)).float()
    descriptors = describe(pictures)
    small = F.avg_pool2d(pictures[:, None], 2)[:, 0]
    tables = []
    for mirrored in (False, True):
        others = describe(pictures.flip(-1)) if mirrored else descriptors
        pairs = _candidates(descriptors, others)
        pairs = pairs[_agreement(small, pairs, mirrored, "comparing roughly") >= COARSE]
        agreement = _agreement(pictures, pairs, mirrored, "comparing finely")
        table = pd.DataFrame(pairs, columns=["a", "b"])
        tables.append(table.assign(agreement=agreement, mirrored=mirrored))
    found = pd.concat(tables)
    best_first = found[found["agreement"] >= SAME].sort_values("agreement", ascending=False)
    return best_first.drop_duplicates(["a", "b"]).sort_values(["a", "b"], ignore_index=True)


def describe(pictures: Tensor) -> Tensor:
    """Descriptors whose cosine stays high under small shifts and is low between people.

    The cosine transform of a 16 x 16 thumbnail, each frequency weighted by its distance from
    zero, since natural pictures hold least where identity shows most (Field 1987); without
    brightness, contrast and the mean face of the collection.

    Shapes:
        (N, 64, 64) float -> (N, 120) float, length 1.
    """
    side, highest = 16, 12  # pixels; half waves across the picture
    thumbnails = F.adaptive_avg_pool2d(pictures[:, None], side)[:, 0]
    thumbnails = thumbnails - thumbnails.mean((1, 2), keepdim=True)
    thumbnails = thumbnails / thumbnails.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1)
    thumbnails = thumbnails - thumbnails.mean(0)
    k = torch.arange(side)
    basis = torch.cos(torch.pi * (k + 0.5) * k[:, None] / side)
    frequency = (k[:, None] ** 2 + k**2).float().sqrt()
    kept = (frequency > 0) & (frequency < highest)
    return F.normalize((basis @ thumbnails @ basis.T * frequency)[:, kept])


def _candidates(left: Tensor, right: Tensor, block: int = 1024) -> Pairs:
    """Rows a < b whose descriptors are near, (M, 2)."""
    found = [torch.empty(0, 2, dtype=torch.int64)]
    for start in range(0, len(left), block):
        near = torch.nonzero(left[start : start + block] @ right[start:].T > CANDIDATE)
        found.append(near[near[:, 0] < near[:, 1]] + start)
    return torch.cat(found).numpy()


def _agreement(
    pictures: Tensor, pairs: Pairs, mirrored: bool, title: str
) -> npt.NDArray[np.float32]:
    """`compare` for many pairs, (M,)."""
    results = [np.empty(0, np.float32)]
    title += ", mirrored" if mirrored else ""
    block = 64  # pairs: enough to keep torch busy, few enough to stay in the processor's cache
    with tqdm(None, title, len(pairs), unit="pair", leave=False, disable=None) as bar:
        for start in range(0, len(pairs), block):
            a, b = torch.from_numpy(pairs[start : start + block]).T
            right = pictures[b].flip(-1) if mirrored else pictures[b]
            results.append(compare(pictures[a], right).numpy())
            bar.update(len(a))
    return np.concatenate(results)


def compare(left: Tensor, right: Tensor) -> Tensor:
    """How well fine detail agrees once the right picture is laid onto the left one.

    The right picture is moved by the affine transform that brings it nearest, found by the
    inverse compositional algorithm of Lucas and Kanade (Baker & Matthews 2004), first on
    blurred pictures; brightness and contrast are taken out. Then both are band-pass filtered
    and correlated where they overlap.

    Shapes:
        (B, S, S) float, (B, S, S) float -> (B,) float, correlation from -1 to 1.
    """
    size = left.shape[-1]
    centre = (torch.arange(size) + 0.5) * 2 / size - 1
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    place = torch.stack([x, y, torch.ones_like(x)])  # (3, S, S)
    warp = torch.eye(3).repeat(len(left), 1, 1)
    for sigma in (size / 32, size / 80):
        fixed, moving = _blur(left, sigma), _blur(right, sigma)
        fixed = _standard(fixed, torch.ones_like(fixed))
        slope_y, slope_x = torch.gradient(fixed, dim=(1, 2))
        slopes = torch.stack([slope_x, slope_y], 1) * size / 2
        steepest = (slopes[:, :, None] * place).flatten(1, 2).flatten(2)  # (B, 6, S*S)
        hessian = steepest @ steepest.mT + torch.eye(6)
        for _ in range(STEPS):
            moved, inside = _move(moving, warp)
            error = (_standard(moved, inside) - fixed) * inside
            step = torch.linalg.solve(hessian, steepest @ error.flatten(1)[..., None])
            delta = torch.eye(3).repeat(len(left), 1, 1)
            delta[:, :2] += step.view(-1, 2, 3).clamp(-0.1, 0.1)
            warp = warp @ torch.linalg.inv(delta)
    moved, inside = _move(right, warp)
    return _correlation(_band(left), _band(moved), inside)


def _move(pictures: Tensor, warp: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures seen through affine warps, and a mask (1.0) of what they cover."""
    shape = [len(pictures), 1, *pictures.shape[1:]]
    grid = F.affine_grid(warp[:, :2], shape, align_corners=False)
    moved = F.grid_sample(pictures[:, None], grid, padding_mode="border", align_corners=False)
    return moved[:, 0], (grid.abs() < 0.98).all(-1).float()


def _standard(pictures: Tensor, mask: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 where the mask is 1."""
    total = mask.sum((1, 2), keepdim=True).clamp_min(1)
    centred = pictures - (pictures * mask).sum((1, 2), keepdim=True) / total
    spread = ((centred.square() * mask).sum((1, 2), keepdim=True) / total).sqrt()
    return centred / spread.clamp_min(1)


def _band(pictures: Tensor) -> Tensor:
    return _blur(pictures, 0.7) - _blur(pictures, pictures.shape[-1] * 3 / 64)


def _blur(pictures: Tensor, sigma: float) -> Tensor:
    reach = int(3 * sigma) + 1
    weights = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights = weights / weights.sum()
    padded = F.pad(pictures[:, None], (reach,) * 4, mode="reflect")
    rows = F.conv2d(padded, weights[None, None, None])
    return F.conv2d(rows, weights[None, None, :, None])[:, 0]


def _correlation(left: Tensor, right: Tensor, mask: Tensor) -> Tensor:
    """Of what both show; 0 where they overlap by less than half, or one shows nothing."""
    left, right = _standard(left, mask), _standard(right, mask)
    total = mask.sum((1, 2))
    value = (left * right * mask).sum((1, 2)) / total.clamp_min(1)
    return value * (total > mask[0].numel() / 2)
