"""The report of a data set, made as a user makes it."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from agegender.data.table import Faces

from .conftest import DRAWN, refusal, run_here, run_script

SMALL = ("data=synthetic", f"data.drawn={DRAWN}", "data.image_size=48")


class Links(HTMLParser):
    """Everything that a browser would fetch or follow, and the headings."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.headings = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.headings += tag == "h2"
        self.targets += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_report_of_drawn_portraits_is_one_page_that_needs_no_network(tmp_path: Path):
    done = run_script("explore", *SMALL, f"output_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "index.html") in done.stdout
    html = (tmp_path / "index.html").read_text()
    links = Links()
    links.feed(html)
    assert links.headings == 9
    assert all(target.startswith(("data:", "#")) for target in links.targets)
    assert not re.search(r"@import|url\(|<script", html)
    pictures = sorted(path.stem for path in (tmp_path / "figures").glob("*.png"))
    assert len(pictures) == 8 == html.count("data:image/png")
    assert pd.read_csv(tmp_path / "counts.csv")["all"].iloc[-1] == DRAWN
    assert len(pd.read_csv(tmp_path / "faces.csv")) == DRAWN


def test_copies_are_shown_with_their_labels_and_rejects_with_their_reason(
    drawn: Faces, tmp_path: Path
):
    folder = tmp_path / "faces"
    shutil.copytree(drawn.folder, folder)
    first = sorted(folder.glob("*.jpg"))[0]
    copy = folder / "61_1_3_<b>.jpg"
    shutil.copy(first, copy)
    (folder / "30_0_0_empty.jpg").touch()
    # drawn faces are alike, so near copies abound; what matters here is that all are told
    words = ["data.image_size=48", f"data.root={folder}", f"output_dir={tmp_path / 'out'}"]
    status, said = run_here("explore", *words, "groups_shown=500")
    assert status == 0, said
    html = (tmp_path / "out/index.html").read_text()
    assert "61 years, female, Indian" in html
    assert "61_1_3_&lt;b&gt;.jpg" in html
    assert "<b>" not in html
    assert "30_0_0_empty.jpg" in html
    groups = pd.read_csv(tmp_path / "out/copies.csv")
    mine = groups[groups["files"].str.contains("61_1_3_<b>")].iloc[0]
    assert first.name in mine["files"]
    assert html.count('class="card"') == groups.filter(like="_conflict").any(axis=1).sum()


def test_bad_input_ends_in_a_sentence_and_writes_nothing(tmp_path: Path):
    for word, sentence in (
        ("group_shown=3", "did you mean 'groups_shown'?"),
        ("groups_shown=-1", "groups_shown=-1 is not at least 0"),
        ("data=as_trained", "data=as_trained is for scripts/evaluate.py"),
    ):
        words = [word, f"output_dir={tmp_path / 'out'}"]
        assert sentence in refusal("explore", *words, cwd=tmp_path)
    assert not list(tmp_path.glob("out/*.html"))
