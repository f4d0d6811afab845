"""A page, figures and tables of what is in a data set."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from agegender.data.audit import AGE_TOLERANCE, said_of, unfit
from agegender.data.files import as_cells, whole_file
from agegender.data.pictures import COLOURLESS
from agegender.reports import data_figures as figures
from agegender.reports import data_tables as tables
from agegender.reports.page import card, cards, page, picture, table, text

LABELS = (
    "All labels are annotations: in UTKFace, apparent age in years, gender as one of two and race"
    " as one of five, guessed by people and programs. They are not what the people in the"
    " pictures are or say of themselves."
)
PRIVATE = (
    "This page holds pictures of the data. Keep to the data's licence before passing it on:"
    " UTKFace is for non-commercial research."
)


def write_report(
    folder: Path,
    title: str,
    faces: pd.DataFrame,
    groups: pd.DataFrame,
    rejects: pd.DataFrame,
    split: str,
    pixels: npt.NDArray[np.uint8],
    groups_shown: int,
) -> Path:
    """Write `index.html`, `figures/*.png` and CSVs.

    Args:
        folder: where to.
        title: of the page.
        faces: a row a picture: file, age_years, gender, race, photo_id, part, and what
            `agegender.data.pictures.measure` gives.
        groups: photographs that appear more than once, as `agegender.data.audit.group_table`, with
            left_out: whether the policy leaves them out of the split.
        rejects: file and reason.
        split: the split of `part`, in words.
        pixels: (N, C, H, W) uint8, a row a face.
        groups_shown: how many contradicting photographs are shown with their pictures.

    Returns:
        The page's path.
    """
    faces = tables.labelled(faces)
    ages = tables.age_counts(faces)
    colour = pixels.shape[1] == 3
    drawn = {
        "ages": figures.ages(faces),
        "who": figures.who(faces),
        "spread": figures.spread(faces),
        "groups": figures.groups(faces),
        "heaping": figures.heaping(ages),
        "pictures": figures.pictures(faces, colour),
        "pairs": figures.pairs(faces),
        "split_ages": figures.split_ages(faces),
    }
    written = {
        "faces": faces.drop(columns=["slice", "sha256"], errors="ignore"),
        "ages": ages,
        "counts": tables.counts(faces),
        "copies": groups,
        "rejects": as_cells(rejects),
        "parts": tables.parts(faces),
    }
    for name, frame in written.items():
        with whole_file(folder / f"{name}.csv") as temporary:
            frame.to_csv(temporary, index=False)
    for name, figure in drawn.items():
        with whole_file(folder / "figures" / f"{name}.png") as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    sections = _sections(faces, ages, written["parts"], written["counts"], split, drawn, pixels)
    sections += [
        ("Photographs that appear more than once", _copies(faces, groups, pixels, groups_shown)),
        ("Rejected files", _rejects(rejects)),
    ]
    with whole_file(folder / "index.html") as temporary:
        temporary.write_text(page(title, f"{LABELS} {PRIVATE}", sections), encoding="utf-8")
    return folder / "index.html"


def _sections(
    faces: pd.DataFrame,
    ages: pd.DataFrame,
    parts: pd.DataFrame,
    counts: pd.DataFrame,
    split: str,
    drawn: dict[str, Figure],
    pixels: npt.NDArray[np.uint8],
) -> list[tuple[str, str]]:
    age = faces["age_years"]
    names = ("brightness", "contrast", "sharpness", "colour")[: 4 if pixels.shape[1] == 3 else 3]
    return [
        (
            "Ages",
            text(
                f"{len(faces):,} faces from {age.min():g} to {age.max():g} years; median"
                f" {age.median():g}, mean {age.mean():.1f}."
            )
            + picture(drawn["ages"], "histogram of age by gender")
            + picture(drawn["spread"], "violin and box plots of age by gender and race"),
        ),
        ("Gender and race", picture(drawn["who"], "counts by gender and race")),
        (
            "Age by gender by race",
            picture(drawn["groups"], "counts by age, gender and race") + table(counts),
        ),
        (
            "Age heaping",
            _heaping(ages) + picture(drawn["heaping"], "faces at each year of age"),
        ),
        (
            "Pictures",
            text(_grey(faces) if pixels.shape[1] == 3 else "Read as grey: colour is not measured.")
            + picture(drawn["pictures"], "brightness, contrast, sharpness and colour")
            + table(tables.measures(faces, names))
            + text(f"Measured at {pixels.shape[2]} x {pixels.shape[3]} pixels.", note=True),
        ),
        ("Pairs", picture(drawn["pairs"], "age and measures of the pictures in pairs")),
        (
            "Split",
            text(f"{split}.")
            + table(parts)
            + picture(drawn["split_ages"], "density of age in each part"),
        ),
    ]


def _heaping(ages: pd.DataFrame) -> str:
    top = ages.nlargest(10, "n")
    shown = pd.DataFrame(
        {
            "age (years)": top["age_years"],
            "faces": top["n"],
            "share": top["share"].map("{:.1%}".format),
        }
    )
    return text(
        f"Whipple's index is {tables.whipple(ages):.0f}: 100 means that ages ending in 0 and 5"
        f" are as frequent as others from 23 to 62, 500 that no other occurs. The most"
        f" frequent ages:"
    ) + table(shown)


def _rejects(rejects: pd.DataFrame) -> str:
    count = text(f"{len(rejects):,} files were left out.")
    return count + table(rejects.head(200)) if len(rejects) else count


def _grey(faces: pd.DataFrame) -> str:
    grey = faces["colour"] < COLOURLESS
    return (
        f"{grey.sum():,} pictures ({grey.mean():.1%}) have no colour to speak of: their channels"
        f" differ by less than {COLOURLESS:g} of 255 in the mean."
    )


def _copies(
    faces: pd.DataFrame, groups: pd.DataFrame, pixels: npt.NDArray[np.uint8], shown: int
) -> str:
    conflicts = groups[["age_conflict", "gender_conflict", "race_conflict"]].any(axis=1)
    order = groups[conflicts].sort_values(["gender_conflict", "age_range"], ascending=False)
    order = order.head(shown)
    row_of = pd.Series(np.arange(len(faces)), index=faces["file"])
    boxes = []
    for group in order.itertuples():
        members = []
        for file in faces.loc[faces["photo_id"] == group.photo_id, "file"]:
            row = int(row_of[file])
            face = faces.iloc[row]
            told = f"{face['age_years']:g} years, {face['gender_name']}, {face['race_name']}"
            members.append((pixels[row], f"{told}\n{file}"))
        kind = "exact copies" if group.exact else "near copies"
        boxes.append(card(f"{kind}, {float(group.age_range):g} years apart", members))  # type: ignore[arg-type]
    lead = text(
        f"{said_of(groups)}. In {unfit(groups).sum():,} the genders differ or the ages are more"
        f" than {AGE_TOLERANCE} years apart; data.duplicates leaves {groups['left_out'].sum():,} of"
        f" them out. All stand in copies.csv."
    )
    if not boxes:
        return lead
    return lead + text(f"The {len(boxes)} that contradict themselves most:") + cards(boxes)
