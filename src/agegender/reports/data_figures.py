"""What is in a data set, as figures; one colour a gender throughout."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from agegender.figures import FEMALE, GENDERS, MALE, TRAIN, VAL, bare
from agegender.reports.data_tables import race_names

COLOURS = {"male": MALE, "female": FEMALE}
PARTS = {"train": TRAIN, "val": VAL, "test": "#CC79A7"}
SMOOTH = 2.0  # years: standard deviation of the density's kernel
PAIRED = 1500  # faces of each gender in the pair plot: more hide each other
FEW = 10  # faces below which a violin would be made up
UNITS = {
    "age_years": "age (years)",
    "brightness": "brightness (0-255)",
    "contrast": "contrast (0-255)",
    "sharpness": "log10 sharpness",
}


def ages(faces: pd.DataFrame) -> Figure:
    """Histogram of age by gender, with a density curve over each."""
    figure, axes = _one(10, 4.4)
    edges = np.arange(0, faces["age_years"].max() + 2)
    for name in GENDERS:
        mine = faces.loc[faces["gender_name"] == name, "age_years"].to_numpy()
        label = f"{name} (n = {len(mine):,})"
        axes.hist(mine, list(edges), color=COLOURS[name], alpha=0.4, label=label)
        axes.plot(edges, density(mine, edges) * len(mine), color=COLOURS[name], linewidth=1.8)
    axes.set(
        title=f"Age by gender; curves: density, Gaussian kernel of {SMOOTH:g} years",
        xlabel="annotated age (years)",
        ylabel="faces a year of age",
        xlim=(0, edges[-1]),
    )
    axes.legend(frameon=False)
    return figure


def density(
    values: npt.NDArray[np.floating], at: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Gaussian kernel density, mirrored at 0 because no age is below it; per year."""
    years, n = np.unique(values.astype(np.float64), return_counts=True)
    apart = np.asarray(at, dtype=np.float64)[:, None] - np.concatenate([years, -years])
    weight = np.concatenate([n, n]) / max(len(values), 1)
    kernel = np.exp(-0.5 * (apart / SMOOTH) ** 2) / (SMOOTH * np.sqrt(2 * np.pi))
    return np.asarray(kernel @ weight)


def who(faces: pd.DataFrame) -> Figure:
    """Counts by gender, and by race and gender."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.4))
    n = [int((faces["gender_name"] == name).sum()) for name in GENDERS]
    bars = left.bar(GENDERS, n, color=[COLOURS[name] for name in GENDERS])
    left.bar_label(bars, [f"{k:,}\n{k / len(faces):.1%}" for k in n], fontsize=9)
    left.set(title="Gender", ylabel="faces", ylim=(0, max(n) * 1.2))
    races = race_names(faces)
    place = np.arange(len(races))
    for name, shift in zip(GENDERS, (-0.2, 0.2), strict=True):
        mine = faces[faces["gender_name"] == name]["race_name"].value_counts()
        height = [int(mine.get(race, 0)) for race in races]
        bars = right.bar(place + shift, height, 0.4, color=COLOURS[name], label=name)
        right.bar_label(bars, [f"{k:,}" for k in height], fontsize=8)
    right.set(title="Race, as UTKFace names it, by gender", xticks=place, xticklabels=races)
    right.legend(frameon=False)
    for axes in (left, right):
        bare(axes)
        axes.grid(visible=False, axis="x")
    return figure


def spread(faces: pd.DataFrame) -> Figure:
    """Violins of age by gender, with boxes (median, quartiles) in them, over all and by race."""
    races = race_names(faces)
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.4), sharey=True)
    for gender in (0, 1):
        mine = faces[faces["gender"] == gender]
        _violins(left, [mine["age_years"]], np.array([float(gender)]), gender, 0.8)
        grouped = [mine.loc[mine["race_name"] == race, "age_years"] for race in races]
        place = np.arange(len(races)) + (gender - 0.5) * 0.42
        _violins(right, grouped, place, gender, 0.38)
    left.set(title="Age by gender", ylabel="annotated age (years)", xticks=[0, 1])
    left.set_xticklabels(GENDERS)
    right.set(title="Age by race and gender (left male, right female)")
    right.set_xticks(range(len(races)), races)
    bare(left)
    bare(right)
    return figure


def _violins(
    axes: Axes,
    groups: list[pd.Series],
    place: npt.NDArray[np.floating],
    gender: int,
    width: float,
) -> None:
    colour = COLOURS[GENDERS[gender]]
    there = [(ages, x) for ages, x in zip(groups, place, strict=True) if len(ages) >= FEW]
    if not there:
        return
    values, at = [ages.to_numpy() for ages, _ in there], [x for _, x in there]
    drawn = axes.violinplot(values, at, widths=width, showextrema=False)
    for body in drawn["bodies"]:  # type: ignore[attr-defined]
        body.set(facecolor=colour, alpha=0.4)
    axes.boxplot(
        values, positions=at, widths=width / 4, showfliers=False, manage_ticks=False,
        medianprops={"color": "black"}, boxprops={"color": colour},
        whiskerprops={"color": colour}, capprops={"color": colour},
    )  # fmt: skip


def groups(faces: pd.DataFrame) -> Figure:
    """Faces by decade of age, gender and race: where there is little to learn from or test on."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    races, panels = race_names(faces), figure.subplots(1, 2, sharey=True)
    tables = [
        pd.crosstab(mine["decade"], mine["race_name"], dropna=False).reindex(
            columns=races, fill_value=0
        )
        for mine in (faces[faces["gender_name"] == name] for name in GENDERS)
    ]
    norm = LogNorm(1, max(2, max(table.to_numpy().max() for table in tables)))
    for axes, name, table in zip(panels, GENDERS, tables, strict=True):
        axes.imshow(table.to_numpy().clip(1), cmap="viridis", norm=norm, aspect="auto")
        for (row, column), count in np.ndenumerate(table.to_numpy()):
            colour = "black" if norm(max(count, 1)) > 0.6 else "white"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=9)
        axes.set_title(name, color=COLOURS[name], fontweight="bold")
        axes.set_xticks(range(len(races)), races)
        axes.set_yticks(range(len(table)), table.index)
    panels[0].set_ylabel("annotated age (years)")
    return figure


def heaping(table: pd.DataFrame) -> Figure:
    """Faces at each year of age, multiples of five apart; from an `age_counts` table."""
    figure, axes = _one(10, 3.8)
    fives = table["age_years"] % 5 == 0
    for mine, colour, label in (
        (~fives, "#9AA5B1", "other ages"),
        (fives, "#333F4D", "multiples of 5"),
    ):
        chosen = table[mine]
        axes.bar(chosen["age_years"], chosen["n"], 0.9, color=colour, label=label)
    for row in table.nlargest(3, "n").itertuples():
        axes.annotate(
            f"{row.age_years}: {row.share:.1%}",
            (float(row.age_years), float(row.n)),  # type: ignore[arg-type]
            (4, 1),
            textcoords="offset points",
            fontsize=9,
        )
    axes.set(
        title="Annotated ages pile up at some years",
        xlabel="annotated age (years)",
        ylabel="faces",
    )
    axes.legend(frameon=False)
    return figure


def pictures(faces: pd.DataFrame, colour: bool) -> Figure:
    """How bright, contrasty, sharp and coloured the pictures are, by gender."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    shown = faces.assign(sharpness=_log(faces["sharpness"]))
    panels = [
        ("brightness", "Brightness: mean luma", "0 black to 255 white"),
        ("contrast", "Contrast: standard deviation of luma", "of 255"),
        ("sharpness", "Sharpness: variance of the Laplacian", "log10"),
    ] + ([("colour", "Colour: mean spread of the channels", "of 255")] if colour else [])
    grid = figure.subplots(2, 2).flat
    for (name, title, unit), axes in zip(panels, grid, strict=False):
        edges = np.linspace(shown[name].min(), shown[name].max() + 1e-6, 60)
        for gender in GENDERS:
            mine = shown.loc[shown["gender_name"] == gender, name]
            axes.hist(mine, edges, histtype="step", color=COLOURS[gender], label=gender)
        axes.set(title=title, xlabel=unit, ylabel="faces")
        bare(axes)
    for axes in grid:
        axes.axis("off")
    figure.axes[0].legend(frameon=False)
    return figure


def pairs(faces: pd.DataFrame) -> Figure:
    """Age and the pictures' measures against each other, by gender."""
    shown = faces.assign(sharpness=_log(faces["sharpness"]))
    samples = [
        mine.sample(min(PAIRED, len(mine)), random_state=0)
        for mine in (shown[shown["gender_name"] == name] for name in GENDERS)
    ]
    mixed = pd.concat(samples).sample(frac=1, random_state=0)
    colours = mixed["gender_name"].map(COLOURS)
    figure = Figure(figsize=(10, 9.4), layout="constrained")
    grid = figure.subplots(len(UNITS), len(UNITS))
    for row, y in enumerate(UNITS):
        for column, x in enumerate(UNITS):
            axes = grid[row, column]
            if row == column:
                edges = np.linspace(mixed[x].min(), mixed[x].max() + 1e-6, 30)
                for name, mine in zip(GENDERS, samples, strict=True):
                    axes.hist(mine[x], edges, histtype="step", color=COLOURS[name], density=True)
                axes.set_yticks([])
            else:
                axes.scatter(mixed[x], mixed[y], s=3, c=colours, alpha=0.25, linewidths=0)
            if row == len(UNITS) - 1:
                axes.set_xlabel(UNITS[x])
            if column == 0:
                axes.set_ylabel(UNITS[y])
            bare(axes)
    n = " and ".join(f"{len(m):,} {name}" for m, name in zip(samples, GENDERS, strict=True))
    figure.suptitle(f"Pairs: a random {n} faces; diagonal: densities")
    handles = [
        axes.plot([], [], "o", color=COLOURS[name], label=name)[0]
        for axes, name in zip(grid[0, -2:], GENDERS, strict=True)
    ]
    grid[0, -1].legend(handles=handles, frameon=False, fontsize=8)
    return figure


def split_ages(frame: pd.DataFrame) -> Figure:
    """Density of age in each part: balanced parts lie on one another."""
    figure, axes = _one(10, 3.8)
    at = np.arange(0, frame["age_years"].max() + 1, 0.5)
    for part, colour in PARTS.items():
        mine = frame.loc[frame["part"] == part, "age_years"].to_numpy()
        if len(mine):
            label = f"{part} (n = {len(mine):,})"
            axes.plot(at, density(mine, at), color=colour, label=label)
    axes.set(
        title="Density of age in each part",
        xlabel="annotated age (years)",
        ylabel="share a year",
        ylim=(0, None),
    )
    axes.legend(frameon=False)
    return figure


def _one(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    bare(axes)
    return figure, axes


def _log(sharpness: pd.Series) -> pd.Series:
    return pd.Series(np.log10(sharpness.clip(lower=0.1)), index=sharpness.index)
