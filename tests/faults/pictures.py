"""Pictures in six formats, whole, mutated by a seed, and made to do harm."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from agegender.data.synthetic import portrait

SUFFIX = {
    "JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "TIFF": ".tif", "BMP": ".bmp",
}  # fmt: skip
MUTATIONS = ("flipped bits", "cut off", "header edited", "wrong suffix", "joined", "block moved")
Rng = np.random.Generator


class Sample(NamedTuple):
    """A picture file.

    Attributes:
        kind: its format by Pillow's name.
        what: what was done to it, in few words.
        suffix: of its name.
        data: its bytes.
    """

    kind: str
    what: str
    suffix: str
    data: bytes


def saved(image: Image.Image, kind: str, **words: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **words)
    return stream.getvalue()


@cache
def whole() -> tuple[Sample, ...]:
    """Every format in its modes, with EXIF orientations 1 to 8, animated, 16 bits and more."""
    face = portrait(7, 0)[1].resize((120, 96))
    frames = {"save_all": True, "append_images": [portrait(7, 1)[1].resize((120, 96))]}
    deep = Image.fromarray((np.asarray(face.convert("L")).astype(np.uint16)) * 257)
    clear = face.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(face.size))
    modes = {
        "JPEG": ("L", "RGB", "CMYK"),
        "PNG": ("1", "L", "LA", "P", "RGB"),
        "WEBP": ("RGB",),
        "GIF": ("L", "P", "RGB"),
        "TIFF": ("1", "L", "LA", "P", "RGB", "CMYK", "YCbCr", "LAB", "F"),
        "BMP": ("1", "L", "P", "RGB"),
    }
    found = [
        Sample(kind, f"whole, {mode}", SUFFIX[kind], saved(face.convert(mode), kind))
        for kind, several in modes.items()
        for mode in several
    ]

    def more(kind: str, what: str, image: Image.Image, **words: object) -> None:
        data = saved(image, kind, **words)
        found.append(Sample(kind, f"whole, {what}", SUFFIX[kind], data))

    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        for orientation in range(1, 9):
            exif = Image.Exif()
            exif[0x0112] = orientation
            more(kind, f"EXIF orientation {orientation}", face, exif=exif)
    for kind in ("PNG", "WEBP", "TIFF", "BMP", "GIF"):
        more(kind, "alpha", clear)
    for kind in ("PNG", "WEBP", "TIFF", "GIF"):
        more(kind, "animated", face, **frames)
    for kind in ("PNG", "TIFF"):
        more(kind, "16 bits", deep)
    more("JPEG", "progressive", face, progressive=True)
    more("WEBP", "lossless", face, lossless=True)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        more("TIFF", compression, face, compression=compression)
    more("TIFF", "group4", face.convert("1"), compression="group4")
    data = saved(face, "MPO", save_all=True, append_images=[face])
    found.append(Sample("JPEG", "whole, with a second picture (MPO)", ".jpg", data))
    return tuple(found)


def mutated(seed: int) -> Sample:
    """A picture spoilt; the same for the same seed."""
    rng = np.random.default_rng(seed)
    kind, what = tuple(SUFFIX)[seed % 6], MUTATIONS[seed // 6 % 6]
    bases = [sample for sample in whole() if sample.kind == kind]
    base = bases[rng.integers(len(bases))].data
    others = [sample for sample in whole() if sample.kind != kind]
    other = others[rng.integers(len(others))]
    suffix = other.suffix if what == "wrong suffix" else SUFFIX[kind]
    return Sample(kind, what, suffix, HOW[what](bytearray(base), other.data, rng))


def _flipped(data: bytearray, other: bytes, rng: Rng) -> bytes:
    for _ in range(int(2 ** rng.integers(0, 7))):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _cut(data: bytearray, other: bytes, rng: Rng) -> bytes:
    return bytes(data[: rng.integers(len(data))])


def _edited(data: bytearray, other: bytes, rng: Rng) -> bytes:
    """Whole numbers that a header would not hold, where sizes, offsets and types stand."""
    odd = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, int(rng.integers(2**32)))
    for _ in range(int(rng.integers(1, 5))):
        width = int(rng.choice([1, 2, 4]))
        number = odd[rng.integers(len(odd))] % 256**width
        at = int(rng.integers(min(len(data), 200) - 4))
        data[at : at + width] = number.to_bytes(width, "little" if rng.random() < 0.5 else "big")
    return bytes(data)


def _same(data: bytearray, other: bytes, rng: Rng) -> bytes:
    return bytes(data)


def _joined(data: bytearray, other: bytes, rng: Rng) -> bytes:
    """The start of one file, and another or its end."""
    start = data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.7 else data
    return bytes(start) + other[rng.integers(len(other)) if rng.random() < 0.5 else 0 :]


def _moved(data: bytearray, other: bytes, rng: Rng) -> bytes:
    """A block taken out, doubled, zeroed or filled by chance."""
    start, length = int(rng.integers(len(data))), int(2 ** rng.integers(1, 10))
    block = bytes(data[start : start + length])
    new = (b"", block * 2, bytes(len(block)), rng.bytes(len(block)))[rng.integers(4)]
    return bytes(data[:start]) + new + bytes(data[start + length :])


HOW: dict[str, Callable[[bytearray, bytes, Rng], bytes]] = dict(
    zip(MUTATIONS, (_flipped, _cut, _edited, _same, _joined, _moved), strict=True)
)


def png(width: int, height: int, rows: bytes, more: bytes = b"", bits: int = 8) -> bytes:
    """A PNG of RGB pixels by hand; `rows` are those compressed, and may be too few."""
    size = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + more + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )  # fmt: skip


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def zeros(count: int) -> bytes:
    """So many zeros, by zlib; a thousandth of their number in bytes, and never all in memory."""
    packer = zlib.compressobj(9)
    part = bytes(1 << 20)
    packed = [packer.compress(part) for _ in range(count >> 20)]
    return b"".join([*packed, packer.compress(bytes(count & ((1 << 20) - 1))), packer.flush()])


def many_scans(scans: int, side: int) -> bytes:
    """A progressive JPEG that goes over its pixels again and again."""
    data = saved(Image.new("RGB", (side, side), (90, 120, 60)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    tables = data.rindex(b"\xff\xc4", 0, last)
    return data[:-2] + data[tables:-2] * scans + b"\xff\xd9"


def harmful() -> tuple[Sample, ...]:
    """Bombs and oddities, without large ones that open well."""
    flat = Image.new("RGB", (64, 64), "red")
    tiny = [
        Sample(kind, "1 x 1", SUFFIX[kind], saved(Image.new("RGB", (1, 1)), kind))
        for kind in SUFFIX
    ]
    text = chunk(b"zTXt", b"note\0\0" + zeros(300 << 20))
    profile = chunk(b"iCCP", b"p\0\0" + zeros(300 << 20))
    huge = [
        Sample("PNG", "30,000 x 30,000", ".png", png(30_000, 30_000, zeros(90_001 * 3000))),
        Sample("PNG", "16 x 3,000,000", ".png", png(16, 3_000_000, zeros(49 * 3_000_000))),
        Sample("PNG", "2**31 - 1 squared", ".png", png(2**31 - 1, 2**31 - 1, zeros(9))),
        Sample("PNG", "0 x 0", ".png", png(0, 0, zeros(9))),
        Sample("PNG", "text of 300 MB", ".png", png(64, 64, zeros(64 * 193), text)),
        Sample("PNG", "profile of 300 MB", ".png", png(64, 64, zeros(64 * 193), profile)),
        Sample("PNG", "pixels of 1 GB behind 64 x 64", ".png", png(64, 64, zeros(1 << 30))),
        Sample("JPEG", "65,500 x 65,500", ".jpg", _resized(saved(flat, "JPEG"), 65_500)),
        Sample("GIF", "65,535 x 65,535", ".gif", _screen(saved(flat, "GIF"), 65_535)),
        Sample("BMP", "30,000 x 30,000", ".bmp", _bmp(saved(flat, "BMP"), 30_000)),
        Sample("TIFF", "30,000 x 30,000", ".tif", _tiff(saved(flat, "TIFF"), 30_000)),
        Sample("WEBP", "16,383 x 16,383", ".webp", _webp(16_383)),
        Sample("JPEG", "3,000 scans", ".jpg", many_scans(3000, 4000)),
        Sample("TIFF", "directories in a circle", ".tif", _circle(saved(flat, "TIFF"))),
    ]
    words = {
        "text": b"age,gender\n1,2\n", "HTML": b"<html><script>alert(1)</script></html>",
        "PDF": b"%PDF-1.7\n", "zip": b"PK\x03\x04" + bytes(60), "SVG": b"<svg onload='x()'/>",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "nothing": b"",
        "zeros": bytes(5000), "ELF": b"\x7fELF" + bytes(60),
    }  # fmt: skip
    wrong = [
        Sample(kind, f"in truth {name}", SUFFIX[kind], data)
        for name, data in words.items()
        for kind in SUFFIX
    ]
    return (*tiny, *huge, *wrong)


def largest(most: int) -> tuple[Sample, ...]:
    """Pictures of just `most` pixels that open well, in the ways that need most memory."""
    side = int(most**0.5)
    rgb, clear = Image.new("RGB", (side, side), "red"), Image.new("RGBA", (side, side))
    deep = Image.new("I;16", (side, side))
    wide = (min(16_383, most), most // min(16_383, most))
    turned = Image.Exif()
    turned[0x0112] = 6
    made = [
        ("JPEG", "RGB, progressive", rgb, {"progressive": True, "subsampling": 0}),
        ("JPEG", "CMYK", rgb.convert("CMYK"), {}),
        ("JPEG", "turned", rgb, {"exif": turned}),
        ("PNG", "alpha", clear, {"compress_level": 1}),
        ("PNG", "16 bits", deep, {"compress_level": 1}),
        ("TIFF", "16 bits", deep, {"compression": "packbits"}),
        ("WEBP", "alpha", clear.resize(wide), {"lossless": True, "quality": 0, "method": 0}),
        ("GIF", "palette", Image.new("P", (side, side)), {"transparency": 0}),
        ("BMP", "1 bit", Image.new("1", (side, side)), {}),
        ("PNG", "a stripe", Image.new("RGB", (65_500, most // 65_500)), {}),
        ("PNG", "a column", Image.new("RGB", (most // 65_500, 65_500)), {}),
    ]
    return tuple(
        Sample(kind, f"{most:,} pixels, {what}", SUFFIX[kind], saved(image, kind, **words))
        for kind, what, image, words in made
    )


def _resized(data: bytes, side: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


def _screen(data: bytes, side: int) -> bytes:
    return data[:6] + struct.pack("<HH", side, side) + data[10:]


def _bmp(data: bytes, side: int) -> bytes:
    return data[:18] + struct.pack("<ii", side, side) + data[26:]


def _tiff(data: bytes, side: int) -> bytes:
    """Width and length are the first two entries of Pillow's directories."""
    start = struct.unpack_from("<I", data, 4)[0] + 2
    edited = bytearray(data)
    for entry in (0, 1):
        struct.pack_into("<HHII", edited, start + 12 * entry, 256 + entry, 4, 1, side)
    return bytes(edited)


def _circle(data: bytes) -> bytes:
    start = struct.unpack_from("<I", data, 4)[0]
    after = start + 2 + 12 * struct.unpack_from("<H", data, start)[0]
    return data[:after] + struct.pack("<I", start) + data[after + 4 :]


def _webp(side: int) -> bytes:
    """A lossless WebP that claims a size and holds next to nothing."""
    head = (side - 1) | (side - 1) << 14
    body = b"\x2f" + struct.pack("<I", head) + bytes(8)
    body += bytes(len(body) % 2)
    return (
        b"RIFF"
        + struct.pack("<I", 12 + len(body))
        + b"WEBPVP8L"
        + struct.pack("<I", len(body))
        + body
    )
