"""Search for good settings with Optuna: `python scripts/search.py sweep=search data.archive=FILE`.

What is searched, how long and for what stands in conf/sweep/NAME.yaml, and can be overridden, as
in search.trials=50. Every other word is one of scripts/train.py. Each trial is a run in a folder
of its own; the study is kept in FOLDER/study.db. After a cut, the same command with the same --out
goes on: finished trials count, and one that was cut continues from its last checkpoint. Needs the
extra sweeps: pip install -e '.[sweeps]'.
"""

import argparse
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from agegender import cli
from agegender.errors import InputError
from agegender.sweeps import trial

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    name = f"search_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    parser.add_argument("--out", type=Path, default=Path("runs") / name, help="the search's folder")
    given, words = parser.parse_known_args()
    if any("=" not in word or word.startswith("-") for word in words):
        parser.error(f"{' '.join(words)}: neither an option of this script nor KEY=VALUE")
    cli.run(lambda: run(given.out, words))


def run(folder: Path, words: list[str]) -> None:
    if not find_spec("optuna"):
        raise InputError("a search needs Optuna: pip install -e '.[sweeps]'")
    from agegender.sweeps.records import read_trials
    from agegender.sweeps.search import search

    cli.tell_progress()
    trial.register()
    print(search(folder, words, composed))
    if any(one.status == "failed" for one in read_trials(folder)):
        sys.exit(1)


def composed(words: list[str]) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", words)


if __name__ == "__main__":
    main()
