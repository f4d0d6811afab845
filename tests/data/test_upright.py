"""Training reads pictures as predictions do."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from agegender.data.cache import open_pixels, prepare
from agegender.data.table import open_image, read_table
from agegender.portraits.read import read_bytes

RAMP = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
CORNER = np.zeros((64, 64, 3), np.uint8)
CORNER[:32, :32] = 255


def file_of(image: Image.Image, kind: str, **words: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **words)
    return stream.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # as phones write it
    return file_of(Image.fromarray(CORNER), "JPEG", exif=exif, quality=95)


def deep() -> bytes:
    return file_of(Image.fromarray(RAMP.astype(np.uint16)), "PNG")


def clear() -> bytes:
    return file_of(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG")


@pytest.mark.parametrize(
    ("data", "name", "top_right", "mean"),
    [(turned(), "a.jpg", 255, 64), (deep(), "a.png", 0, 127), (clear(), "a.png", 255, 255)],
)
def test_training_and_predictions_see_the_same(data: bytes, name: str, top_right: int, mean: float):
    trained = open_image(data, name)
    assert trained.mode == "RGB"
    pixels = np.asarray(trained)
    np.testing.assert_array_equal(pixels, np.asarray(read_bytes(data)))
    assert int(pixels[0, -1, 0]) == pytest.approx(top_right, abs=5)
    assert pixels.mean() == pytest.approx(mean, abs=2)


def test_what_is_cached_is_upright(tmp_path: Path):
    (tmp_path / "30_0_0_1.jpg").write_bytes(turned())
    pixels = open_pixels(read_table(tmp_path, tmp_path / "cache"), tmp_path / "cache", 3, 32)
    np.testing.assert_array_equal(pixels[0], prepare(read_bytes(turned()), 3, 32))
    assert pixels[0, 0, 0, -1] > 200 > pixels[0, 0, 0, 0]
