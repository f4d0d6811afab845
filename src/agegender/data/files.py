"""Writing so that a half-written file or folder is never taken for a whole one."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.errors import InputError

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"  # of a sealed folder
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")  # as named below
SEALED = b"# SHA-256 of the lines below: %s. Remove this line if you edit them\n"
BLOCK = 1 << 24  # bytes that a thread digests at a time
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet computes text that begins so


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; renamed to `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write says only what went wrong
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; renamed to `path` if the block succeeds.

    If another process has made `path` in the meantime, its folder stays and ours goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        try:
            os.rename(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def held(folder: Path, name: str = "") -> Iterator[None]:
    """Have a folder for oneself; the kernel lets go of it when the process ends, however.

    Args:
        folder: made if it is not there.
        name: of what it is held for, if it can be held for several things at once.

    Raises:
        InputError: if a living process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder} is in use by another process: wait for it, or give another folder"
            ) from None
        except OSError as error:
            log.warning("%s cannot be locked against other processes: %s", folder, error.strerror)
        else:
            _clear(folder)
        yield


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Wait until no other process is in such a block; in a folder that is read-only, do not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError:
        yield
        return
    with lock:
        with contextlib.suppress(OSError):  # a file system without locks: all may do the same work
            fcntl.flock(lock, fcntl.LOCK_EX)
            _clear(folder)
        yield


def _clear(folder: Path) -> None:
    """Remove what killed processes have left half done; no living one may be at work here.

    Folders within that have a lock of their own are left alone: another process may have them.
    """
    for depth in (".*.tmp", "*/.*.tmp", "*/*/.*.tmp"):
        for path in folder.glob(depth):
            between = list(path.relative_to(folder).parents)[:-1]
            locked = any(any((folder / inner).glob(".*lock")) for inner in between)
            if locked or not TEMPORARY.fullmatch(path.name):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Write a folder's manifest: what it is, and the digest of each of its files and of itself."""
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    content = {**facts, "files": files}
    write_json(folder / MANIFEST, {**content, "seal": _seal(content)})


def unsealed(folder: Path) -> dict[str, Any] | None:
    """The facts of a sealed folder; None if it is not there, or, with a warning, if it is damaged.

    Reading all of a gigabyte takes about a second of one processor, or half of two.
    """
    if not folder.is_dir():
        return None
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if content.pop("seal") != _seal(content):
            raise ValueError(f"{MANIFEST} has changed")
        for name, digest in content.pop("files").items():
            if _digest(folder / name) != digest:
                raise ValueError(f"{name} has changed")
    except OSError as error:
        reason = f"{Path(error.filename).name if error.filename else 'a file'}: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        changed = isinstance(error, ValueError) and str(error).endswith("has changed")
        reason = str(error) if changed else f"{MANIFEST} is not one that this version writes"
    else:
        return dict(content)
    log.warning("%s is damaged (%s) and is made again", folder, reason)
    return None


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    """SHA-256 of the SHA-256 of each block of a file, which threads can work out side by side."""

    def block(start: int) -> bytes:
        return hashlib.sha256(os.pread(file.fileno(), BLOCK, start)).digest()

    with path.open("rb") as file, ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        starts = range(0, os.fstat(file.fileno()).st_size, BLOCK)
        return hashlib.sha256(b"".join(pool.map(block, starts))).hexdigest()


def write_json(path: Path, value: Any) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_sealed(path: Path, text: str) -> None:
    """Write a text whose first line is a comment with the digest of the others."""
    data = text.encode()
    with whole_file(path) as temporary:
        temporary.write_bytes(SEALED % hashlib.sha256(data).hexdigest().encode() + data)


def check_sealed(path: Path) -> None:
    """Compare a text with the digest in its first line, if it has one.

    Raises:
        InputError: if it has changed.
    """
    first, _, rest = path.read_bytes().partition(b"\n")
    start = SEALED.partition(b"%")[0]
    expected = SEALED % hashlib.sha256(rest).hexdigest().encode()
    if first.startswith(start) and first + b"\n" != expected:
        raise InputError(
            f"{path} is not as its run wrote it: it is damaged, or was edited. If that was meant,"
            f" remove its first line"
        )


def as_cell(text: str) -> str:
    """Text for a CSV file; what a spreadsheet would compute gets an apostrophe in front."""
    return f"'{text}" if text.startswith(FORMULA) else text


def as_cells(table: pd.DataFrame) -> pd.DataFrame:
    """A table for a CSV file: the same with all its text, and the names of its columns."""
    safe = table.map(lambda cell: as_cell(cell) if isinstance(cell, str) else cell)
    return safe.rename(columns=lambda name: as_cell(str(name)))
