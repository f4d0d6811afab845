"""What accuracy costs: `frontier.py RUN ...` writes frontier.csv and frontier.png.

Folders of finished trainings, of one test part; seeds of one recipe become one point. Answers are
timed here, so the machine should do nothing else.
"""

import argparse
import sys
from pathlib import Path

from agegender.bench.frontier import frontier, frontier_figure
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.provenance import made_by

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished trainings")
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each (9)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results", help="folder")
    given = parser.parse_args()
    try:
        table = frontier(given.runs, given.repeats)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with whole_file(given.out / "frontier.csv") as temporary:
        table.round(4).assign(**made_by()).to_csv(temporary, index=False)
    with whole_file(given.out / "frontier.png") as temporary:
        frontier_figure(table).savefig(temporary, format="png", dpi=120)
    print(table.round(3).to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
