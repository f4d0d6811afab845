"""What `scripts/predict.py` does: many pictures in, tables and annotated copies out."""

import glob
import hashlib
import json
import logging
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from agegender import checkpoint
from agegender.data.files import as_cell, held, whole_file, write_json
from agegender.data.table import MAX_BYTES
from agegender.errors import InputError
from agegender.portraits.annotate import annotated, between
from agegender.portraits.read import SUFFIXES, VIDEOS
from agegender.reader import COLUMNS, Looked, Row, open_model
from agegender.schemas import PredictConfig

log = logging.getLogger(__name__)
UNFINISHED, FINISHED, TABLE = "predictions.part.jsonl", "predictions.jsonl", "predictions.csv"
ABOUT = "predict.json"
CHUNK = 10_000  # rows that are in memory while the table is written
STANDARD_INPUT = "-"
COPIES = "annotated"  # the folder of annotated copies
STEM = 150  # bytes of a copy's name, of the 255 that a file system allows


def predict(given: PredictConfig) -> tuple[list[Row], int, int]:
    """Look at pictures and write predictions.csv, predictions.jsonl and, if told, annotated copies.

    Returns:
        The first rows, as many as a terminal shows; how many pictures were looked at, and how many
        of them failed.

    Raises:
        InputError: if there is nothing to look at, or a word cannot be used.
    """
    folder = Path(given.output_dir)
    files = list_files(given.input, folder / COPIES)
    model = open_model(given.checkpoint, given.detector, given.boxes, given.runtime, given.level)
    with held(folder):
        done = _done(folder, given)
        # standard input may hold another picture each time
        left = [file for file in files if file == STANDARD_INPUT or shown(file) not in done]
        if done:
            log.info("%d of %d pictures are done already", len(files) - len(left), len(files))
        looked = model.look((shown(file), _content(file)) for file in left)
        with (folder / UNFINISHED).open("a", encoding="utf-8") as lines:
            for one in tqdm(looked, "looking", len(left), unit="picture", disable=None):
                if given.annotate and one.picture is not None:
                    _draw(folder / COPIES, one)
                lines.write("".join(as_line(row) for row in one.rows))  # a picture at once
                lines.flush()
        return finish(folder)


def list_files(words: str | Sequence[str] | None, copies: Path | None = None) -> list[str]:
    """Files named by paths, folders (with all below them) and patterns, each once, in order.

    Args:
        words: what is named.
        copies: a folder whose files only their own paths name: an earlier run has drawn them.

    Raises:
        InputError: if a word names nothing.
    """
    given = [words] if isinstance(words, str) else list(words or [])
    if not given:
        raise InputError(
            "input=FILE, FOLDER or 'PATTERN': name the pictures to look at; - reads one"
        )
    drawn = os.path.realpath(copies) if copies else ""
    return list(dict.fromkeys(file for word in given for file in _files_of(os.fspath(word), drawn)))


def _files_of(word: str, drawn: str) -> list[str]:
    if Path(word).suffix.lower() in VIDEOS and os.path.isfile(word):
        raise InputError(f"input={word} is a video: look at it by scripts/video.py input=...")
    if word == STANDARD_INPUT or os.path.isfile(word):
        return [word]
    if os.path.isdir(word):
        walk = (walked for walked in os.walk(word) if os.path.realpath(walked[0]) != drawn)
        below = [os.path.join(where, name) for where, _, names in walk for name in names]
        files = sorted(file for file in below if Path(file).suffix.lower() in SUFFIXES)
        if not files:
            raise InputError(
                f"input={word} is a folder without pictures ({', '.join(sorted(SUFFIXES))})"
            )
        return files
    if glob.has_magic(word):
        names = sorted(name for name in glob.glob(word, recursive=True) if os.path.isfile(name))
        found = [name for name in names if os.path.realpath(os.path.dirname(name)) != drawn]
        if not found:
            raise InputError(f"input={word} fits no file, neither as a name nor as a pattern")
        return found
    if os.path.lexists(word):
        raise InputError(f"input={word} is neither a file nor a folder")
    raise InputError(f"input={word} does not exist")


def _content(file: str) -> str | bytes:
    return sys.stdin.buffer.read(MAX_BYTES + 1) if file == STANDARD_INPUT else file


def shown(file: str) -> str:
    """A file's name as it can be written anywhere."""
    return file.encode(errors="backslashreplace").decode()


def _done(folder: Path, given: PredictConfig) -> set[str]:
    """The pictures that an earlier run in this folder has finished, if it is to be continued.

    Raises:
        InputError: if the folder has another run's results.
    """
    settings = {
        "checkpoint": _digest(checkpoint.named(given.checkpoint)),
        "detector": given.detector,
        "boxes": _digest(Path(given.boxes)) if given.boxes else None,
        "level": given.level,
        "annotate": given.annotate,
    }
    part, whole, about = (folder / name for name in (UNFINISHED, FINISHED, ABOUT))
    if (folder / TABLE).exists() and not about.exists():
        raise InputError(
            f"output_dir={folder} has a {TABLE} of a training or an evaluation, which would be"
            f" lost: name another folder"
        )
    if not part.exists() and not whole.exists():
        write_json(about, settings)
        return set()
    if not given.resume:
        raise InputError(
            f"output_dir={folder} has predictions already: say resume=true to go on with them, or"
            f" name another folder"
        )
    if not about.exists() or json.loads(about.read_text(encoding="utf-8")) != settings:
        raise InputError(
            f"output_dir={folder} was begun with another checkpoint, detector, level, table of"
            f" boxes or annotate: give it those, or name another folder"
        )
    if not part.exists():
        os.replace(whole, part)
    return _whole_pictures(part)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _whole_pictures(part: Path) -> set[str]:
    """The pictures all of whose rows are in a file; what a kill has cut off is taken out of it."""
    done: set[str] = set()
    with part.open(encoding="utf-8") as before, whole_file(part) as temporary:
        with temporary.open("w", encoding="utf-8") as after:
            rows: list[str] = []
            for line in before:
                if not line.endswith("\n"):
                    break
                row = json.loads(line)
                rows = [*rows, line] if row["face"] > 1 else [line]
                if row["face"] == row["faces"]:
                    after.writelines(rows)
                    done.add(row["file"])
    return done


def as_line(row: Row) -> str:
    """A row as JSON, which knows no NaN and no infinity."""
    lost = {key for key, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
    known = {key: None if key in lost else v for key, v in row.items()}
    return json.dumps(known, allow_nan=False) + "\n"


def _draw(folder: Path, one: Looked) -> None:
    assert one.picture is not None
    file = Path(str(one.rows[0]["file"]))
    # two folders may hold files of one name, and a name may be as long as a name can be
    key = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    stem = "".join(c if c.isprintable() and c not in r'\/:*?"<>|' else "_" for c in file.stem)
    short = stem.encode()[:STEM].decode(errors="ignore")
    with whole_file(folder / f"{short}_{key}.jpg") as temporary:
        annotated(one.picture, one.rows).save(temporary, format="JPEG", quality=92)


def finish(folder: Path, columns: Sequence[str] = COLUMNS) -> tuple[list[Row], int, int]:
    """Write the table from the lines, some at a time, and give the lines their last name.

    Returns:
        The first rows; how many pictures there were, and how many of them without an answer.
    """
    pictures = failed = 0
    with whole_file(folder / TABLE) as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as table:
            pd.DataFrame(columns=list(columns)).to_csv(table, index=False)
            for rows in _chunks(folder / UNFINISHED):
                cells = [
                    row | {name: as_cell(row[name]) for name in ("file", "error")} for row in rows
                ]
                pd.DataFrame(cells, columns=list(columns)).to_csv(table, index=False, header=False)
                pictures += sum(row["face"] <= 1 for row in rows)
                failed += sum(row["face"] == 0 for row in rows)
    os.replace(folder / UNFINISHED, folder / FINISHED)
    first = next(_chunks(folder / FINISHED), [])
    return first, pictures, failed


def _chunks(path: Path) -> Iterator[list[Row]]:
    with path.open(encoding="utf-8") as lines:
        while rows := [json.loads(line) for line in islice(lines, CHUNK)]:
            yield rows


def table_lines(rows: Iterable[dict[str, Any]], shown: int = 40) -> str:
    """The first rows as a table for the terminal."""
    rows = list(rows)
    lines = [f"{'file':<32} {'face':>5} {'age':>5} {'from-to':>8} {'gender':>7} {'p':>5}  note"]
    for row in rows[:shown]:
        name = _short(row["file"])
        if row["face"] == 0:
            lines.append(f"{name:<32} {'-':>5} {row['error']}")
            continue
        years = between(row["age_lo"], row["age_hi"])
        p = max(row["p_female"], 1 - row["p_female"])
        place = f"{row['face']}/{row['faces']}"
        lines.append(
            f"{name:<32} {place:>5} {row['age_pred']:>5.1f} {years:>8} {row['gender']:>7}"
            f" {p:>5.2f}  {row['warning']}".rstrip()
        )
    if len(rows) > shown:
        lines.append("...")
    return "\n".join(lines)


def _short(name: str, length: int = 32) -> str:
    printable = "".join(c if c.isprintable() else "?" for c in name)
    return printable if len(printable) <= length else "..." + printable[3 - length :]
