"""Gather finished runs in docs/results/runs.csv and write the tables of README and docs."""

import argparse
import sys
from pathlib import Path

from agegender.errors import InputError
from agegender.results import record
from agegender.tables.published import published, put_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs to add")
    runs = parser.parse_args().runs
    try:
        print(f"{record(runs, RESULTS / 'runs.csv')} rows added to {RESULTS / 'runs.csv'}")
        for (document, name), table in published(RESULTS).items():
            put_table(ROOT / document, name, table)
            print(f"{document}: {name}")
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
