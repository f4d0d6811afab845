"""One page about predictions, its tables as CSV and its figures as PNG; from any system."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from agegender.bootstrap import resample
from agegender.data.files import whole_file
from agegender.figures import GENDERS
from agegender.intervals import Calibration
from agegender.reports import decision_figures as decisions
from agegender.reports import sections, trust_sections
from agegender.reports.page import card, cards, page, pictures, png, table, text
from agegender.reports.predictions import answered
from agegender.reports.sections import Evaluation, Section

LEAD = (
    "When to believe these predictions, and of whom. Labels are annotated, apparent age in years"
    " and binary gender: what annotators saw, not what people are or say of themselves."
)
PRIVATE = (
    "These are pictures of the data: keep to its licence before passing this page on. UTKFace is"
    " for non-commercial research."
)
FACES = 8  # of each kind
Pixels = npt.NDArray[np.uint8]


def evaluation_of(
    predictions: pd.DataFrame,
    part: str,
    calibration: Calibration | None,
    calibrated: str,
    level: float,
    adult: float,
    guess: tuple[float, float],
    guess_of: str,
) -> Evaluation:
    """What a report of one part needs; see `Evaluation` for the arguments."""
    rows = answered(predictions[predictions["part"] == part])
    val = answered(predictions[predictions["part"] == ("" if part == "val" else "val")])
    weights = resample(rows["group_id"])
    return Evaluation(
        rows, val, part, calibration, calibrated, level, adult, guess, guess_of, weights
    )


def make_report(of: Evaluation, unanswered: int = 0) -> list[Section]:
    """The sections that need predictions alone.

    Args:
        of: what the report is of; with one face at least.
        unanswered: faces of the part without a prediction.
    """
    found = [
        sections.headline(of),
        sections.groups(of),
        sections.against_age(of),
        trust_sections.intervals(of),
        trust_sections.gender_probabilities(of),
        trust_sections.operating_points(of),
    ]
    if unanswered:
        told = (
            f"{unanswered:,} faces of the {of.part} part have no prediction. They are left out of"
            f" every figure here, which flatters a system that is silent where it is hard."
        )
        found[0] = found[0]._replace(body=text(told) + found[0].body)
    return found


def robustness_section(measured: pd.DataFrame) -> Section:
    """Curves of what disturbances do to faces, from `agegender.robustness.measure`."""
    names = list(dict.fromkeys(measured["disturbance"]))
    top = 1.1 * float(measured["age_mae"].max())
    drawn = {
        f"robustness_{name.replace(' ', '_')}": png(
            decisions.disturbed(measured[measured["disturbance"] == name], name, top)
        )
        for name in names
    }
    n = int(measured["n"].iloc[0])
    clean = measured[measured["clean"]].iloc[0]
    hurt = measured.assign(more=measured["age_mae"] - clean["age_mae"])
    hurt = hurt.loc[hurt.groupby("disturbance", sort=False)["more"].idxmax()]
    hurt = hurt.sort_values("more", ascending=False)
    most = pd.DataFrame(
        {
            "disturbance": hurt["disturbance"],
            "worst at": [f"{r.strength:g} ({r.unit})" for r in hurt.itertuples()],
            "age MAE (years)": hurt["age_mae"].map("{:.2f}".format),
            "more than clean": hurt["more"].map("{:+.2f}".format),
            "gender accuracy": hurt["gender_acc"].map("{:.1%}".format),
        }
    )
    body = (
        text(
            f"{n:,} faces of the part, drawn at random, disturbed one way at a time at the size"
            f" that the network sees. Clean: MAE {clean['age_mae']:.2f} years, gender accuracy"
            f" {clean['gender_acc']:.1%}. The worst of each:"
        )
        + table(most)
        + pictures([(data, name.replace("_", " ")) for name, data in drawn.items()])
    )
    return Section("Robustness", body, {"robustness": measured}, drawn)


def faces_section(rows: pd.DataFrame, pixels: Pixels) -> Section:
    """Typical, best and worst faces; rows are indexed by their place in pixels (N, C, H, W)."""
    off = (rows["age_pred"] - rows["age_years"]).abs()
    right = (rows["p_female"] > 0.5) == (rows["gender"] == 1)
    surest_wrong = (rows["p_female"] - 0.5).abs()[~right].nlargest(FACES)
    kinds = {
        "Typical: errors of age nearest to the median": (off - off.median()).abs(),
        "Best: least errors of age": off,
        "Worst: largest errors of age": -off,
    }
    chosen = {name: order.nsmallest(FACES).index for name, order in kinds.items()}
    chosen["Surest mistakes of gender"] = surest_wrong.index
    boxes = [
        card(name, [(pixels[row], told(rows.loc[row])) for row in found])
        for name, found in chosen.items()
        if len(found)
    ]
    return Section("Faces", text(PRIVATE) + cards(boxes), {}, {})


def told(face: pd.Series) -> str:
    """Label and prediction of a face in a line."""
    said = GENDERS[int(face["p_female"] > 0.5)]
    within = (
        f" ({face['age_lo']:.0f} to {face['age_hi']:.0f})"
        if np.isfinite(face.get("age_lo", np.nan)) and np.isfinite(face["age_hi"])
        else ""
    )
    sure = max(face["p_female"], 1 - face["p_female"])
    return (
        f"{face['age_years']:g}, {GENDERS[int(face['gender'])]} → {face['age_pred']:.0f}{within},"
        f" {said} {sure:.0%}"
    )


def looking_section(rows: pd.DataFrame, maps: Sequence[tuple[Pixels, float]], n: int) -> Section:
    """Where the network looks.

    Args:
        rows: of the faces shown.
        maps: of each face a picture (3, H, W) uint8 and what its strongest colour means, years.
        n: the side of the patch that was hidden, pixels.
    """
    boxes = [
        (picture, f"{told(face)}; full colour: {years:.1f} years")
        for (picture, years), (_, face) in zip(maps, rows.iterrows(), strict=True)
    ]
    words = text(
        f"A patch of {n} x {n} pixels is greyed at each place in turn. Orange: without it the face"
        f" is said to be younger, so that it speaks for age; blue: older. Each face has its own"
        f" scale. {PRIVATE}"
    )
    return Section(
        "Where the network looks", words + cards([card("Occlusion (captum)", boxes)]), {}, {}
    )


def facts_section(facts: dict[str, object]) -> Section:
    """What the figures are of."""
    shown = {key: value for key, value in facts.items() if value is not None}
    frame = pd.DataFrame({"what": list(shown), "is": [str(value) for value in shown.values()]})
    body = f'<div class="facts">{table(frame)}</div>'
    return Section("What this is of", body, {}, {})


def write_report(folder: Path, title: str, found: Sequence[Section]) -> dict[str, Path]:
    """Write `report.html`, and tables and figures into `report/`.

    Tables and figures that an earlier report has left there, and this one has not, are removed.

    Returns:
        The path of each figure's PNG.
    """
    paths = {}
    tables = {f"{name}.csv" for section in found for name in section.tables}
    for section in found:
        for name, frame in section.tables.items():
            with whole_file(folder / "report" / f"{name}.csv") as temporary:
                frame.round(6).to_csv(temporary, index=False)
        for name, data in section.figures.items():
            paths[name] = folder / "report" / f"{name}.png"
            with whole_file(paths[name]) as temporary:
                temporary.write_bytes(data)
    written = tables | {path.name for path in paths.values()}
    for path in (folder / "report").glob("*"):
        if path.suffix in (".csv", ".png") and path.name not in written:
            path.unlink()
    with whole_file(folder / "report.html") as temporary:
        temporary.write_text(
            page(title, LEAD, [(s.title, s.body) for s in found]), encoding="utf-8"
        )
    return paths
