"""Where a figure comes from: code, machine and library versions."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch


def provenance() -> dict[str, str | int]:
    """date, commit, command, cpu, threads and the versions of what matters."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": " ".join(["python", *map(shlex.quote, sys.argv)]),
        "cpu": cpu(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("agegender", "torch", "torchvision", "lightning")},
    }


def made_by() -> dict[str, str | int]:
    """What of it stands in every row of a published table."""
    about = provenance()
    return {name: about[name] for name in ("date", "commit", "command", "cpu", "threads", "torch")}


@cache
def commit() -> str:
    """The source tree's commit when first asked, with a + if tracked files differ.

    Later changes of the tree are not what this process runs. Empty outside a checkout.
    """

    def git(*words: str) -> str:
        where = Path(__file__).parent
        done = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if head and git("status", "--porcelain", "-uno") else "")
    except OSError:  # no git on this machine
        return ""


def cpu() -> str:
    """The processor's name and how many of its cores this process may use."""
    names = []
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.processor()}, {cores} cores"
