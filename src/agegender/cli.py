"""What the scripts share: mistakes end in a sentence, with the nearest name to a mistyped one."""

import argparse
import atexit
import errno
import gc
import inspect
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import lightning.pytorch as pl
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from agegender.config import did_you_mean
from agegender.data.files import check_sealed
from agegender.errors import InputError, ProcessLost, TrainingDiverged
from agegender.schemas import SCHEMAS

CONF = Path(__file__).parents[2] / "conf"
FIXES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.EROFS: "name a folder that can be written to",
    errno.EACCES: "name a folder that can be written to",
    errno.EPERM: "name a folder that can be written to",
}


def run(main: Callable[[], None]) -> None:
    """Call a Hydra main function; mistakes end in a sentence and exit status 2."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # so that errors come here, not to Hydra
    logging.raiseExceptions = False  # a line that the log has no space for is not worth a traceback
    quieten()
    atexit.register(gc.freeze)  # a last look for garbage in all that torch has loaded takes 1.5 s
    try:
        _check_config_file()
        main()
    except (InputError, ProcessLost, TrainingDiverged) as error:
        sys.exit(_complain(str(error), 2 if isinstance(error, InputError) else 1))
    except KeyboardInterrupt:
        sys.exit(_complain("stopped; a run or a sweep can be continued", 130))
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(_complain(_with_hint(error), 2))
    except (OSError, ValueError) as error:
        cause = _of_system(error)
        if cause is None:
            raise
        sys.exit(_complain(_told(cause), 1))


def _check_config_file() -> None:
    """Refuse a run's config that has changed, before Hydra reads it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd", type=Path)
    parser.add_argument("--config-name", "-cn", default="config")
    given = parser.parse_known_args()[0]
    if given.config_dir and (path := given.config_dir / f"{given.config_name}.yaml").is_file():
        check_sealed(path)


def _of_system(error: BaseException | None) -> OSError | None:
    """What the system has refused, if that is behind an error; logging's is a ValueError."""
    while error is not None and not (isinstance(error, OSError) and error.errno):
        error = error.__cause__
    return error


def _told(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    fix = f"; {FIXES[error.errno]} and start again" if error.errno in FIXES else ""
    return f"{where}{error.strerror}{fix}. What was written whole before is kept"


def quote_paths(key: str) -> None:
    """Let the words KEY=PATH of the command line be paths of any characters, and several.

    Hydra would read blanks, commas and brackets in them as its own language. A word that has its
    quotes or brackets already is left as it is.
    """
    mine = [word for word in sys.argv if word.startswith(f"{key}=")]
    paths = [word.partition("=")[2] for word in mine]
    if not paths or (paths[0][:1] in ("[", "'", '"') and not Path(paths[0]).exists()):
        return
    quoted = (re.sub(r"(\\*)('|\Z)", r"\1\1\2", path).replace("'", "\\'") for path in paths)
    others = [word for word in sys.argv if word not in mine]
    value = ",".join(f"'{path}'" for path in quoted).replace("${", r"\${")  # no interpolation
    sys.argv[:] = [*others, f"{key}=[{value}]"]


def tell_progress() -> None:
    """Log to the terminal as Hydra's main functions do, for scripts that have none."""
    logging.basicConfig(level=logging.WARNING, format="[%(asctime)s] %(message)s")
    logging.getLogger("agegender").setLevel(logging.INFO)


def quieten() -> None:
    """Leave out what Lightning says that no user of this project can act upon."""
    # which accelerators are absent, and an advertisement
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*isinstance.treespec, LeafSpec.. is deprecated",  # inside Lightning
        ".*does not have many workers",  # a batch is one index into a memory map
        ".*is smaller than the logging interval",  # we log epochs
        ".*Checkpoint directory .* exists and is not empty",  # when a run is continued
        ".*resuming from a checkpoint that ended before the epoch",  # its batches are left out
    ):
        warnings.filterwarnings("ignore", message)


def _complain(sentence: str, status: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return status


def _with_hint(error: Exception) -> str:
    """Hydra's message, with the nearest name to a mistyped one."""
    said = str(error)
    word = re.search(r"(?:Could not override|Could not find|Key) '([^']+)'", said)
    if word:
        *above, last = re.split(r"[./]", word[1])
        hint = did_you_mean(last, known_words() if above else top_words())
    else:
        hint = f": {error.__cause__}" if error.__cause__ else ""
    first, *rest = said.splitlines()
    return "\n".join([first.rstrip(".") + hint, *rest])


def top_words() -> set[str]:
    """The keys and groups of the primary configs."""
    return {field.name for schema in SCHEMAS.values() for field in fields(schema)} | {"experiment"}


def known_words() -> set[str]:
    """Options of groups, and every key that may stand below one."""
    words = set(inspect.signature(pl.Trainer).parameters)
    for path in CONF.rglob("*.yaml"):
        words |= {path.parent.name, path.stem}
        words |= set(re.findall(r"^ *([a-z_]+):", path.read_text(encoding="utf-8"), re.MULTILINE))
    return words
