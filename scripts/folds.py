"""Gather the five folds of a multirun over data.fold=0,1,2,3,4 in one table.

Writes folds.csv (a row a fold) and out_of_fold.csv (a prediction for every face, by a network
that has not seen it) beside the runs.
"""

import argparse
import sys
from pathlib import Path

from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.folds import fold_lines, gather


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path, help="the multirun's folder, such as runs/sweep_DATE")
    sweep = parser.parse_args().sweep
    try:
        folds, predictions = gather(sweep)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, table in (("folds", folds), ("out_of_fold", predictions)):
        with whole_file(sweep / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    print(fold_lines(folds, predictions))
    print(f"written to {sweep}/folds.csv and out_of_fold.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
