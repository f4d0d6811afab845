"""The ordering end of a benchmark: one process a way, all alive, one of them working at a time."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.errors import InputError
from agegender.usage import memory_mb

# the seed notebook's recipe has no augmentation, and the constant batch cannot have any
SAME = ("augment=none", "seed=1")
LOOK_EVERY = 0.25  # seconds between two looks at a working process: a look costs it time


class Process:
    """A way's process, from its start to its first step and then from order to order.

    Args:
        command: what to run; `FD` in it becomes the number of the pipe.
        log: where it may write what it says.
        env: environment variables beside this process's own.

    Attributes:
        start: what it said after the first step: start_s, and facts of its own.
        peak_rss_mb: most resident memory seen; what several processes share counts for each.
        peak_anonymous_mb: most of it without mapped files.

    Raises:
        InputError: if it ends before its first step, with the end of what it said.
    """

    def __init__(self, command: Sequence[str], log: Path, env: dict[str, str] | None = None):
        self.log, self.name = log, log.stem.rpartition("_")[0]
        self.peak_rss_mb = self.peak_anonymous_mb = 0.0
        self._connection, theirs = Pipe()
        words = [word.replace("FD", str(theirs.fileno())) for word in command]
        with log.open("w", encoding="utf-8") as said:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **(env or {})},
            )
        theirs.close()
        self.start = self._answer()

    def ask(self, order: Any) -> dict[str, Any]:
        """Give an order, wait for it to be done, and return what it took."""
        self._connection.send(order)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        while not self._connection.poll(LOOK_EVERY):
            try:
                resident, anonymous = memory_mb(self._process.pid)
            except OSError:
                continue
            self.peak_rss_mb = max(self.peak_rss_mb, resident)
            self.peak_anonymous_mb = max(self.peak_anonymous_mb, anonymous)
        try:
            answer: dict[str, Any] = self._connection.recv()
        except EOFError:
            said = self.log.read_text(encoding="utf-8").strip().splitlines()
            raise InputError(f"{self.name} ended early: {' / '.join(said[-3:])}") from None
        return answer

    def end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()


class Bench:
    """Starts the processes of one benchmark and ends them all.

    Args:
        root: the project's folder, with its scripts.
        words: what every training is told, as on the command line of `scripts/train.py`.
        seconds: how long a block of steps lasts.
        folder: for whatever the processes write.
    """

    def __init__(self, root: Path, words: Sequence[str], seconds: float, folder: Path) -> None:
        self.root, self.words, self.seconds, self.folder = root, words, seconds, folder
        self._started = ExitStack()
        self._count = 0

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def start(self, name: str, *more: str, env: dict[str, str] | None = None) -> Process:
        """A process that `scripts/benchmark.py` makes for a way, or the project's own training."""
        words = [*SAME, *self.words, f"output_dir={self.folder / str(self._count)}"]
        if name == "ours":
            pacer = [
                "+callbacks.pacer._target_=agegender.bench.pacer.Pacer",
                "+callbacks.pacer.fd=FD",
                f"+callbacks.pacer.seconds={self.seconds}",
                "trainer.max_epochs=1000",
            ]
            command = [str(self.root / "scripts/train.py"), *words, *pacer, *more]
        else:
            own = ["--way", name, "--fd", "FD", "--seconds", str(self.seconds)]
            command = [str(self.root / "scripts/benchmark.py"), *own, *words, *more]
        return self.run(name, [sys.executable, *command], env)

    def run(self, name: str, command: Sequence[str], env: dict[str, str] | None = None) -> Process:
        """A process of any kind that takes orders."""
        process = Process(command, self.folder / f"{name}_{self._count}.log", env)
        self._count += 1
        self._started.callback(process.end)
        return process


def rounds(
    ways: dict[str, Process], peak: Process, repeats: int, orders: Sequence[str]
) -> pd.DataFrame:
    """Give every way every order again and again, in an order that turns.

    The first round warms up and is not kept.

    Returns:
        A row a block: round, way, order, images, seconds, user_s, sys_s, load (1-minute load
        average before it), and for the way `peak` bf16 and fp32 (GFLOP/s) and copy (GB/s).
    """
    rows = []
    names = list(ways)
    for turn in range(repeats + 1):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            for order in orders:
                load = os.getloadavg()[0]
                answer = ways[name].ask(order)
                rows.append({"round": turn, "way": name, "order": order, "load": load, **answer})
        rows.append({"round": turn, "way": "peak", "order": "peak", **peak.ask("peak")})
        tell(f"  round {turn} of {repeats}")
    table = pd.DataFrame(rows)
    return table[table["round"] > 0]


def tell(line: str) -> None:
    """Progress, on the error stream."""
    print(line, file=sys.stderr, flush=True)
