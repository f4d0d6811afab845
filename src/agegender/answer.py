"""What is said of one picture, as HTML that holds all it needs."""

from collections.abc import Sequence
from html import escape
from io import BytesIO

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from agegender.portraits.annotate import annotated
from agegender.portraits.faces import BOX
from agegender.reader import Looked, Row
from agegender.reports.page import inlined

WIDEST = 1280  # pixels of the longest side of the copy that is shown
THUMB = 96  # pixels; it is shown at half of them
CURVES = 8  # faces whose distributions are drawn
YEAR, SPAN = "#0072B2", "#E69F00"  # Okabe & Ito: told apart by colour-blind readers too
NO_FACE = (
    "Faces that are very small, covered, or turned to a side or by more than about 30 degrees are"
    " not found."
)
NO_CURVE = "This network says one age and no distribution over ages, or it is an exported file."


def answer(looked: Looked, level: float) -> str:
    """The faces of a picture: boxes, a table, and the distributions over ages.

    Args:
        looked: what `agegender.reader.Model.look` gives.
        level: the share of annotated ages that the intervals are to hold.
    """
    first = looked.rows[0]
    if first["face"] == 0:
        hint = f"<p>{NO_FACE}</p>" if looked.picture is not None else ""
        reason = escape(str(first["error"]))
        return f'<div class="said" role="alert"><h2>No answer: {reason}</h2>{hint}</div>'
    assert looked.picture is not None
    shown = annotated(looked.picture, looked.rows)
    shown.thumbnail((WIDEST, WIDEST))
    curves = f"<p>{NO_CURVE}</p>" if looked.age_p is None else _curves(looked.rows, looked.age_p)
    faces = "one face" if len(looked.rows) == 1 else f"{len(looked.rows)} faces"
    copy = inlined(_jpeg(shown), "jpeg", f"the picture with {faces} boxed")
    return (
        f'<div class="said"><h2>Found: {faces}</h2><div class="copy">{copy}</div>'
        f"{_table(looked.rows, looked.picture, level)}{curves}</div>"
    )


def _table(rows: Sequence[Row], picture: Image.Image, level: float) -> str:
    names = ("face", "apparent age", "from-to", "gender", "probability")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(_line(row, picture) for row in rows)
    note = (
        "This network was not calibrated: it says no interval."
        if np.isnan(rows[0]["age_lo"])
        else f"From-to is to hold {level:.0%} of the ages that annotators give."
    )
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<p>Ages are years as UTKFace's annotators judge them by looks. {note} Probability is"
        f" that of the gender named, one of the two that the annotators used.</p>"
    )


def _line(row: Row, picture: Image.Image) -> str:
    p = max(row["p_female"], 1 - row["p_female"])
    cells = (f"{row['age_pred']:.0f}", _between(row), row["gender"], f"{p:.0%}")
    thumb = inlined(_jpeg(_face(row, picture)), "jpeg", f"face {row['face']}")
    line = f"<tr><td>{row['face']} {thumb}</td>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"
    if not row["warning"]:
        return line
    doubt = f"face {row['face']} may be read wrong: it is {row['warning']}"
    return f'{line}<tr><td colspan="{len(cells) + 1}">{doubt}</td></tr>'


def _between(row: Row) -> str:
    low, high = row["age_lo"], row["age_hi"]
    if np.isnan(low):
        return "-"
    return f"{low:.0f}-{high:.0f}" if np.isfinite(high) else f"{low:.0f} or more"


def _face(row: Row, picture: Image.Image) -> Image.Image:
    """What is in a face's box; the whole picture if it is the face."""
    box = np.array([row[name] for name in BOX])
    whole = np.array([0, 0, *picture.size])
    left, top, right, bottom = (int(v) for v in np.where(np.isnan(box), whole, box.round()))
    face = picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    face.thumbnail((THUMB, THUMB))
    return face


def _curves(rows: Sequence[Row], age_p: npt.NDArray[np.float64]) -> str:
    drawn = curves(rows[:CURVES], age_p[:CURVES])
    stream = BytesIO()
    drawn.savefig(stream, format="png", dpi=200)
    alt = "the probability of each year of age, face by face"
    band = "" if np.isnan(rows[0]["age_lo"]) else ", the band from-to"
    more = f" Drawn for the first {CURVES} faces." if len(rows) > CURVES else ""
    return (
        f'<div class="curves">{inlined(stream.getvalue(), "png", alt)}</div><p>How probable the'
        f" network takes each year to be; the line is its answer{band}.{more}</p>"
    )


def curves(rows: Sequence[Row], age_p: npt.NDArray[np.float64]) -> Figure:
    """The distributions over ages, one below the other.

    Args:
        rows: of faces.
        age_p: (faces, Y) the probability of each of the years 0, 1, ..., Y - 1.
    """
    figure = Figure(figsize=(4.4, 0.7 + 1.1 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
    years = np.arange(age_p.shape[1])
    for axes, row, p in zip(panels, rows, age_p, strict=True):
        if np.isfinite([row["age_lo"], row["age_hi"]]).all():
            axes.axvspan(row["age_lo"], row["age_hi"], color=SPAN, alpha=0.25, lw=0)
        axes.bar(years, p, width=1.0, color=YEAR)
        axes.axvline(row["age_pred"], color="black", lw=1)
        axes.set_title(f"face {row['face']}", loc="left", fontsize=9)
        axes.set(xlim=(-0.5, len(years) - 0.5), ylim=(0, None), yticks=[])
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.tick_params(labelsize=9)
    panels[-1].set_xlabel("apparent age (years)", fontsize=9)
    return figure


def _jpeg(picture: Image.Image) -> bytes:
    stream = BytesIO()
    picture.save(stream, format="JPEG", quality=88)
    return stream.getvalue()
