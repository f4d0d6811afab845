"""Published sweeps and searches, from what `scripts/summarize.py` says of each trial."""

from pathlib import Path

import pandas as pd


def sweep_table(table: Path, keys: list[str]) -> str:
    """Mean and spread over seeds.

    Args:
        table: `trials.csv` of a sweep, as published.
        keys: what varies beside the seed.
    """
    rows = pd.read_csv(table)
    done = rows[rows["status"] == "finished"]
    head = [f"`{key}=`" for key in keys]
    lines = [
        f"| {' | '.join(head)} | seeds | val age MAE (years) | val gender accuracy"
        " | test age MAE (years) | test gender accuracy | CPU minutes |",
        f"|{'---|' * (len(keys) + 6)}",
    ]
    groups = [(group, mine) for group, mine in done.groupby(keys)]
    for values, mine in sorted(groups, key=lambda pair: pair[1]["val/age_mae"].mean()):
        cells = [str(value) for value in values]
        cells.append(str(len(mine)))
        for part in ("val", "test"):
            mae, gender = 1 * mine[f"{part}/age_mae"], 100 * mine[f"{part}/gender_acc"]
            cells += [f"{mae.mean():.2f} ± {mae.std():.2f}"]
            cells += [f"{gender.mean():.1f} ± {gender.std():.1f} %"]
        cells.append(f"{mine['cpu_minutes'].mean():.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    failed = rows[rows["status"] == "failed"]
    lines += [f"\nFailed: `{row['trial']}`: {row['reason']}." for _, row in failed.iterrows()]
    return "\n".join(lines)


def search_table(table: Path, shown: int = 8) -> str:
    """The best trials of a search by age MAE on validation, and how many there were of each end.

    Args:
        table: `trials.csv` of a search, as published.
        shown: how many trials.
    """
    rows = pd.read_csv(table)
    keys = list(rows.columns[1 : list(rows.columns).index("status")])
    best = rows[rows["status"] == "finished"].nsmallest(shown, "val/age_mae")
    lines = [
        f"| trial | {' | '.join(f'`{key}`' for key in keys)} | val age MAE (years)"
        " | val gender accuracy | CPU minutes |",
        f"|{'---|' * (len(keys) + 4)}",
    ]
    for _, row in best.iterrows():
        values = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row[keys]]
        cells = [str(row["trial"]).partition("_")[0], *values, f"{row['val/age_mae']:.2f}"]
        cells += [f"{row['val/gender_acc']:.1%}", f"{row['cpu_minutes']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    counts = rows["status"].value_counts()
    told = ", ".join(f"{n} {status}" for status, n in counts.items())
    return "\n".join([*lines, "", f"{len(rows)} trials: {told}. Each is a single seed."])
