"""A decoded picture as people see it: upright, in RGB of 8 bits."""

import contextlib

import numpy as np
from PIL import ExifTags, Image, ImageOps

AT_ONCE = 1_000_000  # pixels of 16 bits that are scaled together: as int64 they need much memory
BEHIND = (255, 255, 255)  # transparent pixels: cut-out portraits are looked at on white


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turned as EXIF says, 8 bits a channel, transparency over white; always a picture of its own.

    At most three copies are in memory at once: one of 60 megapixels has 240 MB.
    """
    with contextlib.suppress(Exception):  # a malformed EXIF block says nothing about the pixels
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _of_deep(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        opaque = Image.new("RGB", image.size, BEHIND)
        opaque.paste(image, mask=image.getchannel("A"))
        return opaque
    return image.convert("RGB")


def _of_deep(image: Image.Image) -> Image.Image:
    """Grey of 16 bits -> 8 bits; Pillow's own conversion cuts off instead of scaling."""
    if image.mode == "F":
        raise ValueError("floating-point pixels: their range is not known; save as 8 or 16 bits")
    values = np.asarray(image)
    flat, scaled = values.reshape(-1), np.empty(values.size, np.uint8)
    for start in range(0, len(flat), AT_ONCE):
        some = flat[start : start + AT_ONCE].astype(np.int64).clip(0, 65535)
        scaled[start : start + AT_ONCE] = (some * 255 + 32767) // 65535
    return Image.fromarray(scaled.reshape(values.shape))
