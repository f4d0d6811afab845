"""Figures of a run: for its folder, for TensorBoard, for the README."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

__all__ = ["FEMALE", "GENDERS", "MALE", "TRAIN", "VAL", "Figure", "bare", "run_figures"]

MALE, FEMALE = "#0072B2", "#D55E00"  # Okabe & Ito: told apart by colour-blind readers too
TRAIN, VAL = "#999999", "#009E73"
GENDERS = ("male", "female")
DRAWN = (-20, 140)  # years between which predicted ages are drawn; others stand at an end
LABELS = "labels: annotated apparent age and binary gender"
Pixels = npt.NDArray[np.uint8]


def run_figures(
    history: pd.DataFrame, predictions: pd.DataFrame, part: str, pixels: Pixels
) -> dict[str, Figure]:
    """Everything a run shows.

    Args:
        history: a row an epoch, as in `history.csv`.
        predictions: rows of one part, indexed by their row in `pixels`.
        part: the part's name, for titles.
        pixels: (N, C, H, W) uint8.
    """
    error = (predictions["age_pred"] - predictions["age_years"]).abs()
    sample = predictions.sample(min(24, len(predictions)), random_state=0)
    worst = predictions.loc[error.nlargest(24).index]
    wrong = predictions[(predictions["p_female"] > 0.5) != (predictions["gender"] == 1)]
    surest = (wrong["p_female"] - 0.5).abs().nlargest(24).index
    drawn = {
        "curves": curves(history),
        "age": age_scatter(predictions, part),
        "gender": confusion(predictions, part),
        "faces": face_grid(sample, pixels, f"A random sample of the {part} part"),
        "worst_age": face_grid(worst, pixels, f"Largest age errors in the {part} part"),
    }
    if len(wrong):
        title = f"Surest gender mistakes in the {part} part"
        drawn["worst_gender"] = face_grid(wrong.loc[surest], pixels, title)
    return drawn


def curves(history: pd.DataFrame) -> Figure:
    """Gender accuracy, age MAE and both losses of train against validation, by epoch."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    figure.suptitle("train: while it learned, with dropout and augmentation; val: after each epoch")
    panels = (
        ("age_mae", "Age: mean absolute error", "years"),
        ("gender_acc", "Gender: accuracy", "share of faces"),
        ("age_loss", "Age loss", "loss"),
        ("gender_loss", "Gender loss: binary cross-entropy", "nats"),
    )
    for axes, (name, title, unit) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for part, colour in (("train", TRAIN), ("val", VAL)):
            values = history[f"{part}/{name}"]
            axes.plot(history["epoch"], values, color=colour, marker=".", label=part)
        axes.set(title=title, xlabel="epoch", ylabel=unit)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False)
        bare(axes)
    return figure


def age_scatter(predictions: pd.DataFrame, part: str) -> Figure:
    """Predicted against annotated age as a density, and the error by age and gender."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    true, predicted = predictions["age_years"], predictions["age_pred"]
    mae, drawn = (predicted - true).abs().mean(), predicted.clip(*DRAWN)
    low, top = min(0.0, drawn.min()), max(true.max(), drawn.max()) + 2
    bins = [np.arange(low, top + 2, 2)] * 2
    *_, image = left.hist2d(true, drawn, bins=bins, cmin=1, norm=LogNorm(), cmap="viridis")
    left.plot([low, top], [low, top], color="black", linewidth=0.8, linestyle="--")
    left.set(
        title=f"Age, {part} part: MAE {mae:.2f} years (n = {len(true):,})",
        xlabel="annotated age (years)",
        ylabel="predicted age (years)",
        aspect="equal",
    )
    figure.colorbar(image, ax=left, label="faces", format="%d")
    middle = (true // 10 * 10 + 5).rename("age")
    for gender, colour in ((0, MALE), (1, FEMALE)):
        mine = predictions["gender"] == gender
        error = (predicted - true)[mine].groupby(middle[mine]).agg(["mean", "sem"])
        right.errorbar(
            error.index, error["mean"], error["sem"], color=colour, marker="o",
            label=GENDERS[gender], capsize=3,
        )  # fmt: skip
    right.axhline(0, color="black", linewidth=0.8)
    right.set(
        title="Mean error by annotated age (bars: standard error)",
        xlabel="annotated age (years, in tens)",
        ylabel="predicted - annotated (years)",
    )
    right.legend(frameon=False)
    bare(right)
    return figure


def confusion(predictions: pd.DataFrame, part: str) -> Figure:
    """Annotated against predicted gender: counts, and the share of each annotated gender."""
    said = (predictions["p_female"] > 0.5).astype(int)
    table = np.zeros((2, 2), dtype=int)
    np.add.at(table, (predictions["gender"].to_numpy(dtype=int), said.to_numpy()), 1)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if share[row, column] > 0.5 else "black"
        text = f"{count:,}\n{share[row, column]:.1%}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=13)
    accuracy = np.trace(table) / table.sum()
    axes.set(
        title=f"Gender, {part} part: accuracy {accuracy:.1%} (n = {table.sum():,})",
        xlabel="predicted",
        ylabel="annotated",
        xticks=[0, 1],
        yticks=[0, 1],
        xticklabels=GENDERS,
        yticklabels=GENDERS,
    )
    return figure


def face_grid(predictions: pd.DataFrame, pixels: Pixels, title: str, columns: int = 8) -> Figure:
    """Faces titled with annotated and predicted age and gender; mistakes in red."""
    rows = -(-len(predictions) // columns)
    figure = Figure(figsize=(columns * 1.5, rows * 1.85 + 0.8), layout="constrained")
    figure.suptitle(f"{title}\nannotated → predicted; {LABELS}", fontsize=11)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, face in zip(grid.flat, predictions.itertuples(), strict=False):
        picture = pixels[face.Index].transpose(1, 2, 0)  # type: ignore[index]
        axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
        p_female = float(face.p_female)  # type: ignore[arg-type]
        true, said = GENDERS[int(face.gender)], GENDERS[int(p_female > 0.5)]  # type: ignore[arg-type]
        axes.set_title(
            f"{face.age_years:.0f} → {face.age_pred:.0f} years\n"
            f"{true} → {said} {max(p_female, 1 - p_female):.0%}",
            fontsize=7.5,
            color="black" if true == said else "#B00020",
        )
    return figure


def bare(axes: Axes) -> None:
    """Without the box, with a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
