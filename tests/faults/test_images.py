"""Spoilt and hostile pictures through the data path and the predictor, each under watch."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from agegender.data.cache import open_pixels
from agegender.data.table import open_image, read_table
from agegender.portraits.read import MAX_PIXELS

from ..conftest import ROOT
from .pictures import SUFFIX, Sample, harmful, largest, many_scans, mutated, whole
from .recorder import recorded

LIMIT_S = 60  # a picture and way; on a machine that does much else
LIMIT_MB = 1000  # above what was in use before
SEED = 20_000
DETECTORS = ("none", "mtcnn")
NAMED = (
    r"empty file", r"not a picture that can be read", r"damaged: .+", r"too many pixels \(.+\)",
    r"\d+ x \d+ pixels are too (many|few) \(.+\)", r"holds [A-Z]+, its name says [A-Z]+",
    r"not a picture file name \(.+\)", r"floating-point pixels: .+", r"no face found",
    r"a JPEG of more than 100 scans",
)  # fmt: skip


def probed(
    samples: Sequence[Sample], folder: Path, checkpoint: Path, detectors: Sequence[str] = DETECTORS
) -> pd.DataFrame:
    """A row a picture and way, measured in a process of its own.

    No crash, no hang, no more memory than allowed, and each refusal is one of the known ones.
    """
    folder.mkdir()
    for number, sample in enumerate(samples):
        (folder / f"{number % 117}_{number % 2}_1_{number:06d}{sample.suffix}").write_bytes(
            sample.data
        )
    command = [
        sys.executable, "-W", "ignore", "-m", "tests.faults.prober", str(folder), str(checkpoint),
        str(LIMIT_S), *detectors,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    ways = 1 + len(detectors)
    stopped = samples[min(len(rows) // ways, len(samples) - 1)]
    assert done.returncode == 0, f"at {stopped[:3]}: {done.stderr[-2000:]}"
    found = pd.DataFrame(rows)
    assert len(found) == ways * len(samples)
    number = found["file"].str.split("[_.]").str[3].astype(int)
    found["kind"] = [samples[i].kind for i in number]
    found["what"] = [samples[i].what for i in number]
    for row in found.itertuples():
        recorded(f"image, {row.kind}, {row.what}: {row.way}", SEED, outcome_of(row.error))
        assert row.peak_mb < LIMIT_MB, row
        assert not row.error or any(re.fullmatch(named, row.error) for named in NAMED), row
    slowest, most = found.loc[found["seconds"].idxmax()], found.loc[found["peak_mb"].idxmax()]
    recorded(
        f"images, the slowest of {len(samples):,}", SEED,
        f"{slowest['seconds']:.1f} s: {slowest['kind']}, {slowest['what']}, {slowest['way']}",
    )  # fmt: skip
    recorded(
        f"images, the most memory over the base of {len(samples):,}", SEED,
        f"{most['peak_mb']:.0f} MB: {most['kind']}, {most['what']}, {most['way']}",
    )  # fmt: skip
    return found


def outcome_of(error: str) -> str:
    """A refusal without what differs from picture to picture."""
    if not error:
        return "read"
    return "refused: " + re.sub(r"\d+ x \d+ |: .*| \(.*", "", error)


def scanned(folder: Path, found: pd.DataFrame, cache: Path) -> None:
    """The folder as a training takes it: rejects are those refused one by one, and no others."""
    faces = read_table(folder, cache)
    pixels = open_pixels(faces, cache, channels=3, size=32)
    one_by_one = found[(found["way"] == "data path") & (found["error"] != "")]
    rejects = dict(zip(faces.rejects["file"], faces.rejects["reason"], strict=True))
    assert rejects == dict(zip(one_by_one["file"], one_by_one["error"], strict=True))
    assert len(pixels) + len(rejects) == found["file"].nunique()
    recorded(f"images, a folder of {found['file'].nunique():,} scanned for training", SEED, "read")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of spoilt metadata
def test_a_sample_of_spoilt_pictures_is_read_or_refused_by_name(checkpoint_file, tmp_path: Path):
    bases = whole()
    samples = [*bases, *map(mutated, range(SEED, SEED + 60))]
    found = probed(samples, tmp_path / "pictures", checkpoint_file, ["none"])
    scanned(tmp_path / "pictures", found, tmp_path / "cache")
    good = found["what"].str.startswith("whole") & (found["way"] == "none")
    errors = found[good].set_index(["kind", "what"])["error"]
    assert errors.pop(("TIFF", "whole, F")).startswith("floating-point pixels")
    # Pillow writes this one without the sampling that it reads it by
    assert errors.pop(("TIFF", "whole, YCbCr")).startswith("damaged")
    assert set(errors) == {""}
    assert good.sum() == len(bases)
    spoilt = found[~found["what"].str.startswith("whole")]
    assert 0.2 < (spoilt["error"] == "").mean() < 0.8  # else the mutations test next to nothing


def test_a_picture_in_a_picture_is_a_jpeg(tmp_path: Path):
    """Phones write MPO under the name .jpg."""
    mpo = next(sample for sample in whole() if "MPO" in sample.what)
    (tmp_path / "26_1_2_1.jpg").write_bytes(mpo.data)
    assert read_table(tmp_path, tmp_path / "cache").rejects.empty


@pytest.mark.parametrize(("scans", "said"), [(60, ""), (120, "more than 100 scans")])
def test_a_jpeg_that_goes_over_its_pixels_again_and_again_is_refused(scans, said, tmp_path):
    data = many_scans(scans, 64)
    if not said:
        assert open_image(data, "1.jpg").size == (64, 64)
        return
    with pytest.raises(ValueError, match=said):
        open_image(data, "1.jpg")


def test_a_file_of_many_gigabytes_is_not_read_into_a_table(tmp_path: Path):
    for name, size in (("26_1_2_1.jpg", 50 << 30), ("26_1_2_2.png", 300_000_001)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)  # of holes: it takes no place
    good = next(sample for sample in whole() if sample.kind == "JPEG")
    (tmp_path / "26_1_2_3.jpg").write_bytes(good.data)
    rejects = read_table(tmp_path, tmp_path / "cache").rejects
    assert rejects["reason"].tolist() == ["larger than 300,000,000 bytes"] * 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_thousands_of_spoilt_and_hostile_pictures(checkpoint_file: Path, tmp_path: Path):
    count = int(os.environ.get("AGEGENDER_IMAGES", "2400"))
    samples = [*whole(), *harmful(), *map(mutated, range(SEED, SEED + count))]
    assert {sample.kind for sample in samples} == set(SUFFIX)
    found = probed(samples, tmp_path / "pictures", checkpoint_file)
    scanned(tmp_path / "pictures", found, tmp_path / "cache")


@pytest.mark.slow
def test_the_largest_pictures_need_less_than_a_gigabyte(checkpoint_file: Path, tmp_path: Path):
    found = probed(largest(MAX_PIXELS), tmp_path / "pictures", checkpoint_file)
    read = found[found["way"] == "none"]
    assert (read["error"] == "").all(), read
