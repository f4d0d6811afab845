"""How well the tests test: what coverage.py and mutmut found, as rows for docs/results."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from agegender.errors import InputError

# what mutmut says of a mutant that no test runs, and the like, -> a column
COUNTED = {
    "killed": "killed",
    "survived": "survived",
    "no tests": "survived",
    "timeout": "timeouts",
}
WHERE = ["module", "function", "was", "became"]  # which mutant it is, whatever its number


def coverage_rows(report: Path) -> pd.DataFrame:
    """A row a file, the least covered first.

    Args:
        report: what `coverage json` writes, with branches.

    Returns:
        file, its statements and those missed, its branches, the lines whose branches were only
        partly taken, and the percentage of statements and branches together that was run.
    """
    rows = [
        {
            "file": file,
            "statements": found["summary"]["num_statements"],
            "missed": found["summary"]["missing_lines"],
            "branches": found["summary"]["num_branches"],
            "partly": found["summary"]["num_partial_branches"],
            "percent": round(found["summary"]["percent_covered"], 2),
        }
        for file, found in json.loads(report.read_text(encoding="utf-8"))["files"].items()
    ]
    return pd.DataFrame(rows).sort_values(["percent", "file"])


def mutant_rows(results: str) -> pd.DataFrame:
    """A row a module: its mutants, and how many were killed, survived and took too long.

    Args:
        results: what `mutmut results --all true` says, a line a mutant.

    Raises:
        InputError: if a mutant was not tried to the end.
    """
    found = [line.strip().rpartition(": ") for line in results.splitlines() if ": " in line]
    odd = [(name, status) for name, _, status in found if status not in COUNTED]
    if odd:
        raise InputError(f"mutmut says {odd[0][1]!r} of {odd[0][0]}: run `make mutants` again")
    table = pd.DataFrame(
        {
            "module": [_place(name)[0] for name, _, _ in found],
            "what": [COUNTED[status] for _, _, status in found],
        }
    )
    counts = pd.crosstab(table["module"], table["what"])
    counts = counts.reindex(columns=["killed", "survived", "timeouts"], fill_value=0)
    counts.insert(0, "mutants", counts.sum(axis=1))
    return counts.reset_index()


def survivor_rows(results: str, show: Callable[[str], str], known: pd.DataFrame) -> pd.DataFrame:
    """A row a mutant that no test kills: the line as it was and as it became.

    Args:
        results: as for `mutant_rows`.
        show: the diff of a mutant by its name, as `mutmut show` prints it.
        known: earlier rows; what they say of why a mutant is `equivalent` is kept.
    """
    rows = []
    for line in results.splitlines():
        name, _, status = line.strip().rpartition(": ")
        if COUNTED.get(status) == "survived":
            rows.append([*_place(name), *_change(show(name))])
    found = pd.DataFrame(rows, columns=WHERE)
    return found.merge(known.drop_duplicates(WHERE), how="left", on=WHERE)


def _place(name: str) -> tuple[str, str]:
    """`agegender.a.xǁBǁc__mutmut_1` -> ("agegender.a", "B.c")."""
    module, _, function = name.partition("__mutmut_")[0].rpartition(".")
    return module, function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")


def _change(diff: str) -> tuple[str, str]:
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    was, became = ([line[1:].strip() for line in lines if line.startswith(s)] for s in "-+")
    return " ".join(was), " ".join(became)
