"""HTML pages that need no network: style, pictures and tables are all inside."""

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

STYLE = """
:root { color-scheme: light; --ink: #1d2430; --soft: #5b6675; --line: #dfe3e8; --back: #f6f7f9; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .6rem 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; border-top: 1px solid var(--line);
  padding-top: 1rem; }
p { max-width: 46rem; } .note { color: var(--soft); font-size: .9rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .9rem; }
a { color: #0059a8; }
img { max-width: 100%; height: auto; }
.wide, .picture { overflow-x: auto; } .picture img { min-width: 38rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { background: var(--back); white-space: normal; vertical-align: bottom; }
td:first-child, th:first-child { text-align: left; }
.facts td, .facts th { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.facts td:first-child { white-space: nowrap; overflow-wrap: normal; }
.cards { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
.card { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem; }
.card h3 { font-size: .85rem; margin: 0 0 .4rem; font-weight: 600; }
.figures { display: grid; gap: .6rem 1.2rem; align-items: start; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
.figures img { width: 100%; max-width: 38.5rem; display: block; }
.worst { border-left: .3rem solid #d55e00; background: #fdf3ec; padding: .5rem .8rem;
  max-width: 46rem; } .worst p { margin: .3rem 0; }
.faces { display: flex; flex-wrap: wrap; gap: .5rem; }
figure { margin: 0; } .faces figure { width: 7.4rem; }
.faces img { width: 100%; border-radius: .2rem; display: block; }
figcaption { font-size: .75rem; line-height: 1.3; overflow-wrap: anywhere; }
@media (max-width: 40rem) { table { font-size: .8rem; }
  th, td { white-space: normal; padding: .25rem .35rem; } }
@media print { nav { display: none; } .card, .picture, tr { break-inside: avoid; }
  h2 { break-after: avoid; } body { font-size: 11pt; }
  .figures { grid-template-columns: 1fr 1fr; } .figures img { break-inside: avoid; }
  .wide, .picture { overflow: visible; } .picture img { min-width: 0; } table { font-size: 7pt; }
  th, td { padding: .15rem .3rem; } .faces figure { width: 5rem; }
  .cards { grid-template-columns: repeat(3, 1fr); } figcaption { font-size: 6.5pt; } }
"""


def page(title: str, lead: str, sections: Sequence[tuple[str, str]]) -> str:
    """A whole document.

    Args:
        title: plain text.
        lead: plain text below the title.
        sections: heading (plain text) and body (HTML) of each.
    """
    links = "".join(f'<a href="#s{i}">{escape(name)}</a>' for i, (name, _) in enumerate(sections))
    bodies = "".join(
        f'<section id="s{i}"><h2>{escape(name)}</h2>{body}</section>'
        for i, (name, body) in enumerate(sections)
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head>\n<body><main><h1>{escape(title)}</h1>"
        f"{text(lead)}<nav>{links}</nav>{bodies}</main></body></html>\n"
    )


def text(words: str, note: bool = False) -> str:
    """A paragraph."""
    return f"<p{' class=note' if note else ''}>{escape(words)}</p>"


def worst(sentences: Sequence[str]) -> str:
    """What a reader must not miss, in a box."""
    return f'<div class="worst">{"".join(text(words) for words in sentences)}</div>'


def png(figure: Figure) -> bytes:
    """A figure drawn."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def picture(drawn: Figure | bytes, alt: str) -> str:
    """A figure, or what `png` made of one, inlined; on a narrow screen it scrolls."""
    data = drawn if isinstance(drawn, bytes) else png(drawn)
    return f'<div class="picture">{inlined(data, "png", alt)}</div>'


def pictures(drawn: Sequence[tuple[bytes, str]]) -> str:
    """Small figures, each with its text for those who cannot see it, side by side."""
    return f'<div class="figures">{"".join(inlined(data, "png", alt) for data, alt in drawn)}</div>'


def table(frame: pd.DataFrame) -> str:
    """A data frame; the first column to the left, the rest to the right."""
    body = frame.to_html(index=False, border=0, na_rep="", escape=True)
    return f'<div class="wide">{body}</div>'


def card(title: str, faces: Sequence[tuple[npt.NDArray[np.uint8], str]]) -> str:
    """A titled box of pictures, each (C, H, W) uint8 with its caption."""
    shown = "".join(
        f"<figure>{inlined(_jpeg(pixels), 'jpeg', caption)}"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for pixels, caption in faces
    )
    return f'<div class="card"><h3>{escape(title)}</h3><div class="faces">{shown}</div></div>'


def cards(boxes: Sequence[str]) -> str:
    """Boxes side by side, as many as the screen has room for."""
    return f'<div class="cards">{"".join(boxes)}</div>'


def _jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0).squeeze()).save(stream, "JPEG", quality=82)
    return stream.getvalue()


def inlined(data: bytes, kind: str, alt: str) -> str:
    """A picture file's bytes as part of the page; kind is png or jpeg."""
    encoded = base64.b64encode(data).decode()
    return f'<img src="data:image/{kind};base64,{encoded}" alt="{escape(alt)}">'
