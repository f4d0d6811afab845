"""Make a finished training's best weights those that come with the package: `ship.py RUN`."""

import argparse
import sys
from pathlib import Path

from agegender.checkpoint import SHIPPED_FILE
from agegender.errors import InputError
from agegender.ship import ship


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the folder of the training")
    parser.add_argument("--to", type=Path, default=SHIPPED_FILE, help="the file to write")
    given = parser.parse_args()
    try:
        about = ship(given.run, given.to)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    test = about["metrics"].get("test", {})
    print(f"written to {given.to}: {given.to.stat().st_size / 1e6:.1f} MB", end="")
    print(f", test age MAE {test['age_mae']:.3f} years" if test else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
