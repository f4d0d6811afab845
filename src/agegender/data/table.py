"""One row a face: what its file name says and what its bytes are."""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from PIL import Image
from tqdm import tqdm

from agegender.data.files import seal, unsealed, whole_folder
from agegender.data.upright import upright_rgb
from agegender.errors import InputError

SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
FORMATS = tuple(sorted(set(SUFFIXES.values())))
JPEGS = ("JPEG", "MPO")  # what Pillow calls a JPEG that holds more pictures, as phones write them
MAX_PIXELS = 50_000_000  # a decoded RGB picture of 150 MB; UTKFace's own have 40,000 pixels
MAX_BYTES = 300_000_000  # of a file
MIN_SIDE = 16
MAX_SIDE = 65_500  # JPEG's own; of a longer stripe, resizing one side first would need gigabytes
MAX_SCANS = 100  # of a JPEG; cameras and encoders write up to about ten
VERSION = 2  # of the stored table; raise it when parsing or checking changes


class Name(NamedTuple):
    """The labels in a file name; race is None where the name does not say it."""

    age_years: float
    gender: int
    race: int | None


@dataclass(frozen=True)
class Faces:
    """The faces of a folder.

    Attributes:
        folder: where the files are.
        frame: one row a face in file-name order: file, age_years (float32), gender (0 male,
            1 female), race (0 to 4 or missing), sha256 (of the file's bytes), group_id
            (same for exact copies; `agegender.data.audit` joins near copies).
        rejects: one row a file left out: file, reason.
        digest: SHA-256 over the sorted SHA-256 of the faces' files: the same on any machine.
        release: how many of the faces' files are in the public UTKFace release.
    """

    folder: Path
    frame: pd.DataFrame
    rejects: pd.DataFrame
    digest: str
    release: int


def parse_name(file: str) -> Name:
    """Read `[age]_[gender]_[race]_[stamp].jpg.chip.jpg`; the stamp is never looked at.

    Raises:
        ValueError: with the reason, if age or gender cannot be read.
    """
    fields = file.split(".")[0].split("_")
    if len(fields) < 2:
        raise ValueError("name is not age_gender_race_stamp")
    age, gender = fields[0], fields[1]
    if not re.fullmatch(r"[0-9]{1,3}", age):
        raise ValueError(f"age {age!r} in the name is not a whole number of years")
    if int(age) > 120:
        raise ValueError(f"age {age} in the name is not within 0 to 120 years")
    if gender not in ("0", "1"):
        raise ValueError(f"gender {gender!r} in the name is neither 0 (male) nor 1 (female)")
    race = int(fields[2]) if len(fields) > 2 and re.fullmatch("[0-4]", fields[2]) else None
    return Name(float(age), int(gender), race)


def open_image(data: bytes, file: str) -> Image.Image:
    """Decode a picture fully, trusting neither its name nor its header.

    Raises:
        ValueError: with the reason, if it is empty, damaged, too large, too small or not
            what its name says.

    Returns:
        Upright RGB, as portraits are read in predictions.
    """
    expected = SUFFIXES.get(Path(file).suffix.lower())
    if expected is None:
        raise ValueError(f"not a picture file name (allowed: {', '.join(SUFFIXES)})")
    image = decode(data, FORMATS, MAX_PIXELS)
    if image.format != expected and not (expected == "JPEG" and image.format in JPEGS):
        raise ValueError(f"holds {image.format}, its name says {expected}")
    return upright_rgb(image)


def decode(data: bytes, formats: tuple[str, ...], most: int) -> Image.Image:
    """Decode a picture fully, whatever it is called.

    Args:
        data: the whole file.
        formats: what it may be, by Pillow's names.
        most: pixels that it may have; more are refused before they are decoded.

    Raises:
        ValueError: with the reason, if it is empty, damaged, too large, too small or none of
            the formats.
    """
    if not data:
        raise ValueError("empty file")
    try:
        image = Image.open(BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"too many pixels (at most {most:,})") from None
    except Exception:  # Pillow lets any error of a malformed header through
        raise ValueError("not a picture that can be read") from None
    width, height = image.size
    if width * height > most:
        raise ValueError(f"{width} x {height} pixels are too many (at most {most:,})")
    if max(width, height) > MAX_SIDE:
        raise ValueError(f"{width} x {height} pixels are too many (sides of at most {MAX_SIDE:,})")
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"{width} x {height} pixels are too few (sides of at least {MIN_SIDE})")
    # each goes over all pixels again, and an empty one takes a few bytes; elsewhere in a JPEG no
    # such pair of bytes is but in previews
    if image.format in JPEGS and data.count(b"\xff\xda") > MAX_SCANS:
        raise ValueError(f"a JPEG of more than {MAX_SCANS} scans")
    try:
        image.load()
    except Exception as error:  # and of malformed pixels
        raise ValueError(f"damaged: {error}") from None
    return image


def read_table(folder: Path, cache_dir: Path, labels: pd.DataFrame | None = None) -> Faces:
    """Check and digest the faces of a folder.

    Args:
        folder: where they are.
        cache_dir: where the table is kept.
        labels: the files and what they show, as `agegender.data.own` reads it; without, every
            file of the folder, labelled by its name.

    The result is kept below `cache_dir` and used again as long as no file's name, size or
    time of change differs.

    Raises:
        InputError: if the folder cannot be listed or holds no usable face.
    """
    names = _list_files(folder) if labels is None else labels["file"].tolist()
    key = _listing_key(folder, names, labels)
    place = cache_dir / "tables" / key
    facts = unsealed(place)
    if facts is None:
        shutil.rmtree(place, ignore_errors=True)
        facts = _write_table(folder, names, labels, place, key)
    types = {"age_years": "float32", "gender": "int8", "race": "Int8", "group_id": "str"}
    frame = pd.read_csv(
        place / "faces.csv",
        dtype=types,
        na_filter=True,
        keep_default_na=False,
        na_values={"race": [""]},
    )
    rejects = pd.read_csv(place / "rejects.csv", dtype=str, keep_default_na=False)
    if frame.empty:
        reasons = rejects["reason"].value_counts().head(3)
        told = "; ".join(f"{n} x {reason}" for reason, n in reasons.items())
        names_say = (
            ""
            if labels is not None
            else (" Names must start with age_gender_race_, as in 26_1_2_20170116.jpg")
        )
        raise InputError(
            f"no usable face in {folder}: {len(rejects)} files were rejected ({told or 'empty'})."
            f"{names_say}"
        )
    return Faces(folder, frame, rejects, facts["digest"], facts["release"])


@cache
def release_table() -> pd.DataFrame:
    """The public UTKFace release: group_id and slice by the first 12 hex digits of SHA-256.

    `attrs` has the number of files and the data digest of the whole release.
    """
    text = (
        resources.files("agegender.data")
        .joinpath("utkface_release.csv")
        .read_text(encoding="utf-8")
    )
    first, _, rest = text.partition("\n")
    table = pd.read_csv(StringIO(rest), dtype={"sha256": str, "group_id": str, "slice": int})
    table["group_id"] = table["group_id"].fillna(table["sha256"])
    files = len(table)
    table = table.drop_duplicates("sha256").set_index("sha256")
    table.attrs["files"] = files
    table.attrs["data_digest"] = first.removeprefix("# data digest ")
    return table


def _list_files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.is_dir())
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}: {error.strerror}") from None
    if not names:
        raise InputError(f"the folder {folder} holds no files: name one with face pictures")
    return names


def _listing_key(folder: Path, names: list[str], labels: pd.DataFrame | None) -> str:
    sha = hashlib.sha256(f"{VERSION}\0{folder.resolve()}".encode())
    for name in names:
        path = folder / name
        with contextlib.suppress(FileNotFoundError):  # a file that has just gone
            stat = path.stat() if path.exists() else path.lstat()
            told = f"\0{name}\0{stat.st_size}\0{stat.st_mtime_ns}"
            sha.update(told.encode(errors="surrogateescape"))
    if labels is not None:
        sha.update(labels.to_csv(index=False).encode())
    return sha.hexdigest()[:16]


def _write_table(
    folder: Path, names: list[str], labels: pd.DataFrame | None, place: Path, key: str
) -> dict[str, Any]:
    """Check every file, and keep what was found; returns the facts of the kept folder."""
    faces, rejects = [], []
    if labels is None:
        label: Callable[[str], Name] = parse_name
    else:
        rows = labels[["age_years", "gender", "race"]].itertuples(index=False)
        label = {file: Name(*row) for file, row in zip(names, rows, strict=True)}.__getitem__
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(_checker(folder, label), names, chunksize=64)
        for name, result in tqdm(
            zip(names, results, strict=True),
            "checking files",
            len(names),
            unit="file",
            leave=False,
            disable=None,
        ):
            if isinstance(result, str):
                rejects.append((name.encode(errors="backslashreplace").decode(), result))
            else:
                faces.append((name, *result))
    columns = ["file", "age_years", "gender", "race", "sha256"]
    frame = pd.DataFrame(faces, columns=columns)
    frame["race"] = frame["race"].astype("Int8")
    frame["group_id"] = frame["sha256"].str[:12]
    if labels is not None:
        named = "named " + labels.set_index("file")["group"].loc[frame["file"]]
        frame["group_id"] = frame["group_id"].where(
            (named == "named ").to_numpy(), named.to_numpy()
        )
    if not folder.is_dir() or _listing_key(folder, names, labels) != key:
        raise InputError(f"{folder} has changed while it was read: start again")
    known = release_table().index
    facts = {
        "digest": hashlib.sha256("\n".join(sorted(frame["sha256"])).encode()).hexdigest(),
        "release": int(frame["sha256"].str[:12].isin(known).sum()),
    }
    with whole_folder(place) as temporary:
        frame.to_csv(temporary / "faces.csv", index=False)
        pd.DataFrame(rejects, columns=["file", "reason"]).to_csv(
            temporary / "rejects.csv", index=False
        )
        seal(temporary, facts)
    return facts


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checker(
    folder: Path, label: Callable[[str], Name]
) -> Callable[[str], tuple[float, int, int | None, str] | str]:
    def check(file: str) -> tuple[float, int, int | None, str] | str:
        path = folder / file
        try:
            if not file.isprintable() or not _is_utf8(file):
                raise ValueError("name has characters that cannot be printed")
            if path.is_symlink() and not path.exists():
                raise ValueError("a link that leads nowhere")
            if not path.is_file():
                raise ValueError("not a regular file")
            if path.stat().st_size > MAX_BYTES:
                raise ValueError(f"larger than {MAX_BYTES:,} bytes")
            data = path.read_bytes()
            open_image(data, file).close()
            return (*label(file), hashlib.sha256(data).hexdigest())
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        except ValueError as error:
            return str(error)

    return check
