"""Compare ways to train the same network, side by side in one run.

    python scripts/benchmark.py data.archive=UTKFace.tar.gz

For every backbone: this project's own scripts/train.py, the same step on one constant batch, the
same batches without Lightning, a textbook's data path in float32, and the seed notebook in Keras if
there is a Python with TensorFlow (--keras; an environment of its own, since TensorBoard loads
TensorFlow where it finds it, and starts later). All their processes live at once, and take turns.
Then, step by step, what each means of this project does for a training step, and where its time
goes before and after; what training costs with larger batches, larger pictures, more threads and
more images; and what the rest costs as a data set grows. Every other word is one of
scripts/train.py, and goes to all of them. Needs Linux and a machine that does nothing else.

Writes benchmark.csv (ways), benchmark_steps.csv and benchmark_profile.csv (steps),
benchmark_costs.csv (costs), benchmark_growth.csv (growth), and figures of ways and costs.
"""

import argparse
import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from agegender import cli, config

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = sorted(path.stem for path in (ROOT / "conf/model").glob("*.yaml"))
    add = parser.add_argument
    add("--models", nargs="+", default=every, choices=every, help="default: all of conf/model")
    add("--repeats", type=int, default=5, help="rounds that count (5)")
    add("--seconds", type=float, default=5.0, help="length of a block of training steps (5)")
    add("--only", choices=["ways", "steps", "costs", "growth"], help="a part of it")
    add("--keras", metavar="PYTHON", help="one that has TensorFlow; default: this one, if it has")
    add("--out", type=Path, default=ROOT / "docs/results", help="folder (docs/results)")
    for name, kind in {"way": str, "fd": int, "workers": int}.items():
        add(f"--{name}", type=kind, help=argparse.SUPPRESS)  # the benchmark's own processes
    given, words = parser.parse_known_args()
    if any("=" not in word for word in words):
        parser.error(f"{' '.join(words)}: neither an option of this script nor KEY=VALUE")
    cli.run(lambda: work(given, words) if given.way else order(given, words))


def composed(words: list[str]) -> DictConfig:
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", words)


def order(given: argparse.Namespace, words: list[str]) -> None:
    from agegender.bench.rounds import SAME
    from agegender.bench.run import benchmark

    benchmark(ROOT, given, words, composed([*words, *SAME, "output_dir=unused"]))


def work(given: argparse.Namespace, words: list[str]) -> None:
    """Be one of the benchmark's own processes."""
    from agegender.bench.link import Link

    link = Link(given.fd)
    try:
        from agegender.bench import ways

        ways.work(given.way, link, composed(words), given.seconds, given.workers)
    except EOFError:  # there are no more orders
        sys.exit(0)


if __name__ == "__main__":
    main()
