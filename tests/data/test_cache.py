import dataclasses
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agegender.data.cache import open_pixels, prepare
from agegender.data.table import Faces
from agegender.errors import InputError


def test_every_row_is_its_file_decoded(drawn: Faces, tmp_path: Path):
    grey, colour = (open_pixels(drawn, tmp_path, channels, 64) for channels in (1, 3))
    assert grey.shape == (len(drawn.frame), 1, 64, 64)
    assert colour.shape == (len(drawn.frame), 3, 64, 64)
    assert grey.dtype == colour.dtype == np.uint8
    for row in (0, 77, len(drawn.frame) - 1):
        image = Image.open(drawn.folder / drawn.frame["file"][row])
        # averaging each block of pixels with numpy: nearly what Lanczos gives at 200 -> 50
        small = open_pixels(drawn, tmp_path, 3, 50)[row].transpose(1, 2, 0)
        blocks = np.asarray(image, float).reshape(50, 4, 50, 4, 3).mean((1, 3))
        assert np.abs(small - blocks).mean() < 3
        luma = np.asarray(image, float) @ [0.299, 0.587, 0.114]
        full = open_pixels(drawn, tmp_path, 1, 200)[row, 0]
        assert np.abs(full - luma).max() <= 1


def test_cache_is_reused_and_each_size_has_its_own(drawn: Faces, tmp_path: Path):
    first = open_pixels(drawn, tmp_path, 1, 32)
    (made,) = tmp_path.rglob("pixels.npy")
    stamp = made.stat().st_mtime_ns
    assert (open_pixels(drawn, tmp_path, 1, 32) == first).all()
    assert made.stat().st_mtime_ns == stamp
    open_pixels(drawn, tmp_path, 1, 40)
    assert len(list(tmp_path.rglob("pixels.npy"))) == 2
    fewer = dataclasses.replace(drawn, frame=drawn.frame.iloc[:10])
    assert len(open_pixels(fewer, tmp_path, 1, 32)) == 10


def test_a_file_that_changed_meanwhile_stops_the_build(drawn: Faces, tmp_path: Path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in drawn.frame["file"][:5]:
        (folder / name).write_bytes((drawn.folder / name).read_bytes())
    faces = dataclasses.replace(drawn, folder=folder, frame=drawn.frame.iloc[:5])
    other = (drawn.folder / drawn.frame["file"][8]).read_bytes()
    (folder / drawn.frame["file"][2]).write_bytes(other)
    with pytest.raises(InputError, match=r"has changed while it was read"):
        open_pixels(faces, tmp_path / "c", 1, 32)
    (folder / drawn.frame["file"][2]).unlink()
    with pytest.raises(InputError, match=r"cannot be read: No such file"):
        open_pixels(faces, tmp_path / "c", 1, 32)
    assert not list((tmp_path / "c").rglob("pixels.npy"))


def test_two_processes_may_build_one_cache(drawn: Faces, tmp_path: Path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(open_pixels, [(drawn, tmp_path, 1, 56)] * 2)
    assert (found[0] == found[1]).all()
    assert len(list(tmp_path.rglob("pixels.npy"))) == 1
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_any_kind_of_picture_becomes_the_networks_input(mode: str):
    image = Image.new(mode, (30, 50))
    assert prepare(image, 1, 24).shape == (1, 24, 24)
    assert prepare(image, 3, 24).shape == (3, 24, 24)
