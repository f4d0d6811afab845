"""What the way from a portrait to its answer keeps."""

from pathlib import Path

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


def export_table(table: Path) -> str:
    """One network in its forms, on the same faces.

    Args:
        table: `portrait_export.csv`, as `agegender.export.export` has it.
    """
    lines = [
        "| form | faces | age MAE (years) | gender accuracy |"
        " largest difference of an age (years) | file (MB) |",
        "|---|---|---|---|---|---|",
    ]
    for row in pd.read_csv(table).to_dict("records"):
        lines.append(
            f"| {row['form']} | {row['n']} | {row['age_mae']:.3f} | {row['gender_acc']:.1%}"
            f" | {row['largest']:.5f} | {row['megabytes']:.1f} |"
        )
    return "\n".join(lines)
