"""What a process has used: seconds, processor time, memory. Linux tells all; others a part."""

import contextlib
import os
import re
import resource
import sys
import time
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
IMPORTED = time.perf_counter()


def process_seconds() -> float:
    """Seconds since this process started, imports and all; off Linux, since it imported this."""
    try:
        uptime = float((PROC / "uptime").read_text(encoding="utf-8").split()[0])
        return uptime - int(_stat(os.getpid())[19]) / TICKS
    except OSError:
        return time.perf_counter() - IMPORTED


def anonymous_mb() -> float:
    """This process's resident memory without mapped files, in MB; all of it off Linux."""
    try:
        return _status(os.getpid(), "RssAnon")
    except OSError:
        return peak_of_all_mb()


def forget_peak() -> None:
    """Let `peak_rss_mb` begin anew, where the system can: for a second training in a process."""
    with contextlib.suppress(OSError):
        (PROC / "self/clear_refs").write_text("5", encoding="utf-8")


def peak_rss_mb() -> float:
    """The most resident memory of this process since its start, or since `forget_peak`, in MB."""
    try:
        return _status(os.getpid(), "VmHWM")
    except OSError:
        return peak_of_all_mb()


def peak_of_all_mb() -> float:
    """The most resident memory of this process since its start, in MB, on any Unix."""
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes on macOS, KB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process and all below it, in MB, and how much of it is anonymous.

    What several of them share is counted for each.

    Raises:
        OSError: if there is no such process, or the system is not Linux.
    """
    family = [pid, *_below(pid)]
    resident = sum(_status(member, "VmRSS") for member in family)
    return resident, sum(_status(member, "RssAnon") for member in family)


def cpu_seconds() -> tuple[float, float]:
    """User and system seconds of this process and, on Linux, of all living ones below it."""
    own = os.times()
    user, system = own.user + own.children_user, own.system + own.children_system
    for member in _below(os.getpid()):
        try:
            stat = _stat(member)
        except OSError:  # it has just ended
            continue
        user, system = user + int(stat[11]) / TICKS, system + int(stat[12]) / TICKS
    return user, system


def _below(pid: int) -> list[int]:
    found = []
    for path in (PROC / str(pid) / "task").glob("*/children"):
        for child in map(int, path.read_text(encoding="utf-8").split()):
            found += [child, *_below(child)]
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold blanks."""
    return (PROC / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _status(pid: int, name: str) -> float:
    """A memory figure of /proc/PID/status in MB; 0 for a process that has just ended."""
    found = re.search(
        rf"^{name}:\s+(\d+) kB", (PROC / str(pid) / "status").read_text(encoding="utf-8"), re.M
    )
    return int(found[1]) / 1e3 if found else 0.0
