"""Published sweeps and searches, from what `scripts/summarize.py` says of each trial."""

from pathlib import Path

import pandas as pd

from agegender.sweeps.summary import METRICS, mean_and_spread, over_seeds


def sweep_table(table: Path, keys: list[str]) -> str:
    """Mean and spread over seeds, the best age MAE on validation first.

    Args:
        table: `trials.csv` of a sweep, as published.
        keys: what varies beside the seed.
    """
    rows = pd.read_csv(table)
    head = [*(f"`{key}=`" for key in keys), "seeds", *METRICS.values(), "CPU minutes"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in over_seeds(rows, keys).to_dict("records"):
        cells = [*(str(row[key]) for key in keys), str(row["n"])]
        for name in METRICS:
            form = "{:.1%}" if "acc" in name else "{:.2f}"
            cells.append(mean_and_spread(row[name], row[f"{name}_sd"], form))
        lines.append(f"| {' | '.join([*cells, '{:.1f}'.format(row['cpu_minutes'])])} |")
    failed = rows[rows["status"] == "failed"].to_dict("records")
    return "\n".join([*lines, *(f"\nFailed: `{row['trial']}`: {row['reason']}" for row in failed)])


def paired_table(table: Path) -> str:
    """The values of a choice against one of them, on the same validation faces.

    Args:
        table: what `scripts/results.py --paired` writes.
    """
    rows = pd.read_csv(table)
    key = rows.columns[0]
    head = [f"`{key}=`", "seeds", "val age MAE", "difference (95 %)"]
    head += ["val gender accuracy", "difference (95 %)", "CPU minutes"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows.to_dict("records"):
        cells = [f"`{row[key]}`", str(row["seeds"])]
        for name, form, scale in (("age_mae", "{:.2f}", 1), ("gender_acc", "{:.1%}", 100)):
            cells.append(mean_and_spread(row[name], row[f"{name}_sd"], form))
            change, low, high = (scale * row[f"{name}_{end}"] for end in ("change", "lo", "hi"))
            same = low == high == 0  # the reference itself
            cells.append("" if same else f"{change:+.2f} ({low:+.2f} to {high:+.2f})")
        lines.append(f"| {' | '.join([*cells, '{:.1f}'.format(row['cpu_minutes'])])} |")
    return "\n".join(lines)


def search_table(table: Path, shown: int = 8) -> str:
    """The best trials of a search by age MAE on validation, and how many there were of each end.

    Args:
        table: `trials.csv` of a search, as published.
        shown: how many trials.
    """
    rows = pd.read_csv(table)
    keys = [str(key) for key in rows.columns[1 : rows.columns.get_loc("status")]]
    head = ["trial", *(f"`{key}`" for key in keys), "val age MAE", "val gender accuracy", "CPU min"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    best = rows[rows["status"] == "finished"].nsmallest(shown, "val/age_mae")
    for row in best.to_dict("records"):
        values = [f"{row[k]:.4g}" if isinstance(row[k], float) else str(row[k]) for k in keys]
        cells = [str(row["trial"]).partition("_")[0], *values, f"{row['val/age_mae']:.2f}"]
        cells += [f"{row['val/gender_acc']:.1%}", f"{row['cpu_minutes']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    counts = rows["status"].value_counts()
    told = ", ".join(f"{n} {status}" for status, n in counts.items())
    return "\n".join([*lines, "", f"{len(rows)} trials: {told}. Each is a single seed."])
