import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agegender.data.synthetic import portrait
from agegender.data.table import MAX_BYTES
from agegender.portraits.read import read_bytes, read_picture, reads_heif

UPRIGHT = portrait(0, 3)[1].crop((20, 10, 180, 130))  # wider than high, and no side like another
# what a camera stores for an upright picture, by EXIF 2.3's table of orientations
STORED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
    8: lambda a: np.rot90(a, -1),
}


def saved(image: Image.Image, kind: str, **words: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **words)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"0"))


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_every_exif_orientation_comes_out_upright(orientation: int, kind: str):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(UPRIGHT))))
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_bytes(saved(stored, kind, exif=exif))
    np.testing.assert_array_equal(np.asarray(read), np.asarray(UPRIGHT))


@pytest.mark.parametrize(
    ("mode", "kind", "off"),
    [
        ("RGB", "JPEG", 4), ("RGB", "WEBP", 5), ("RGB", "BMP", 0), ("RGB", "TIFF", 0),
        ("L", "PNG", 20), ("LA", "PNG", 20), ("RGBA", "PNG", 0), ("CMYK", "JPEG", 4),
        ("CMYK", "TIFF", 1), ("P", "GIF", 25), ("P", "PNG", 25), ("1", "PNG", 130),
    ],
)  # fmt: skip
def test_all_kinds_of_pictures_come_out_as_rgb(mode: str, kind: str, off: float):
    read = read_bytes(saved(UPRIGHT.convert(mode), kind))
    assert (read.mode, read.size) == ("RGB", UPRIGHT.size)
    apart = np.asarray(read, dtype=float) - np.asarray(UPRIGHT, dtype=float)
    assert abs(apart).mean() <= off


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_and_not_cut_off(kind: str):
    deep = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    read = np.asarray(read_bytes(saved(Image.fromarray(deep), kind)), dtype=float)
    assert abs(read - deep[:, :, None] / 257).max() <= 0.5


def test_what_is_transparent_is_white():
    clear = UPRIGHT.copy().convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    read = np.asarray(read_bytes(saved(clear, "PNG")), dtype=float)
    share = np.asarray(clear, dtype=float)[..., 3:] / 255
    wanted = share * np.asarray(UPRIGHT, dtype=float) + (1 - share) * 255
    assert abs(read - wanted).max() <= 1
    palette = Image.new("P", (20, 20), 0)
    assert read_bytes(saved(palette, "GIF", transparency=0)).getpixel((5, 5)) == (255, 255, 255)


def test_of_an_animation_the_first_frame():
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_bytes(data).getpixel((9, 9)) == (255, 0, 0)


def test_the_name_of_a_file_says_nothing(tmp_path: Path):
    path = tmp_path / "picture.txt"
    UPRIGHT.save(path, "PNG")
    assert read_picture(path) == UPRIGHT
    assert read_picture(str(path)) == UPRIGHT
    assert read_picture(UPRIGHT) == UPRIGHT
    assert read_picture(np.asarray(UPRIGHT)) == UPRIGHT


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty file"),
        (b"age,gender\n1,2\n", "not a picture that can be read"),
        (b"%PDF-1.4 hello", "not a picture that can be read"),
        (saved(UPRIGHT, "JPEG")[:2000], "damaged: "),
        (saved(UPRIGHT, "PNG")[:2000], "damaged: "),
        (png_header(30_000, 30_000), r"too many pixels \(at most 60,000,000\)"),
        (png_header(9_440, 9_440), r"9440 x 9440 pixels are too many \(at most 60,000,000\)"),
        (png_header(16, 65_501), r"16 x 65501 pixels are too many \(sides of at most 65,500\)"),
        (
            saved(UPRIGHT.resize((9, 40)), "PNG"),
            r"9 x 40 pixels are too few \(sides of at least 16",
        ),
        (saved(Image.fromarray(np.ones((20, 20), np.float32)), "TIFF"), "floating-point pixels"),
    ],
)
def test_what_cannot_be_used_is_told(data: bytes, said: str):
    with pytest.raises(ValueError, match=said):
        read_bytes(data)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("/nowhere.jpg", "does not exist"),
        ("/tmp", "not a file"),
        (np.zeros((40, 40, 3)), r"an array of shape \(40, 40, 3\) and type float64: it must be"),
        (np.zeros((3, 40, 40), np.uint8), r"an array of shape \(3, 40, 40\)"),
        (np.zeros((5, 40, 3), np.uint8), "40 x 5 pixels are too few"),
        (np.zeros((20, 65_501), np.uint8), "65501 x 20 pixels are too many"),
        (np.broadcast_to(np.uint8(0), (8_000, 8_000)), "8000 x 8000 pixels are too many"),
        (Image.open(BytesIO(saved(UPRIGHT, "PNG")[:2000])), "damaged: "),
    ],
)
def test_what_is_no_picture_is_told(picture: object, said: str):
    with pytest.raises(ValueError, match=said):
        read_picture(picture)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path):
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ValueError, match="larger than"):
        read_picture(tmp_path / "large.jpg")


def test_heic_is_read_or_its_extra_is_named():
    if reads_heif():
        import pillow_heif

        stream = BytesIO()
        pillow_heif.from_pillow(UPRIGHT).save(stream, quality=95)
        assert read_bytes(stream.getvalue()).size == UPRIGHT.size
    else:
        with pytest.raises(ValueError, match=r"HEIC needs .*: pip install 'agegender\[heic\]'"):
            read_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
