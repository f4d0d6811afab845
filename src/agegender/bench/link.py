"""The measuring end of a benchmark: waits for orders, works, says what it took."""

import time
from multiprocessing.connection import Connection
from typing import Any

from agegender.usage import cpu_seconds, process_seconds


class Stopwatch:
    """Runs from the moment it is made."""

    def __init__(self) -> None:
        self._cpu, self._wall = cpu_seconds(), time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._wall

    def read(self) -> dict[str, float]:
        """Seconds of wall, user and system time so far."""
        seconds = self.seconds()
        user, system = (now - then for now, then in zip(cpu_seconds(), self._cpu, strict=True))
        return {"seconds": seconds, "user_s": user, "sys_s": system}


class Link:
    """A pipe to the process that orders.

    Args:
        fd: the pipe's number, inherited from that process.
    """

    def __init__(self, fd: int) -> None:
        self._connection = Connection(fd)

    def ready(self, **facts: Any) -> None:
        """Say that the first step is done."""
        self._connection.send({"start_s": process_seconds(), **facts})

    def order(self) -> Any:
        """Wait for the next order.

        Raises:
            EOFError: if there will be none.
        """
        return self._connection.recv()

    def answer(self, images: int, watch: Stopwatch, **more: Any) -> None:
        self._connection.send({"images": images, **watch.read(), **more})
