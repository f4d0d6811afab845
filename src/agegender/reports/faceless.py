"""A report that may be published: Markdown, its tables and its figures, without anybody's face."""

import base64
import shutil
from html.parser import HTMLParser
from pathlib import Path

from agegender.command import for_anybody
from agegender.data.files import whole_file, whole_folder
from agegender.errors import InputError

TEXT = "report.md"
HEADINGS = {"h1": "# ", "h2": "## ", "h3": "### "}
FACES = {"card", "faces"}  # boxes of the page that hold faces and what is said of them


def publish(evaluation: Path, to: Path) -> list[Path]:
    """Copy the report of an evaluation or a comparison, but for its sections that show faces.

    Args:
        evaluation: a run's or an evaluation's folder, with `report.html` and `report/`, or that of
            a comparison, with `compare.html` and `compare/`.
        to: the folder to write; one that is there is replaced as a whole.

    Returns:
        The files in it: `report.md`, and the CSVs and PNGs.

    Raises:
        InputError: if the evaluation has no report, or `to` holds something else.
    """
    kind = "compare" if (evaluation / "compare.html").is_file() else "report"
    page, source = evaluation / f"{kind}.html", evaluation / kind
    if not page.is_file() or not source.is_dir():
        raise InputError(f"{evaluation} has no report.html: score it with scripts/evaluate.py")
    if to.exists() and not (to / TEXT).is_file():
        raise InputError(f"{to} is there already and is no published report: name another folder")
    drawn = {path.read_bytes(): path.name for path in sorted(source.glob("*.png"))}
    reader = _Reader(drawn)
    reader.feed(page.read_text(encoding="utf-8"))
    shutil.rmtree(to, ignore_errors=True)
    with whole_folder(to) as temporary:
        for path in [*source.glob("*.csv"), *source.glob("*.png")]:
            shutil.copyfile(path, temporary / path.name)
        with whole_file(temporary / TEXT) as text:
            text.write_text("\n".join(reader.lines).strip() + "\n", encoding="utf-8")
    return sorted(to.iterdir())


class _Reader(HTMLParser):
    """A report's page line by line, as Markdown.

    Args:
        drawn: the file name of each figure, by its bytes; other pictures are left out.
    """

    def __init__(self, drawn: dict[bytes, str]) -> None:
        super().__init__()
        self.drawn, self.lines = drawn, [""]
        self.within: list[str] = []  # boxes that are open: the class of each
        self.row: list[str] | None = None
        self.words: list[str] | None = None
        self.section, self.with_faces = 0, False  # where it begins in the lines, what it shows

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "div":
            self.within.append(found.get("class") or "")
        if tag == "section":
            self.section, self.with_faces = len(self.lines), False
        if self._faces():
            self.with_faces = True
            return
        if tag == "img":
            data = (found.get("src") or "").partition("base64,")[2]
            if name := self.drawn.get(base64.b64decode(data)):
                self.lines += [f"![{found.get('alt')}]({name})", ""]
        elif tag == "tr":
            self.row = []
        elif tag in (*HEADINGS, "p", "td", "th"):
            self.words = []

    def handle_data(self, data: str) -> None:
        if self.words is not None and not self._faces():
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            self.within.pop()
        if tag == "section" and self.with_faces:
            del self.lines[self.section :]
        if self._faces():
            return
        if tag == "tr" and self.row is not None:
            self.lines.append(f"| {' | '.join(self.row)} |")
            if self.lines[-2] == "":  # the first row is the head
                self.lines.append(f"|{'---|' * len(self.row)}")
            self.row = None
        elif tag == "table":
            self.lines.append("")
        elif self.words is not None and tag in (*HEADINGS, "p", "td", "th"):
            said, self.words = " ".join("".join(self.words).split()), None
            if tag in ("td", "th") and self.row is not None:
                said = for_anybody(said) if self.row == ["command"] else said
                self.row.append(said.replace("|", "\\|"))
            else:
                self.lines += [HEADINGS.get(tag, "") + said, ""]

    def _faces(self) -> bool:
        return bool(FACES & set(self.within))
