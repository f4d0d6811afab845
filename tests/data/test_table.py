import os
import re
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from agegender.data.table import Faces, parse_name, read_table
from agegender.errors import InputError

UTKFACE_DIGEST = "970b0381012f0ff7e78f9eb15a3bb1769af992ecccd137b858be80a4ab9a31ee"


@pytest.mark.parametrize(
    ("file", "labels"),
    [
        ("26_1_2_20170116174525125.jpg.chip.jpg", (26, 1, 2)),
        ("1_0_0_20161219140623097.jpg.chip.jpg", (1, 0, 0)),
        ("116_1_3_20170120134639935.jpg.chip.jpg", (116, 1, 3)),
        # the public release's own oddities: no race, a blank, no dot, too many digits, too few
        ("39_1_20170116174525125.jpg.chip.jpg", (39, 1, None)),
        ("61_1_20170109142408075.jpg.chip.jpg", (61, 1, None)),
        ("24_0_1_20170116220224657 .jpg.chip.jpg", (24, 0, 1)),
        ("55_0_0_20170116232725357jpg.chip.jpg", (55, 0, 0)),
        ("28_1_2_201701161846515488.jpg.chip.jpg", (28, 1, 2)),
        ("14_0_0_2017011022340900.jpg.chip.jpg", (14, 0, 0)),
        ("30_1.png", (30, 1, None)),
        ("30_1_9_2017.png", (30, 1, None)),
    ],
)
def test_labels_are_read_from_the_first_fields(file, labels):
    assert tuple(parse_name(file)) == labels


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("portrait.jpg", "name is not age_gender_race_stamp"),
        ("x_1_2_2017.jpg", "age 'x' in the name is not a whole number of years"),
        ("-3_1_2_2017.jpg", "age '-3' in the name is not a whole number of years"),
        ("121_1_2_2017.jpg", "age 121 in the name is not within 0 to 120 years"),
        ("26_3_2_2017.jpg", "gender '3' in the name is neither 0 (male) nor 1 (female)"),
        ("²6_1_2_2017.jpg", "age '²6' in the name is not a whole number of years"),
    ],
)
def test_unreadable_labels_are_told(file, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        parse_name(file)


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"0"))


def test_twelve_kinds_of_bad_files_are_rejected_with_a_reason(drawn: Faces, tmp_path: Path):
    good = (drawn.folder / drawn.frame["file"][0]).read_bytes()
    Image.new("RGB", (64, 64)).save(tmp_path / "26_1_2_1.png")
    png = (tmp_path / "26_1_2_1.png").read_bytes()
    bad = {
        "26_1_2_02.jpg": (b"", "empty file"),
        "26_1_2_03.jpg": (good[: len(good) // 2], "damaged: image file is truncated"),
        "26_1_2_04.jpg": (b"not a picture at all", "not a picture that can be read"),
        "26_1_2_05.jpg": (png, "holds PNG, its name says JPEG"),
        "26_1_2_06.png": (_png_header(30_000, 30_000), "too many pixels (at most 50,000,000)"),
        "26_1_2_15.png": (_png_header(8_000, 8_000), "8000 x 8000 pixels are too many"),
        "26_1_2_07.png": (_png_header(1, 1), "1 x 1 pixels are too few"),
        "26_1_2_08.txt": (good, "not a picture file name"),
        "26_5_2_09.jpg": (good, "gender '5' in the name"),
        "200_1_2_10.jpg": (good, "age 200 in the name"),
        "holiday.jpg": (good, "name is not age_gender_race_stamp"),
        "26_1_2_11.png": (png[:60], "damaged"),
    }
    for name, (data, _) in bad.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "26_1_2_12.jpg").symlink_to(tmp_path / "gone.jpg")
    os.mkfifo(tmp_path / "26_1_2_13.jpg")
    (tmp_path / os.fsdecode(b"26_1_2_\xff.jpg")).write_bytes(good)
    (tmp_path / "40_0_1_14.jpg").write_bytes(good)

    faces = read_table(tmp_path, tmp_path / "cache")

    assert faces.frame["file"].tolist() == ["26_1_2_1.png", "40_0_1_14.jpg"]
    reasons = dict(zip(faces.rejects["file"], faces.rejects["reason"], strict=True))
    assert reasons.pop("26_1_2_12.jpg") == "a link that leads nowhere"
    assert reasons.pop("26_1_2_13.jpg") == "not a regular file"
    assert reasons.pop("26_1_2_\\udcff.jpg") == "name has characters that cannot be printed"
    assert reasons.keys() == bad.keys()
    for name, (_, reason) in bad.items():
        assert reasons[name].startswith(reason)


def test_a_folder_without_faces_is_a_sentence(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"no usable face in .*: 1 files were rejected"):
        read_table(tmp_path, tmp_path / "cache")


def test_the_table_is_kept_and_made_again_when_a_file_changes(drawn: Faces, tmp_path: Path):
    folder, cache = tmp_path / "faces", tmp_path / "cache"
    folder.mkdir()
    for name in drawn.frame["file"][:3]:
        (folder / name).write_bytes((drawn.folder / name).read_bytes())
    first = read_table(folder, cache)
    made = {path: path.stat().st_mtime_ns for path in cache.rglob("faces.csv")}
    again = read_table(folder, cache)
    assert again.frame.equals(first.frame)
    assert made == {path: path.stat().st_mtime_ns for path in cache.rglob("faces.csv")}

    changed = folder / drawn.frame["file"][0]
    changed.write_bytes((drawn.folder / drawn.frame["file"][9]).read_bytes())
    after = read_table(folder, cache)
    assert after.digest != first.digest
    assert after.frame["sha256"][0] == drawn.frame["sha256"][9]


def test_real_utkface_is_read_whole(utkface: Faces):
    assert len(utkface.frame) == utkface.release == 23_708
    assert utkface.digest == UTKFACE_DIGEST
    assert utkface.rejects.empty
    assert utkface.frame["race"].isna().sum() == 3
    assert utkface.frame["age_years"].dtype == "float32"
    assert utkface.frame["age_years"].min() == 1
    assert utkface.frame["age_years"].max() == 116
    assert (utkface.frame["age_years"] == 26).sum() == 2197
