"""Every face decoded and resized once, into one array on disk."""

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from agegender.data.files import seal, unsealed, whole_folder
from agegender.data.table import Faces, open_image
from agegender.errors import InputError

Pixels = npt.NDArray[np.uint8]
RESAMPLING = Image.Resampling.LANCZOS
VERSION = 2  # of the stored pixels; raise it when decoding or resizing changes


def prepare(image: Image.Image, channels: int, size: int) -> Pixels:
    """The one way from a decoded picture to the network's input.

    Args:
        image: grey or RGB, upright.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB).
        size: side of the result in pixels; Lanczos, as the seed notebook used. A picture
            that is not square is stretched.

    Returns:
        (channels, size, size) uint8.
    """
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = image.resize((size, size), RESAMPLING)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def resize_weights(before: int, after: int) -> npt.NDArray[np.float64]:
    """(before, after): what each old pixel of a row gives to each new one in `prepare`.

    Pillow itself is asked, by resizing the rows of the identity. It computes with whole multiples
    of 2 to the power of -22, so that sums of weighted pixels are exact in float64.
    """
    unit = 2**22
    identity = Image.fromarray(np.eye(before, dtype=np.int32) * unit)
    return np.asarray(identity.resize((after, before), RESAMPLING)) / unit


def open_pixels(faces: Faces, cache_dir: Path, channels: int, size: int) -> Pixels:
    """The faces' pixels as a read-only memory map, built if it is not there yet.

    Returns:
        (N, channels, size, size) uint8, in the order of the table.

    Raises:
        InputError: if a file has changed or gone since the table was read.
    """
    key = {
        "version": VERSION,
        "channels": channels,
        "size": size,
        "resize": "lanczos",
        "order": hashlib.sha256("\n".join(faces.frame["sha256"]).encode()).hexdigest(),
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    place = cache_dir / "pixels" / f"{size}px-{channels}ch-{name}"
    if unsealed(place) != key:
        shutil.rmtree(place, ignore_errors=True)
        with whole_folder(place) as temporary:
            _build(faces, temporary / "pixels.npy", channels, size)
            seal(temporary, key)
    pixels: Pixels = np.load(place / "pixels.npy", mmap_mode="r")
    return pixels


def _build(faces: Faces, path: Path, channels: int, size: int) -> None:
    shape = (len(faces.frame), channels, size, size)
    pixels = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # a full disk is told here; a write to the map would kill
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def decode(row: int, file: str, sha256: str) -> None:
        try:
            data = (faces.folder / file).read_bytes()
        except OSError as error:
            raise InputError(f"{faces.folder / file} cannot be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InputError(f"{faces.folder / file} has changed while it was read: start again")
        pixels[row] = prepare(open_image(data, file), channels, size)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = pool.map(decode, range(shape[0]), faces.frame["file"], faces.frame["sha256"])
        title = f"decoding at {size} x {size}"
        for _ in tqdm(jobs, title, shape[0], unit="face", leave=False, disable=None):
            pass
    pixels.flush()
