"""Faces whose labels are least likely, from predictions by networks that have not seen them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.data.files import as_cells, whole_file
from agegender.errors import InputError
from agegender.figures import GENDERS
from agegender.reports.page import card, cards, page, text

NEEDED = ["file", "age_years", "age_pred", "gender", "p_female"]
LEAD = (
    "Of each face: the annotated label, and what networks say that were trained without it and its"
    " copies. A face stands here because the two disagree most, which is often the network's"
    " mistake: look before calling a label wrong. Labels are annotated, apparent age and binary"
    " gender. This page holds pictures of the data; keep to the data's licence before passing"
    " it on."
)


def read_predictions(path: Path) -> pd.DataFrame:
    """Out-of-fold predictions, as `scripts/folds.py` writes them.

    Raises:
        InputError: if the file cannot be read, lacks a column or has a face twice.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read predictions={path}: {error}") from None
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise InputError(f"predictions={path} lacks the column {' and '.join(missing)}")
    if table.empty:
        raise InputError(f"predictions={path} has no rows")
    for name, low, high in (("age_pred", -np.inf, np.inf), ("p_female", 0, 1), ("gender", 0, 1)):
        wrong = ~table[name].between(low, high)
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            value = table[name].iloc[row]
            raise InputError(
                f"predictions={path}, line {row + 2}: {name}={value} is not a number"
                + (f" within {low} to {high}" if np.isfinite(high) else "")
            )
    if table["file"].duplicated().any():
        twice = table["file"][table["file"].duplicated()].iloc[0]
        raise InputError(
            f"predictions={path} has {twice!r} twice: needed is one prediction a face, by a network"
            f" that has not seen it (scripts/folds.py writes them)"
        )
    return table


def rank_suspects(predictions: pd.DataFrame) -> pd.DataFrame:
    """Order faces by how unlikely their labels are.

    The scores are cleanlab's: for gender the probability that the network gives to the label
    (Northcutt et al. 2021), for age OUTRE, how far out the pair of label and residual lies
    (Zhou et al. 2023). Neither is comparable with the other, so ranks are: the first face by age
    and the first by gender come first, then the second ones.

    Returns:
        The predictions with rank (from 1), label ("age" or "gender": the one that put the face
        there), age_quality and gender_quality (0 to 1, low is suspicious) and gender_issue
        (whether confident learning counts the gender label as wrong), most suspicious first.

    Raises:
        InputError: if cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores as gender_quality
        from cleanlab.regression.rank import get_label_quality_scores as age_quality
    except ImportError:
        raise InputError("this needs cleanlab: pip install -e '.[labels]'") from None
    gender = predictions["gender"].to_numpy(dtype=int)
    p_female = predictions["p_female"].to_numpy(dtype=float)
    both = np.stack([1 - p_female, p_female], axis=1)
    age = predictions["age_years"].to_numpy(dtype=float)
    table = predictions.assign(
        age_quality=age_quality(age, predictions["age_pred"].to_numpy(dtype=float)),
        gender_quality=gender_quality(gender, both),
        gender_issue=find_label_issues(gender, both, n_jobs=1),
    )
    places = table[["age_quality", "gender_quality"]].rank(method="first")
    table = table.assign(
        label=np.where(places["age_quality"] <= places["gender_quality"], "age", "gender")
    )
    order = places.min(axis=1).sort_values(kind="stable").index
    ranked = table.loc[order].reset_index(drop=True)
    ranked.insert(0, "rank", np.arange(1, len(ranked) + 1))
    return ranked.round({"age_quality": 6, "gender_quality": 6})


def write_suspects(
    folder: Path, suspects: pd.DataFrame, pictures: Sequence[npt.NDArray[np.uint8]]
) -> Path:
    """Write `suspects.csv` (all faces, by rank) and `index.html` (those with a picture).

    Args:
        folder: where to.
        suspects: what `rank_suspects` gives.
        pictures: (C, H, W) uint8 of the first of them.

    Returns:
        The page's path.
    """
    boxes = []
    for (_, face), pixels in zip(suspects.iterrows(), pictures, strict=False):
        p_female = face["p_female"]
        said = GENDERS[int(p_female > 0.5)]
        told = (
            f"labelled {face['age_years']:g}, {GENDERS[int(face['gender'])]}; predicted"
            f" {face['age_pred']:.0f}, {said} {max(p_female, 1 - p_female):.0%}\n{face['file']}"
        )
        boxes.append(card(f"{face['rank']}: {face['label']}", [(pixels, told)]))
    issues = int(suspects["gender_issue"].sum())
    count = text(
        f"{len(suspects):,} faces were ranked; confident learning counts {issues:,} gender labels"
        f" ({issues / len(suspects):.1%}) as wrong, a number that grows with the network's own"
        f" errors. All stand in suspects.csv."
    )
    html = page(
        "Faces whose labels are least likely",
        LEAD,
        [(f"The first {len(boxes)}", count + cards(boxes))],
    )
    for name, content in (
        ("suspects.csv", as_cells(suspects).to_csv(index=False)),
        ("index.html", html),
    ):
        with whole_file(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return folder / "index.html"
