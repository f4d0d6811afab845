"""A row for each trial that a test of this folder has made."""

import csv
import fcntl
import io
import os
from datetime import UTC, datetime

COLUMNS = ("what", "when", "seed", "outcome")


def recorded(what: str, seed: int, outcome: str) -> None:
    """Append a trial to the CSV that AGEGENDER_FAULTS names; without that variable, do nothing.

    Several processes may write to one file: a row is one write at its end, under a lock.
    """
    place = os.environ.get("AGEGENDER_FAULTS")
    if not place:
        return
    row = io.StringIO()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    csv.writer(row, lineterminator="\n").writerow((what, when, seed, outcome))
    with open(place, "ab", buffering=0) as table:
        fcntl.flock(table, fcntl.LOCK_EX)
        header = ",".join(COLUMNS) + "\n" if table.seek(0, os.SEEK_END) == 0 else ""
        table.write((header + row.getvalue()).encode(errors="backslashreplace"))
