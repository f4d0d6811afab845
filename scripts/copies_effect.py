"""What copies in the train part are worth: runs with and without them, on the same test faces.

    python scripts/copies_effect.py --given RUN ... --removed RUN ...

writes docs/results/copies_effect.csv, a row a pair of runs in the order they are named.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from agegender.data.files import whole_file
from agegender.effect import copies_effect
from agegender.errors import InputError

TABLE = Path(__file__).parents[1] / "docs/results/copies_effect.csv"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--given", nargs="+", type=Path, required=True, help="runs with copies")
    parser.add_argument("--removed", nargs="+", type=Path, required=True, help="runs without")
    words = parser.parse_args()
    if len(words.given) != len(words.removed):
        parser.error("--given and --removed need as many runs as each other")
    try:
        pairs = zip(words.given, words.removed, strict=True)
        table = pd.DataFrame([copies_effect(given, removed) for given, removed in pairs])
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with whole_file(TABLE) as temporary:
        table.to_csv(temporary, index=False)
    print(table.T.to_string(header=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
