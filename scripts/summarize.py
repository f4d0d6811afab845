"""Sum up a sweep or a search: what varied against what came out of it.

Prints a table, means over seeds and the command that repeats the best trial, and writes
trials.csv, summary.csv and summary.png into the folder. A sweep does the same at its end.
"""

import argparse
import sys
from pathlib import Path

from agegender.errors import InputError
from agegender.sweeps.summary import summarize


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a sweep's folder, such as runs/sweep_DATE")
    try:
        print(summarize(parser.parse_args().folder))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
