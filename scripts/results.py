"""Gather finished runs in docs/results/runs.csv and write the README's result table."""

import argparse
import sys
from pathlib import Path

from agegender.errors import InputError
from agegender.results import put_table, record, reproduction_table

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/results/runs.csv"
KERAS = ROOT / "docs/results/keras_control.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs to add")
    runs = parser.parse_args().runs
    try:
        print(f"{record(runs, TABLE)} rows added to {TABLE}")
        table = reproduction_table(TABLE, KERAS)
        put_table(ROOT / "README.md", "reproduction", table)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(table)


if __name__ == "__main__":
    main()
