"""Write what was found about the tests: docs/results/coverage.csv or mutants.csv.

    python scripts/tested.py coverage REPORT.json
    python scripts/tested.py mutants

Called by make coverage and make mutants, after coverage.py and mutmut have run.
"""

import argparse
from pathlib import Path

import pandas as pd

from agegender import cli
from agegender.data.files import whole_file
from agegender.tested import WHERE, coverage_rows, mutant_rows, survivor_rows

ROOT = Path(__file__).parents[1]


def mutmut(*words: str) -> str:
    """What mutmut prints; in this process, since it is asked of each survivor."""
    from click.testing import CliRunner
    from mutmut.__main__ import cli as asked

    return CliRunner().invoke(asked, words, catch_exceptions=False).output


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["coverage", "mutants"])
    parser.add_argument("report", nargs="?", type=Path, help="what coverage json wrote")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results", help="folder")
    given = parser.parse_args()
    if given.what == "coverage":
        tables = {"coverage": coverage_rows(given.report)}
    else:
        results, earlier = mutmut("results", "--all", "true"), given.out / "mutants_survivors.csv"
        known = pd.DataFrame(columns=[*WHERE, "equivalent"], dtype=str)
        if earlier.is_file():
            known = pd.read_csv(earlier, dtype=str, keep_default_na=False)
        survivors = survivor_rows(results, lambda name: mutmut("show", name), known)
        tables = {"mutants": mutant_rows(results), "mutants_survivors": survivors}
    for name, table in tables.items():
        with whole_file(given.out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
        print(f"{given.out / name}.csv: {len(table)} rows")


if __name__ == "__main__":
    cli.run(main)
