"""How well the tests test."""

from pathlib import Path

import pandas as pd


def mutants_table(mutants: Path, survivors: Path) -> str:
    """The mutants of each module, and how many of them the tests killed.

    Args:
        mutants: `mutants.csv`: module, mutants, killed, survived, timeouts.
        survivors: `mutants_survivors.csv`, for how many of them are equivalent.
    """
    counts = pd.read_csv(mutants, index_col="module")
    same = pd.read_csv(survivors).groupby("module")["equivalent"].count()
    counts["equivalent"] = same.reindex(counts.index, fill_value=0)
    counts.loc["**all**"] = counts.sum()
    lines = [
        "| module | mutants | killed | timed out | survived | of them equivalent | found |",
        "|---|---|---|---|---|---|---|",
    ]
    for module, row in counts.iterrows():
        found = (row["killed"] + row["timeouts"]) / row["mutants"]
        lines.append(
            f"| {str(module).removeprefix('agegender.')} | {row['mutants']}"
            f" | {row['killed']} | {row['timeouts']} | {row['survived']} | {row['equivalent']}"
            f" | {found:.0%} |"
        )
    return "\n".join(lines)


def survivors_table(survivors: Path) -> str:
    """Survivors that do change what the program does, a row each.

    Args:
        survivors: `mutants_survivors.csv`: module, function, was, became, equivalent.
    """
    table = pd.read_csv(survivors, keep_default_na=False)
    table = table[table["equivalent"] == ""]
    lines = ["| module | function | was | became |", "|---|---|---|---|"]
    for row in table.to_dict("records"):
        was, became = (row[name].replace("|", "\\|") for name in ("was", "became"))
        module = row["module"].removeprefix("agegender.")
        lines.append(f"| {module} | `{row['function']}` | `{was}` | `{became}` |")
    return "\n".join(lines)


def coverage_table(coverage: Path) -> str:
    """All of `src/` together, and the ten files of which the tests run least.

    Args:
        coverage: `coverage.csv`: file, statements, missed, branches, partly, percent.
    """
    files = pd.read_csv(coverage)
    counts = ["statements", "missed", "branches", "partly"]
    weight = files["statements"] + files["branches"]
    total = files[counts].sum().to_dict()
    total["percent"] = (files["percent"] * weight).sum() / weight.sum()
    rows = [{"file": f"**all {len(files)} files**", **total}]
    rows += files.nsmallest(10, "percent").to_dict("records")
    lines = [
        "| file | statements | missed | branches | lines with a branch not taken | covered |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = " | ".join(f"{row[name]:,}" for name in counts)
        lines.append(f"| {row['file']} | {figures} | {row['percent']:.1f}% |")
    return "\n".join(lines)
