"""What `scripts/video.py` does: a video in, a row a face and frame and an annotated copy out."""

import json
from collections import deque
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from agegender.data.cache import Pixels
from agegender.data.files import held
from agegender.errors import InputError
from agegender.portraits.annotate import annotated
from agegender.portraits.film import Film, Frame, film_copy
from agegender.predict import FINISHED, TABLE, UNFINISHED, as_line, finish, shown, table_lines
from agegender.reader import COLUMNS, Model, Row, open_model
from agegender.schemas import VideoConfig

FRAME_COLUMNS = ("file", "frame", "seconds", *COLUMNS[1:])
COPY = "annotated.mp4"


class Seen(NamedTuple):
    """What came of a video.

    Attributes:
        rows: the first ones, as many as a terminal shows; the keys are `FRAME_COLUMNS`.
        frames: how many were looked at.
        without: in how many of them no face was found.
        wrong: why frames are missing; empty if the whole file was read.
    """

    rows: list[Row]
    frames: int
    without: int
    wrong: str


def look_at_video(given: VideoConfig) -> Seen:
    """Look at a video and write predictions.csv, predictions.jsonl and, if told, annotated.mp4.

    Raises:
        InputError: if the file or a word cannot be used, or no frame can be read.
    """
    words = [given.input] if isinstance(given.input, str) else list(given.input or [])
    if len(words) != 1:
        raise InputError("input=CLIP.mp4: name the video to look at, one at a time")
    if given.every < 1:
        raise InputError(f"every={given.every}: must be at least 1, for every frame")
    if given.detector == "boxes":
        raise InputError("detector=boxes is for pictures; for a video it is mtcnn or none")
    path, folder = Path(words[0]), Path(given.output_dir)
    with Film(path) as film:
        model = open_model(given.checkpoint, given.detector, None, given.runtime, given.level)
        with held(folder):
            if (folder / TABLE).exists() or (folder / FINISHED).exists():
                raise InputError(f"output_dir={folder} has predictions: name another folder")
            _write_lines(folder, film, model, given.every)
            if given.annotate:
                _draw(folder, path, given.every)
            return Seen(*finish(folder, FRAME_COLUMNS), film.wrong)


def _write_lines(folder: Path, film: Film, model: Model, every: int) -> None:
    """Rows of all frames that are looked at, as JSON lines."""
    total = film.count and -(-film.count // every)
    with (folder / UNFINISHED).open("w", encoding="utf-8") as lines:
        frames = looked_frames(model, film.frames(every), shown(str(film.path)))
        for rows in tqdm(frames, "looking", total, unit="frame", disable=None):
            lines.write("".join(as_line(row) for row in rows))
        empty = lines.tell() == 0
    if empty:
        (folder / UNFINISHED).unlink()
        raise InputError(
            f"input={film.path}: not one frame of it could be read {film.wrong}".rstrip()
        )


def looked_frames(model: Model, frames: Iterator[Frame], name: str) -> Iterator[list[Row]]:
    """The rows of each frame; a frame without a face has one that says so."""
    waiting: deque[tuple[int, float]] = deque()

    def pictures() -> Iterator[tuple[str, Pixels]]:
        for frame in frames:
            waiting.append((frame.number, round(float(frame.time), 4)))
            yield name, frame.pixels

    for one in model.look(pictures()):
        number, seconds = waiting.popleft()
        yield [row | {"frame": number, "seconds": seconds} for row in one.rows]


def _draw(folder: Path, path: Path, every: int) -> None:
    """Read the video again and draw the faces in; between two looks the earlier one's stay.

    A second reading, so that no frame has to wait in memory for the network.
    """
    with (
        Film(path) as film,
        (folder / UNFINISHED).open(encoding="utf-8") as lines,
        film_copy(folder / COPY, film.rate) as add,
    ):
        looks = groupby(map(json.loads, lines), itemgetter("frame"))
        rows: list[Row] = []
        frames = film.frames()
        for frame in tqdm(frames, "drawing", film.count, unit="frame", disable=None):
            if frame.number % every == 0:
                rows = list(next(looks)[1])
            picture = Image.fromarray(frame.pixels)
            add(annotated(picture, rows, enlarge=False), frame.time)


def frame_lines(rows: list[Row]) -> str:
    """The first rows as a table for the terminal."""
    named = [f"frame {row['frame']}, {row['seconds']:.2f} s" for row in rows]
    return table_lines(row | {"file": name} for row, name in zip(rows, named, strict=True))
