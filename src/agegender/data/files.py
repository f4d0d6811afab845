"""Writing so that a half-written file or folder is never taken for a whole one."""

import contextlib
import fcntl
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.errors import InputError

log = logging.getLogger(__name__)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet computes text that begins so


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; renamed to `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
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
        yield


def write_json(path: Path, value: Any) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


def as_cell(text: str) -> str:
    """Text for a CSV file; what a spreadsheet would compute gets an apostrophe in front."""
    return f"'{text}" if text.startswith(FORMULA) else text


def as_cells(table: pd.DataFrame) -> pd.DataFrame:
    """A table for a CSV file: the same with all its text, and the names of its columns."""
    safe = table.map(lambda cell: as_cell(cell) if isinstance(cell, str) else cell)
    return safe.rename(columns=lambda name: as_cell(str(name)))
