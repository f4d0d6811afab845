"""Any picture file, or picture in memory, as upright RGB."""

import importlib.util
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from agegender.data.cache import Pixels
from agegender.data.table import MAX_BYTES, MAX_SIDE, MIN_SIDE, decode
from agegender.data.upright import upright_rgb

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".heif"}
VIDEOS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"}  # which are no pictures
MAX_PIXELS = 60_000_000  # the most that was seen to need less than 1 GB: docs/security.md
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

Picture: TypeAlias = Path | str | Image.Image | npt.NDArray[np.uint8]


def read_picture(picture: Picture) -> Image.Image:
    """A file, a Pillow picture or an array, as an upright RGB picture.

    Args:
        picture: a path, or (H, W, 3) or (H, W) uint8 in 0..255.

    Raises:
        ValueError: with the reason, if there is no such file or it cannot be used.
    """
    if isinstance(picture, np.ndarray):
        return _of_array(picture)
    if isinstance(picture, Image.Image):
        _check_size(*picture.size)
        try:
            picture.load()
        except Exception as error:  # Pillow lets any error of malformed pixels through
            raise ValueError(f"damaged: {error}") from None
        return upright_rgb(picture)
    return read_bytes(_bytes_of(Path(picture)))


def read_bytes(data: bytes) -> Image.Image:
    """A whole file's bytes as an upright RGB picture; its name does not matter.

    Of an animation, the first frame. Colour profiles are not applied, as in training.

    Raises:
        ValueError: with the reason, if it cannot be used.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS and not reads_heif():
        raise ValueError("HEIC needs the extra heic: pip install 'agegender[heic]'")
    return upright_rgb(decode(data, (*FORMATS, *(["HEIF"] if reads_heif() else [])), MAX_PIXELS))


@cache
def reads_heif() -> bool:
    """Whether pillow-heif is installed; Pillow knows of it from then on."""
    if importlib.util.find_spec("pillow_heif") is None:
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True


def _of_array(pixels: Pixels) -> Image.Image:
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise ValueError(
            f"an array of shape {pixels.shape} and type {pixels.dtype}: it must be (H, W, 3) or"
            f" (H, W), uint8, 0 to 255"
        )
    _check_size(pixels.shape[1], pixels.shape[0])
    return Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are too many (at most {MAX_PIXELS:,})")
    if max(width, height) > MAX_SIDE:
        raise ValueError(f"{width} x {height} pixels are too many (sides of at most {MAX_SIDE:,})")
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"{width} x {height} pixels are too few (sides of at least {MIN_SIDE})")


def _bytes_of(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ValueError("not a file" if path.exists() else "does not exist")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
