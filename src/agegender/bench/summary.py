"""From measured blocks to published rows and a figure."""

import pandas as pd
from matplotlib.figure import Figure

COLUMNS = [
    "date", "commit", "command", "cpu", "threads", "torch", "load", "model", "image_size", "batch",
    "way", "precision", "workers", "repeats", "train_images_per_s", "train_lowest",
    "train_highest", "ours_over_way", "ours_over_way_lowest", "ours_over_way_highest",
    "infer_images_per_s", "infer_ours_over_way", "user_s", "sys_s", "peak_rss_mb",
    "peak_anonymous_mb", "start_s", "first_start_s", "cache_s", "parameters",
    "gflop_per_image", "infer_gflop_per_image",
    "peak_gflops", "copy_gb_per_s", "share_of_peak",
]  # fmt: skip
NAMES = {
    "textbook": "textbook: files, float32",
    "ours": "scripts/train.py",
    "ceiling": "one constant batch",
    "bare": "without Lightning",
    "keras": "Keras",
}
OURS, OTHER = "#0072B2", "#BBBBBB"


def way_rows(blocks: pd.DataFrame, facts: dict[str, dict[str, object]]) -> list[dict[str, object]]:
    """A row a way.

    Args:
        blocks: as `agegender.bench.rounds.rounds` returns them.
        facts: what is known of each way beside that, by its name: precision, gflop_per_image ...

    Returns:
        Rows with rates that are medians over the rounds, and ratios that are medians of the
        rounds' own ratios, so that what slows a whole round down does not count. user_s and
        sys_s are seconds of processor time for 1,000 training images.
    """
    by = {order: rates(blocks, order) for order in ("train", "infer")}
    tops = blocks[blocks["way"] == "peak"]
    rows = []
    for way, about in facts.items():
        train, infer = by["train"][way], by["infer"][way]
        ratio = by["train"]["ours"] / train
        mine = blocks[(blocks["way"] == way) & (blocks["order"] == "train")]
        top = float(tops["bf16" if str(about["precision"]).startswith("bf16") else "fp32"].max())
        gflops = float(train.median()) * float(str(about["gflop_per_image"]))
        rows.append(
            {
                **about,
                "way": way,
                "repeats": len(train),
                "load": mine["load"].median(),
                "train_images_per_s": train.median(),
                "train_lowest": train.min(),
                "train_highest": train.max(),
                "ours_over_way": ratio.median(),
                "ours_over_way_lowest": ratio.min(),
                "ours_over_way_highest": ratio.max(),
                "infer_images_per_s": infer.median(),
                "infer_ours_over_way": (by["infer"]["ours"] / infer).median(),
                **processor_seconds(mine),
                "peak_gflops": top,
                "copy_gb_per_s": tops["copy"].max(),
                "share_of_peak": gflops / top,
            }
        )
    return rows


def rates(blocks: pd.DataFrame, order: str) -> pd.DataFrame:
    """Images a second of an order: a row a round, a column a way."""
    mine = blocks[blocks["order"] == order]
    rate = mine.assign(rate=mine["images"] / mine["seconds"])
    by_round: pd.DataFrame = rate.pivot_table(index="round", columns="way", values="rate")
    return by_round


def processor_seconds(blocks: pd.DataFrame) -> dict[str, float]:
    """user_s and sys_s for 1,000 images."""
    return {
        name: 1000 * blocks[name].sum() / blocks["images"].sum() for name in ("user_s", "sys_s")
    }


def summary(table: pd.DataFrame) -> str:
    """The main columns of `benchmark.csv` for a terminal."""
    head = (
        f"{'model':<10}{'way':<10}{'train/s':>9}{'ours/way':>10}{'infer/s':>9}{'MB':>7}{'start':>8}"
    )
    lines = [
        f"{row['model']:<10}{row['way']:<10}{row['train_images_per_s']:>9.0f}"
        f"{row['ours_over_way']:>10.3f}{row['infer_images_per_s']:>9.0f}"
        f"{row['peak_anonymous_mb']:>7.0f}{row['start_s']:>6.1f} s"
        for row in table.to_dict("records")
    ]
    return "\n".join([head, *lines])


def ways_figure(table: pd.DataFrame) -> Figure:
    """Training images a second of each way, a panel a model, two panels a row.

    Args:
        table: rows of `benchmark.csv`.
    """
    models = list(table["model"].unique())
    columns = min(2, len(models))
    lines = -(-len(models) // columns)
    figure = Figure(figsize=(4.8 * columns, 2.8 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(models) :]:
        axes.remove()
    for axes, model in zip(panels, models, strict=False):
        mine = table[table["model"] == model].sort_values("train_images_per_s")
        names = [NAMES[way] for way in mine["way"]]
        rate = mine["train_images_per_s"]
        spread = [rate - mine["train_lowest"], mine["train_highest"] - rate]
        colours = [OURS if way == "ours" else OTHER for way in mine["way"]]
        axes.barh(names, rate, xerr=spread, color=colours, error_kw={"ecolor": "#444444"})
        for place, (value, high) in enumerate(zip(rate, mine["train_highest"], strict=True)):
            axes.text(high, place, f"  {value:.0f}", va="center", fontsize=9)
        axes.set_xlim(0, 1.2 * mine["train_highest"].max())
        axes.set_xlabel("training images/s: median, lowest, highest", fontsize=9)
        axes.set_title(f"model={model}, batch {mine['batch'].iloc[0]}", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def costs_figure(table: pd.DataFrame) -> Figure:
    """Images a second against batch size, input size, threads and number of images.

    Args:
        table: rows of `benchmark_costs.csv`: what, value, model, images_per_s, lowest, highest.
    """
    titles = {
        "batch": "batch size",
        "size": "input size (pixels)",
        "threads": "threads",
        "images": "number of images",
    }
    figure = Figure(figsize=(9.2, 5.6), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    for axes, (what, title) in zip(panels, titles.items(), strict=True):
        for (model, mine), colour in zip(
            table[table["what"] == what].groupby("model"),
            (OURS, "#D55E00", "#009E73"),
            strict=False,
        ):
            mine = mine.sort_values("value")
            axes.plot(mine["value"], mine["images_per_s"], "o-", color=colour, label=str(model))
            axes.fill_between(
                mine["value"], mine["lowest"], mine["highest"], color=colour, alpha=0.2, lw=0
            )
        axes.set_xlabel(title)
        axes.set_ylabel("training images/s")
        axes.set_ylim(0, 1.08 * table.loc[table["what"] == what, "highest"].max())
        if what != "threads":
            axes.set_xscale("log", base=10 if what == "images" else 2)
        values = sorted(table.loc[table["what"] == what, "value"].unique())
        names = [f"{v / 1000:.3g}k" if what == "images" else str(v) for v in values]
        axes.set_xticks(values, names, fontsize=8)
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    return figure
