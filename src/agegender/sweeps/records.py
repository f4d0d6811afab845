"""What a sweep keeps of each trial: one small file beside its run, named by its config's hash."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from agegender.data.files import write_json
from agegender.errors import InputError


class Trial(NamedTuple):
    """One training of a sweep.

    Attributes:
        folder: where its run lies.
        hash: of its whole config but for the folder.
        choices: what the sweep varies, and this trial's value of each, as on the command line.
        command: repeats it alone.
        monitor: the metric that its best checkpoint was chosen by.
        mode: `min` or `max`, which of it is better.
        status: `running` (or cut off), `finished`, `failed`, or `pruned` by a search.
        reason: why it failed.
        traceback: where it failed, for errors that are no mistake of the user's.
    """

    folder: Path
    hash: str
    choices: dict[str, str]
    command: str
    monitor: str
    mode: str
    status: str = "running"
    reason: str | None = None
    traceback: str | None = None

    @property
    def file(self) -> Path:
        return self.folder / f"trial_{self.hash}.json"

    def save(self) -> None:
        write_json(self.file, {name: getattr(self, name) for name in self._fields[2:]})

    def metrics(self) -> dict[str, Any] | None:
        """What stands in its `metrics.json`; None if it is not finished.

        Raises:
            InputError: if that cannot be read.
        """
        path = self.folder / "metrics.json"
        if self.status != "finished" or not path.is_file():
            return None
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is damaged: {error}. Remove it to train anew") from None
        return found


def read_trials(sweep: Path) -> list[Trial]:
    """All trials of a sweep, in the order of their folders' names.

    Raises:
        InputError: if there are none, or a file cannot be read.
    """
    paths = sorted(sweep.glob("*/trial_*.json"), key=lambda path: _natural(path.parent.name))
    if not paths:
        raise InputError(f"{sweep} holds no trials: give the folder of a sweep or of a search")
    return [_read(path) for path in paths]


def find_trial(sweep: Path, folder: Path, hash: str) -> Trial | None:
    """The trial with this config, wherever it lies in the sweep.

    Raises:
        InputError: if there is none, and `folder` holds one of another config.
    """
    found = sorted(sweep.glob(f"*/trial_{hash}.json"))
    if found:
        return _read(found[0])
    if any(folder.glob("trial_*.json")):
        raise InputError(
            f"{folder} holds a trial of another config: give the new sweep a folder of its own,"
            f" with hydra.sweep.dir=FOLDER"
        )
    return None


def _read(path: Path) -> Trial:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Trial(path.parent, path.stem.removeprefix("trial_"), **content)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is not a trial's record: {error}") from None


def _natural(name: str) -> list[tuple[int, float | str]]:
    """So that seed-2 comes before seed-10."""
    parts: list[tuple[int, float | str]] = []
    for word in re.split("[-_]", name):
        try:
            parts.append((0, float(word)))
        except ValueError:
            parts.append((1, word))
    return parts
