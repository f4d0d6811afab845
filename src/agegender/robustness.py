"""What disturbed pictures do to a network: blur, crops, light, compression, hidden eyes."""

from collections.abc import Callable
from io import BytesIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F
from tqdm import tqdm

FACES = 1000  # faces that are disturbed, drawn at random from the part
BATCH = 125
SMOOTH = InterpolationMode.BILINEAR
# around the rows where aligned crops have eyes and mouth (`portraits.align.TEMPLATE`), and from
# side to side: shares of the height and of the width
EYES, MOUTH, SIDES = (0.20, 0.38), (0.60, 0.79), (0.15, 0.85)


class Disturbance(NamedTuple):
    """A way to disturb (B, C, H, W) uint8 pictures, and how strongly it is done.

    Attributes:
        name: in words.
        unit: of the strengths.
        strengths: in the order in which they are drawn.
        clean: the strength that changes nothing.
        change: (pictures, strength) -> pictures of the same shape and type.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    clean: float
    change: Callable[[Tensor, float], Tensor]


def zoom(image: Tensor, size: float) -> Tensor:
    """Faces larger (above 1: a tighter crop) or smaller (a wider one, black outside)."""
    return _moved(image, 0, size)


def shift(image: Tensor, share: float) -> Tensor:
    """Faces moved to the right and down by a share of the side, black where nothing is."""
    return _moved(image, round(share * image.shape[-1]), 1.0)


def _moved(image: Tensor, pixels: int, size: float) -> Tensor:
    moved: Tensor = F.affine(image, 0.0, [pixels, pixels], size, [0.0, 0.0], SMOOTH)
    return moved


def blur(image: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur whose sigma is a percentage of the side."""
    if not sigma:
        return image
    pixels = sigma / 100 * image.shape[-1]
    size = 2 * max(1, round(3 * pixels)) + 1
    blurred: Tensor = F.gaussian_blur(image, [size, size], [pixels, pixels])
    return blurred


def coarsen(image: Tensor, times: float) -> Tensor:
    """Pictures made so many times smaller, and as large as they were again."""
    whole = image.shape[-1]
    side = max(1, round(whole / times))
    small = F.resize(image, [side, side], SMOOTH, antialias=True)
    coarse: Tensor = F.resize(small, [whole, whole], SMOOTH, antialias=True)
    return coarse


def rotate(image: Tensor, degrees: float) -> Tensor:
    """Faces turned in the plane, counter-clockwise."""
    turned: Tensor = F.rotate(image, degrees, SMOOTH)
    return turned


def jpeg(image: Tensor, lost: float) -> Tensor:
    """Pictures after JPEG compression at a quality of 100 less `lost`."""
    return torch.stack([_through_jpeg(one, 100 - int(lost)) for one in image])


def _through_jpeg(image: Tensor, quality: int) -> Tensor:
    stream = BytesIO()
    F.to_pil_image(image).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as again:
        decoded: Tensor = F.pil_to_tensor(again)
    return decoded


def hide(image: Tensor, share: float, rows: tuple[float, float]) -> Tensor:
    """A grey bar over a share of the height between two rows, from the middle outwards."""
    height, width = image.shape[-2:]
    middle, half = (rows[0] + rows[1]) / 2, share * (rows[1] - rows[0]) / 2
    top, bottom = round((middle - half) * height), round((middle + half) * height)
    hidden = image.clone()
    hidden[..., top:bottom, round(SIDES[0] * width) : round(SIDES[1] * width)] = 128
    return hidden


DISTURBANCES = (
    Disturbance("crop margin", "size of the face", (0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5), 1, zoom),
    Disturbance("shift", "share of the side", (0, 0.03, 0.06, 0.1, 0.15, 0.2), 0, shift),
    Disturbance("blur", "sigma, % of the side", (0, 0.8, 1.5, 2.5, 4, 6), 0, blur),
    Disturbance("resolution", "times fewer pixels a side", (1, 1.5, 2, 3, 4, 6), 1, coarsen),
    Disturbance("rotation", "degrees", (-45, -30, -15, -7, 0, 7, 15, 30, 45), 0, rotate),
    Disturbance("brightness", "factor", (0.3, 0.5, 0.75, 1, 1.33, 2, 3), 1, F.adjust_brightness),
    Disturbance("contrast", "factor", (0.2, 0.4, 0.7, 1, 1.4, 2, 3), 1, F.adjust_contrast),
    Disturbance("JPEG compression", "100 - quality", (0, 10, 50, 75, 90, 95), 0, jpeg),
    Disturbance("colour", "share left; 0: grey", (1, 0.75, 0.5, 0.25, 0), 1, F.adjust_saturation),
    Disturbance("eyes hidden", "share of the bar", (0, 0.34, 0.67, 1), 0,
                lambda image, share: hide(image, share, EYES)),
    Disturbance("mouth hidden", "share of the bar", (0, 0.34, 0.67, 1), 0,
                lambda image, share: hide(image, share, MOUTH)),
)  # fmt: skip


def measure(
    net: nn.Module,
    pixels: npt.NDArray[np.uint8],
    rows: pd.DataFrame,
    most: int = FACES,
    progress: bool = True,
) -> pd.DataFrame:
    """Score a network on faces disturbed one way at a time, in float32.

    Args:
        net: (B, C, H, W) float32 in 0..1 -> `agegender.types.Outputs`.
        pixels: (N, C, H, W) uint8.
        rows: faces with age_years and gender, indexed by their place in pixels.
        most: at most so many of them, drawn at random.
        progress: show a bar.

    Returns:
        A row a disturbance and strength: disturbance, unit, strength, clean (whether it changes
        nothing), n, age_mae (years), age_bias (years), gender_acc (0 to 1).
    """
    faces = rows.sample(min(most, len(rows)), random_state=0).sort_index()
    images = torch.from_numpy(np.ascontiguousarray(pixels[faces.index.to_numpy()]))
    ways = [way for way in DISTURBANCES if images.shape[1] == 3 or way.name != "colour"]
    steps = [(way, strength) for way in ways for strength in way.strengths]
    was = net.training
    net.eval()
    clean = _score(net, images, faces)
    found = []
    for way, strength in tqdm(steps, desc="disturbing faces", disable=not progress):
        untouched = strength == way.clean
        scores = clean if untouched else _score(net, images, faces, way.change, strength)
        about = (way.name, way.unit, strength, untouched, len(faces))
        names = ("disturbance", "unit", "strength", "clean", "n")
        found.append({**dict(zip(names, about, strict=True)), **scores})
    net.train(was)
    return pd.DataFrame(found)


@torch.inference_mode()
def _score(
    net: nn.Module,
    images: Tensor,
    faces: pd.DataFrame,
    change: Callable[[Tensor, float], Tensor] | None = None,
    strength: float = 0.0,
) -> dict[str, float]:
    device = next(net.parameters()).device
    ages, females = [], []
    for batch in torch.split(images, BATCH):
        disturbed = change(batch, strength) if change else batch
        said = net(disturbed.to(device).float() / 255)
        ages.append(said.age.cpu())
        females.append(said.gender_logit.cpu() > 0)
    error = torch.cat(ages).double().numpy() - faces["age_years"].to_numpy()
    right = torch.cat(females).numpy() == (faces["gender"] == 1).to_numpy()
    return {
        "age_mae": float(np.abs(error).mean()),
        "age_bias": float(error.mean()),
        "gender_acc": float(right.mean()),
    }
