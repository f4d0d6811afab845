"""What the way from a portrait to its answer keeps."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd


def geometry_table(table: Path) -> str:
    """Real crops, found and aligned again.

    Args:
        table: `portrait.csv`, as `agegender.geometry.check` has it.
    """
    lines = [
        "| the face is in | faces | found | other faces found | corners off, mean (95 % below) |"
        " off by the box alone | age MAE of the crops | age MAE through the portrait path |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in pd.read_csv(table).to_dict("records"):
        lines.append(
            f"| {row['scene']} | {row['faces']} | {row['found']:.1%}"
            f" | {row['others'] * row['faces']:.0f} | {row['shift']:.1f} ({row['shift_p95']:.1f})"
            f" | {row['shift_box']:.1f} | {row['mae_crops']:.2f} | {row['mae_portrait']:.2f} |"
        )
    return "\n".join(lines)


def export_table(tables: Sequence[Path]) -> str:
    """One network in its forms, on the same faces.

    Args:
        tables: `portrait_export.csv` and others, as `agegender.export.export` has them.
    """
    lines = [
        "| form | looks at a face | faces | age MAE (years) | gender accuracy |"
        " largest difference of an age from torch (years) | file (MB) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in pd.concat(pd.read_csv(table) for table in tables).to_dict("records"):
        lines.append(
            f"| {row['form']} | {row['looks']} | {row['n']} | {row['age_mae']:.3f}"
            f" | {row['gender_acc']:.1%} | {row['largest']:.5f} | {row['megabytes']:.1f} |"
        )
    return "\n".join(lines)


def speed_table(table: Path) -> str:
    """What each stage costs, by threads: the median, and the range of its measurements.

    Args:
        table: `portrait_speed.csv`, as `agegender.bench.portraits.measure` has it.
    """
    rows = pd.read_csv(table)
    threads = sorted(rows["threads"].unique())
    heads = [f"{n} thread{'s' if n > 1 else ''}: ms (range) | a second" for n in threads]
    lines = [f"| stage | of | {' | '.join(heads)} |", f"|{'---|' * (2 + 2 * len(threads))}"]
    for (stage, of), mine in rows.groupby(["stage", "of"], sort=False):
        cells = [
            f"{_ms(row)} | {row['per_s']:.3g}"
            for row in mine.sort_values("threads").to_dict("records")
        ]
        lines.append(f"| {stage} | {of} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ms(row: dict[Hashable, Any]) -> str:
    """Milliseconds, with their range where there is more than one measurement."""
    if row["lowest"] == row["highest"]:
        return f"{row['ms']:.0f} (once)"
    return f"{row['ms']:.1f} ({row['lowest']:.1f} to {row['highest']:.1f})"
