"""Where UTKFace comes from: a folder, an archive, or a download."""

import hashlib
import http.client
import logging
import lzma
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, NoReturn

from tqdm import tqdm

from agegender.data.files import whole_folder
from agegender.data.table import SUFFIXES
from agegender.errors import InputError

log = logging.getLogger(__name__)

# The plain tarball on the Hugging Face hub, at a pinned revision; no login needed.
TARBALL_URL = (
    "https://huggingface.co/datasets/py97/UTKFace-Cropped/resolve/"
    "e80f21fb21fa3631380c3cb634b79be3ac2f4cba/UTKFace.tar.gz"
)
KAGGLE_HANDLE = "jangedoo/utkface-new/versions/1"

WAIT_S = 2.0  # before the second try; longer before each further one
FOLDER = "UTKFace"
MAX_MEMBER_BYTES = 20_000_000  # UTKFace's largest file has 12 kB
MAX_TOTAL_BYTES = 10_000_000_000
MAX_MEMBERS = 200_000  # files, folders and links; Kaggle's zip has about 60,000
MAX_HEADER_BYTES = 1_000_000  # of a long name in a tar, which is read as a whole
LONG_NAMES = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
WAYS_OUT = (
    "Give a folder (data.root=FOLDER), the archive (data.archive=UTKFace.tar.gz), or try without"
    " real data (data=synthetic)."
)


class _Header(tarfile.TarInfo):
    """Of a member of a tar: tarfile itself would read long names of any size into memory.

    All versions of Python call this method before they read a long name, but newer ones no longer
    `frombuf`, which is the documented one.
    """

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in LONG_NAMES and self.size > MAX_HEADER_BYTES:
            raise InputError(f"the tar archive is refused: it has a name of {self.size:,} bytes")
        return super()._proc_member(tar)  # type: ignore[misc,no-any-return]


class Member(NamedTuple):
    """A regular file in an archive."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def find_utkface(root: str | None, archive: str | None, cache_dir: Path) -> Path:
    """The folder that holds UTKFace's pictures.

    Args:
        root: that folder, or a parent with `UTKFace/` in it.
        archive: a tar or zip file; extracted once below `cache_dir`.
        cache_dir: with neither, UTKFace is looked for here, then downloaded to here.

    Raises:
        InputError: if there is nothing to be found, with the ways out.
    """
    if root is not None:
        return _in_root(Path(root).expanduser())
    if archive is not None:
        return extract(Path(archive).expanduser(), cache_dir)
    kept = cache_dir / FOLDER
    if kept.is_dir():
        return kept
    return download(cache_dir)


def _in_root(root: Path) -> Path:
    if not root.is_dir():
        raise InputError(f"data.root={root} is not a folder. {WAYS_OUT}")
    if (root / FOLDER).is_dir():
        return root / FOLDER
    with os.scandir(root) as entries:
        if any(Path(entry.name).suffix.lower() in SUFFIXES for entry in entries):
            return root
    raise InputError(f"data.root={root} holds neither pictures nor a folder {FOLDER}/. {WAYS_OUT}")


def extract(archive: Path, cache_dir: Path) -> Path:
    """Extract the pictures of an archive's `UTKFace/` folder, once.

    Raises:
        InputError: if the archive is missing, damaged, without pictures, or not safe.
    """
    try:
        stat = archive.stat()
    except OSError:
        raise InputError(f"data.archive={archive} does not exist. {WAYS_OUT}") from None
    key = f"{archive.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"
    name = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:12]
    place = cache_dir / "extracted" / name / FOLDER
    if place.is_dir():
        return place
    log.info("extracting %s to %s", archive, place)
    with _members(archive) as members, whole_folder(place) as temporary:
        chosen = _in_utkface(members, archive)
        for member in tqdm(chosen, "extracting", unit="file", leave=False, disable=None):
            with member.open() as source, (temporary / member.path.name).open("xb") as target:
                shutil.copyfileobj(source, target)
    return place


@contextmanager
def _members(archive: Path) -> Iterator[list[Member]]:
    """All regular files of a tar or zip; an unsafe archive is refused whole."""
    damaged = (
        *(tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError),
        *(RuntimeError, NotImplementedError),  # an encrypted zip, an unknown compression
        OSError,
    )
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as bundle:
                yield _checked(_zip_members(bundle), archive)
        else:
            with _tar(archive) as bundle:
                yield _checked(_tar_members(bundle, archive), archive)
    except FileExistsError as error:
        raise InputError(f"{archive} holds {Path(error.filename).name!r} twice") from None
    except damaged as error:
        raise InputError(f"{archive} cannot be extracted: {error}") from None


def _tar(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive, tarinfo=_Header)
    except tarfile.ReadError:
        raise InputError(f"{archive} is neither a tar nor a zip archive") from None


def _tar_members(bundle: tarfile.TarFile, archive: Path) -> Iterator[Member]:
    def opener(info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
        def open_member() -> IO[bytes]:
            stream = bundle.extractfile(info)
            assert stream is not None  # only regular files come here
            return stream

        return open_member

    for count, info in enumerate(bundle):
        if count >= MAX_MEMBERS:  # folders, too: they take nothing and never end
            raise InputError(f"{archive} is refused: it has more than {MAX_MEMBERS:,} files")
        if info.isdir():
            continue
        if not info.isreg():
            kind = "link" if info.issym() or info.islnk() else "device"
            raise InputError(f"{archive} is refused: {info.name!r} is a {kind}, not a file")
        yield Member(PurePosixPath(info.name), info.size, opener(info))


def _zip_members(bundle: zipfile.ZipFile) -> Iterator[Member]:
    def opener(info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
        return lambda: bundle.open(info)

    for info in bundle.infolist():
        if not info.is_dir():
            yield Member(PurePosixPath(info.filename), info.file_size, opener(info))


def _checked(members: Iterator[Member], archive: Path) -> list[Member]:
    total = 0
    kept: list[Member] = []
    for member in members:
        total += member.size
        if member.path.is_absolute() or ".." in member.path.parts:
            reason = f"{str(member.path)!r} points outside the archive"
        elif member.size > MAX_MEMBER_BYTES:
            reason = f"{str(member.path)!r} unpacks to {member.size:,} bytes"
        elif total > MAX_TOTAL_BYTES:
            reason = f"it unpacks to more than {MAX_TOTAL_BYTES:,} bytes"
        elif len(kept) >= MAX_MEMBERS:
            reason = f"it has more than {MAX_MEMBERS:,} files"
        else:
            kept.append(member)
            continue
        raise InputError(f"{archive} is refused: {reason}")
    return kept


def _in_utkface(members: list[Member], archive: Path) -> list[Member]:
    """The files directly in the uppermost `UTKFace/`: Kaggle's zip holds copies deeper down."""
    inside = [member for member in members if member.path.parent.name == FOLDER]
    if not inside:
        raise InputError(f"{archive} holds no folder {FOLDER}/ with pictures in it")
    folder = min((member.path.parent for member in inside), key=lambda path: len(path.parts))
    return [member for member in inside if member.path.parent == folder]


def download(cache_dir: Path) -> Path:
    """Fetch UTKFace into `cache_dir`: the plain tarball, else Kaggle's copy.

    Raises:
        InputError: if neither can be reached.
    """
    archive = cache_dir / "UTKFace.tar.gz"
    try:
        if not archive.is_file():
            fetch(TARBALL_URL, archive)
        folder = extract(archive, cache_dir)
    except InputError:
        archive.unlink(missing_ok=True)  # damaged on its way: the next try downloads it again
        raise
    except ConnectionError as error:
        log.warning("%s", error)
        return _from_kaggle(str(error))
    with whole_folder(cache_dir / FOLDER) as temporary:
        temporary.rmdir()
        folder.rename(temporary)
    archive.unlink()
    return cache_dir / FOLDER


def fetch(url: str, target: Path, tries: int = 4) -> None:
    """Download to a file; a dropped connection goes on where it stopped.

    Raises:
        ConnectionError: if it does not succeed within `tries`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    reason = ""
    for attempt in range(tries):
        if attempt:
            time.sleep(WAIT_S * attempt)
        try:
            _fetch_rest(url, part)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            continue
        os.replace(part, target)
        return
    raise ConnectionError(f"could not download {url}: {reason}")


def _fetch_rest(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()  # longer than what the server holds: start afresh next time
        raise
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0
        length = int(response.headers.get("Content-Length", 0))
        with (
            part.open("ab" if have else "wb") as stream,
            _download_bar(have, have + length) as bar,
        ):
            while block := response.read(1 << 16):
                stream.write(block)
                bar.update(len(block))
            received = stream.tell() - have
    if received < length:
        raise OSError(f"the connection dropped after {received:,} of {length:,} bytes")


def _download_bar(have: int, total: int) -> "tqdm[NoReturn]":
    return tqdm(
        desc="downloading UTKFace",
        initial=have,
        total=total or None,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None,
    )


def _from_kaggle(reason: str) -> Path:
    try:
        import kagglehub
    except ImportError:
        told = "kagglehub is not installed (pip install 'agegender[download]')"
    else:
        try:
            return _in_root(Path(kagglehub.dataset_download(KAGGLE_HANDLE)))
        except Exception as error:  # kagglehub lets many libraries' errors through
            told = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    raise InputError(f"UTKFace is not here and {reason}; Kaggle: {told}. {WAYS_OUT}")
