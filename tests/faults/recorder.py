"""A row for each trial that a test of this folder has made, for docs/reliability.md."""

import csv
import os
from datetime import UTC, datetime
from pathlib import Path


def recorded(what: str, seed: int, outcome: str) -> None:
    """Append a row what, when, seed, outcome to the CSV that `AGEGENDER_FAULTS` names, if any."""
    place = os.environ.get("AGEGENDER_FAULTS")
    if not place:
        return
    new = not Path(place).exists()
    with Path(place).open("a", newline="") as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(["what", "when", "seed", "outcome"])
        rows.writerow([what, datetime.now(UTC).isoformat(timespec="seconds"), seed, outcome])
