"""Gather finished runs in docs/results/runs.csv and write the tables of README and docs."""

import argparse
import sys
from pathlib import Path

from agegender.errors import InputError
from agegender.results import record, record_paired, record_trials
from agegender.tables.published import published, put_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs to add")
    parser.add_argument(
        "--trials", nargs=2, metavar=("NAME", "FOLDER"), action="append", default=[],
        help="publish a sweep or a search as docs/results/NAME.csv and NAME.png",
    )  # fmt: skip
    parser.add_argument(
        "--paired", nargs=3, metavar=("NAME", "FOLDER", "KEY=VALUE"), action="append", default=[],
        help="publish a sweep's values of KEY against VALUE as docs/results/NAME_paired.csv",
    )  # fmt: skip
    given = parser.parse_args()
    try:
        for name, folder in given.trials:
            record_trials(Path(folder), name, RESULTS)
        for name, folder, choice in given.paired:
            record_paired(Path(folder), name, choice, RESULTS)
        print(f"{record(given.runs, RESULTS / 'runs.csv')} rows added to {RESULTS / 'runs.csv'}")
        for (document, name), table in published(RESULTS).items():
            put_table(ROOT / document, name, table)
            print(f"{document}: {name}")
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
