"""Training time: the speedrun, and what the benchmark measured."""

from pathlib import Path

import pandas as pd

KINDS = {  # of operators
    "convolutions": "convolution",
    "max poolings and filling their gradient with zeros": "max_pool2d|fill_",
}
BAR = "val age MAE of at most 6.40 years and gender accuracy of at least 88.97 %"


def speedrun_table(table: Path) -> str:
    """Seconds from the start of the process until the notebook's quality is met, in short.

    Args:
        table: `runs.csv`.
    """
    runs, reference = _speedruns(table)
    seconds, ratio = runs["seconds_to_notebook"], _ratio(runs, reference)
    met, n = seconds.notna().sum(), len(runs)
    by, times, bound = _reference(reference)
    lines = [
        f"| seconds from process start to {BAR} | seeds that met it | seconds | ratio |",
        "|---|---|---|---|",
        f"| the notebook's recipe in plain float32 PyTorch, a single seed | {by} | {times} | 1 |",
        f"| **`experiment=speedrun`**, mean ± sd | {met} of {n}"
        f" | **{seconds.mean():.0f}** ± {seconds.std():.0f}"
        f" | **{bound}{ratio.mean():.0f} times faster** ({ratio.min():.0f} to {ratio.max():.0f}) |",
    ]
    return "\n".join(lines)


def speedruns_table(table: Path) -> str:
    """The same, a row a run.

    Args:
        table: `runs.csv`.
    """
    runs, reference = _speedruns(table)
    lines = [
        "| run | epochs | val age MAE (years) | val gender accuracy | seconds to the bar"
        " | wall minutes in all | CPU minutes | peak anonymous memory (MB) |",
        f"|{'---|' * 8}",
    ]
    for run in pd.concat([reference, runs]).to_dict("records"):
        seconds = run["seconds_to_notebook"]
        reached = f"{seconds:.0f}" if pd.notna(seconds) else "not met"
        lines.append(
            f"| `experiment={run['experiment']}`, seed {run['seed']} | {run['epochs']}"
            f" | {run['val_age_mae']:.2f} | {run['val_gender_acc']:.2%} | {reached}"
            f" | {run['wall_minutes']:.1f} | {run['cpu_minutes']:.1f}"
            f" | {run['peak_anonymous_mb']:.0f} |"
        )
    return "\n".join(lines)


def _speedruns(table: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    runs = pd.read_csv(table)
    runs = runs[runs["split"] == "notebook"]  # the frontier's are of another
    of = {name: runs[runs["experiment"] == name] for name in ("speedrun", "speedrun_reference")}
    return of["speedrun"].sort_values("seed"), of["speedrun_reference"]


def _reference(reference: pd.DataFrame) -> tuple[str, str, str]:
    """Seeds that met the bar, their seconds, and what the ratio is if the reference did not."""
    seconds = reference["seconds_to_notebook"].iloc[0]
    if pd.notna(seconds):
        return "1 of 1", f"{seconds:.0f}", ""
    epochs, minutes = reference[["epochs", "wall_minutes"]].iloc[0]
    return "0 of 1", f"not within {epochs:.0f} epochs, {60 * minutes:.0f} s", "at least "


def _ratio(runs: pd.DataFrame, reference: pd.DataFrame) -> pd.Series:
    """How many times faster each run is; a lower bound where the reference did not get there."""
    seconds = reference["seconds_to_notebook"].fillna(60 * reference["wall_minutes"]).iloc[0]
    ratio: pd.Series = seconds / runs["seconds_to_notebook"]
    return ratio


def targets_table(table: Path) -> str:
    """What was aimed at for the seed network, and what was measured.

    Args:
        table: `benchmark.csv`.
    """
    rows = pd.read_csv(table)
    rows = rows[(rows["model"] == "cnn") & (rows["batch"] == 32)].set_index("way")
    ours = rows.loc["ours"]
    fast = str(ours["precision"]).startswith("bf16")
    lines = [
        "| seed network, batch 32 | target | measured | lowest to highest | |",
        "|---|---|---|---|---|",
    ]
    for way, title, least in (
        ("ceiling", "training rate over one constant batch", 0.97),
        ("bare", "over the same without Lightning", 0.97),
        ("textbook", "over the textbook's path", 3.5 if fast else 1.7),
        ("keras", "over Keras", 2.5),
    ):
        if way in rows.index:
            row = rows.loc[way]
            value = row["ours_over_way"]
            spread = f"{row['ours_over_way_lowest']:.2f} to {row['ours_over_way_highest']:.2f}"
            lines.append(
                f"| {title} | ≥ {least:g} | {value:.2f} | {spread} | {_met(bool(value >= least))} |"
            )
    for title, value, most, form in (
        ("cached start to first step, seconds", ours["start_s"], 6, "{:.1f}"),
        ("cache of the whole data set, seconds", ours["cache_s"], 60, "{:.1f}"),
        ("peak anonymous memory, MB", ours["peak_anonymous_mb"], 1200, "{:.0f}"),
    ):
        lines.append(
            f"| {title} | ≤ {most} | {form.format(value)} | | {_met(bool(value <= most))} |"
        )
    share = ours["share_of_peak"]
    lines.append(
        f"| share of the matrix-product peak ({ours['peak_gflops']:.0f} GFLOP/s) | ≥ 40 %"
        f" | {share:.0%} | | {_met(bool(share >= 0.4))} |"
    )
    return "\n".join(lines)


def _met(met: bool) -> str:
    return "met" if met else "**not met**"


def ways_table(table: Path) -> str:
    """Every way of every model.

    Args:
        table: `benchmark.csv`.
    """
    lines = [
        "| model | way | precision | training images/s | ours / way | inference images/s"
        " | user s | system s | resident MB | anonymous MB | start s |",
        f"|{'---|' * 11}",
    ]
    for row in pd.read_csv(table).to_dict("records"):
        first = row["first_start_s"]
        start = f"{row['start_s']:.1f}" + (f" (first: {first:.0f})" if pd.notna(first) else "")
        workers = f", {row['workers']:.0f} workers" if pd.notna(row["workers"]) else ""
        lines.append(
            f"| {row['model']} | {row['way']}{workers} | {row['precision']}"
            f" | {row['train_images_per_s']:.0f} | {row['ours_over_way']:.2f}"
            f" | {row['infer_images_per_s']:.0f} | {row['user_s']:.1f} | {row['sys_s']:.2f}"
            f" | {row['peak_rss_mb']:.0f} | {row['peak_anonymous_mb']:.0f} | {start} |"
        )
    return "\n".join(lines)


def backbones_table(table: Path) -> str:
    """What each backbone costs.

    Args:
        table: `benchmark.csv`.
    """
    rows = pd.read_csv(table)
    lines = [
        "| `model=` | input | parameters (million) | GFLOP a face | inference faces/s"
        " | training faces/s |",
        f"|{'---|' * 6}",
    ]
    for row in rows[rows["way"] == "ours"].to_dict("records"):
        lines.append(
            f"| `{row['model']}` | {row['image_size']} px | {row['parameters'] / 1e6:.2f}"
            f" | {row['infer_gflop_per_image']:.3f} | {row['infer_images_per_s']:.0f}"
            f" | {row['train_images_per_s']:.0f} |"
        )
    return "\n".join(lines)


def steps_table(table: Path) -> str:
    """What each means adds to a training step.

    Args:
        table: `benchmark_steps.csv`.
    """
    lines = [
        "| one constant batch of the seed network | training images/s | lowest to highest"
        " | over plain | user s | system s |",
        f"|{'---|' * 6}",
    ]
    for place, row in enumerate(pd.read_csv(table).to_dict("records")):
        lines.append(
            f"| {'and ' * (place > 0)}{row['way']} | {row['images_per_s']:.0f}"
            f" | {row['lowest']:.0f} to {row['highest']:.0f} | {row['over_plain']:.2f}"
            f" | {row['user_s']:.1f} | {row['sys_s']:.2f} |"
        )
    return "\n".join(lines)


def profile_table(table: Path, shown: int = 8) -> str:
    """The operators that take the most time, before and after.

    Args:
        table: `benchmark_profile.csv`.
        shown: operators of each way; what is left is summed.
    """
    rows = pd.read_csv(table)
    columns = []
    titles = ("before, as torch comes", "after, with all means")
    for title, (_, mine) in zip(titles, rows.groupby("way", sort=False), strict=True):
        total = mine["ms"].sum()
        top = mine.nlargest(shown, "ms")
        cells = [f"**{title}: {total:.0f} ms a step**"]
        for row in top.to_dict("records"):
            shape = f" ({row['shape']})" if isinstance(row["shape"], str) else ""
            cells.append(f"{row['ms'] / total:.0%} `{row['operator']}`{shape}")
        cells.append(f"{1 - top['ms'].sum() / total:.0%} all others")
        for what, pattern in KINDS.items():
            ms = mine["ms"][mine["operator"].str.contains(pattern)].sum()
            cells.append(f"in all {ms / total:.0%} {what}")
        columns.append(cells)
    before, after = columns
    lines = [f"| {before[0]} | {after[0]} |", "|---|---|"]
    lines += [f"| {a} | {b} |" for a, b in zip(before[1:], after[1:], strict=True)]
    return "\n".join(lines)


def costs_table(table: Path) -> str:
    """Images a second as the work grows; for the number of images memory too.

    Args:
        table: `benchmark_costs.csv`.
    """
    rows = pd.read_csv(table)
    titles = {
        "batch": "batch size",
        "size": "input size, pixels",
        "threads": "threads",
        "images": "images",
    }
    blocks = []
    for what, title in titles.items():
        mine = rows[rows["what"] == what]
        wide = mine.pivot_table(index="model", columns="value", values="images_per_s")
        lines = [
            f"| {title} | {' | '.join(f'{value:,}' for value in wide.columns)} |",
            f"|{'---|' * (len(wide.columns) + 1)}",
        ]
        for model, values in wide.iterrows():
            cells = " | ".join(f"{value:.0f}" for value in values)
            lines.append(f"| `{model}`, training images/s | {cells} |")
        if what == "images":
            memory = mine.groupby("value")["anonymous_mb"].max()
            lines.append(f"| anonymous MB | {' | '.join(f'{mb:.0f}' for mb in memory)} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def growth_table(table: Path) -> str:
    """Seconds of the steps beside training as a data set grows.

    Args:
        table: `benchmark_growth.csv`.
    """
    rows = pd.read_csv(table)
    lines = ["| step | faces | seconds | milliseconds a face |", "|---|---|---|---|"]
    for row in rows.to_dict("records"):
        each = 1000 * row["seconds"] / row["faces"]
        lines.append(f"| {row['what']} | {row['faces']:,} | {row['seconds']:.1f} | {each:.3f} |")
    return "\n".join(lines)
