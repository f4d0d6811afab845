import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError

import numpy as np
import pytest
from PIL import Image

import agegender
from agegender.answer import answer, curves
from agegender.app import EXAMPLES, drawn, of_drawn, of_file
from agegender.data import synthetic
from agegender.errors import InputError
from agegender.reader import Model

from .chromium import PROGRAM, Chromium
from .conftest import ROOT, TORCHS_OWN, refusal, run_script

DRAWN = synthetic.portrait(0, 5)[1]  # one that the detector takes for a face


class Cells(HTMLParser):
    """The text of a page's table cells, and its other words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.words, self._inside = "", False
        self.images: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "td":
            self.cells.append("")
        if tag == "img":
            self.images.append(dict(attrs))
        self._inside = tag in ("td", "img") and bool(self.cells)

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data.strip()
        self.words += data + " "


@pytest.fixture(scope="module")
def crops(checkpoint_file: Path) -> Model:
    """A model whose pictures are face crops already."""
    return agegender.load(checkpoint_file, detector="none")


@pytest.fixture(scope="module")
def photos(checkpoint_file: Path) -> Model:
    """A model that finds faces."""
    pytest.importorskip("lz4", reason="needs the extra portrait")
    return agegender.load(checkpoint_file)


def uploaded(folder: Path, name: str, content: bytes | Image.Image) -> Path:
    """A file where gradio puts what is uploaded."""
    path = folder / "a1b2" / name
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.save(path)
    return path


def test_an_upload_is_answered_and_deleted(crops: Model, tmp_path: Path):
    row = crops.predict(DRAWN).iloc[0]
    said = Cells(of_file(crops, uploaded(tmp_path, "me.png", DRAWN), tmp_path))
    assert said.cells == [
        "1", f"{row['age_pred']:.0f}", f"{row['age_lo']:.0f}-{row['age_hi']:.0f}", row["gender"],
        f"{max(row['p_female'], 1 - row['p_female']):.0%}",
    ]  # fmt: skip
    assert "Found: one face" in said.words
    assert "90% of the ages that annotators give" in said.words
    assert len(said.images) == 3  # the copy, the face and its distribution
    assert all(str(image["src"]).startswith("data:image/") for image in said.images)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"age,gender", "No answer: not a picture that can be read"),
        (b"", "No answer: empty file"),
        (Image.new("RGB", (300, 300), (90, 120, 60)), "No answer: no face found"),
    ],
)
def test_what_has_no_answer_is_told_and_deleted(photos: Model, tmp_path: Path, content, reason):
    said = Cells(of_file(photos, uploaded(tmp_path, "text.jpg", content), tmp_path))
    assert reason in said.words
    assert not said.images
    assert not list(tmp_path.iterdir())


def test_no_other_file_is_read_or_deleted(crops: Model, tmp_path: Path):
    DRAWN.save(tmp_path / "mine.png")
    (tmp_path / "uploads/a1b2").mkdir(parents=True)
    (tmp_path / "uploads/a1b2/link.png").symlink_to(tmp_path / "mine.png")
    for path in ("mine.png", "uploads/../mine.png", "uploads/a1b2/link.png", "uploads"):
        with pytest.raises(InputError, match="was not uploaded"):
            of_file(crops, tmp_path / path, tmp_path / "uploads")
    assert (tmp_path / "mine.png").exists()


def test_each_face_has_its_own_line_and_curve(photos: Model):
    wide = Image.new("RGB", (700, 420), (70, 90, 110))
    wide.paste(DRAWN, (30, 30))
    wide.paste(DRAWN.resize((300, 300)), (330, 60))
    (looked,) = photos.look([("", wide)])
    said = Cells(answer(looked, 0.9))
    assert "Found: 2 faces" in said.words
    assert [said.cells[0], said.cells[5]] == ["1", "2"]
    assert looked.age_p is not None
    for axes, p in zip(curves(looked.rows, looked.age_p).axes, looked.age_p, strict=True):
        bars = [bar.get_height() for bar in axes.patches if bar.get_width() == 1]
        np.testing.assert_allclose(bars, p)


def test_distributions_belong_to_their_faces(crops: Model):
    """The answered age of the fixture's age loss is its distribution's mean."""
    images = [synthetic.portrait(5, i)[1] for i in range(3)]
    pictures = [("a", images[0]), ("b", b"no picture"), ("c", images[1]), ("d", images[2])]
    for looked in crops.look(pictures):
        if looked.picture is None:
            assert looked.age_p is None
            continue
        assert looked.age_p is not None
        np.testing.assert_allclose(looked.age_p.sum(1), 1, atol=1e-4)
        mean = looked.age_p @ np.arange(looked.age_p.shape[1])
        np.testing.assert_allclose(mean, [row["age_pred"] for row in looked.rows], atol=1e-2)


def test_what_a_network_does_not_say_is_left_out(crops: Model):
    (looked,) = crops.look([("", DRAWN)])
    plain = [{**row, "age_lo": np.nan, "age_hi": np.nan} for row in looked.rows]
    said = Cells(answer(looked._replace(rows=plain, age_p=None), 0.9))
    assert said.cells[2] == "-"
    assert "was not calibrated" in said.words
    assert "no distribution over ages" in said.words
    assert len(said.images) == 2


def test_warnings_are_told_below_their_face(crops: Model):
    (looked,) = crops.look([("", DRAWN)])
    rows = [{**row, "warning": "blurred, cut"} for row in looked.rows]
    said = Cells(answer(looked._replace(rows=rows), 0.9))
    assert said.cells[5:] == ["face 1 may be read wrong: it is blurred, cut"]


def test_the_examples_are_faces_to_the_detector(photos: Model):
    for number in EXAMPLES:
        assert photos.predict(synthetic.portrait(0, number)[1])["faces"].tolist() == [1]
    for seed in range(2):
        scene = drawn(np.random.default_rng(seed), 3)
        assert photos.predict(scene)["faces"].tolist() == [3, 3, 3]
    assert "Found: one face" in of_drawn(photos, 1)


@pytest.mark.skipif(find_spec("gradio") is None, reason="needs the extra app")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["checkpoint=gone.ckpt"], "checkpoint=gone.ckpt does not exist"),
        (["checkpoint=gone.ckpt", "detector=boxes"], "the page takes mtcnn or none"),
        (["checkpoint=gone.ckpt", "port=0"], "port=0: must be from 1 to 65535"),
        (["chekpoint=a.ckpt"], "did you mean 'checkpoint'?"),
    ],
)
def test_bad_words_are_told(tmp_path: Path, words: list[str], said: str):
    assert said in refusal("app", *words, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def page(checkpoint_file: Path, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The page's address and the folder of its temporary files, which is empty in the end."""
    pytest.importorskip("lz4", reason="needs the extra portrait")
    if find_spec("gradio") is None:
        pytest.skip("needs the extra app")
    temporary = tmp_path_factory.mktemp("temporary")
    command = [sys.executable, str(ROOT / "scripts/app.py"), f"checkpoint={checkpoint_file}"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        command, cwd=temporary.parent, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        word, address, *_ = process.stdout.readline().split()
        assert word == "open"
        yield address, temporary
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not list(temporary.glob("agegender_*"))


def files_in(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if path.name != TORCHS_OWN]


SAID = "document.querySelector('.said').innerText"


def asked(browser: Chromium, file: Path, words: str) -> str:
    """What the page says of a file, once it has those words in it."""
    browser.wait("document.querySelector('input[type=file]') !== null")
    browser.choose(file)
    browser.wait(f"{SAID}.includes({words!r})")
    return str(browser.run(SAID))


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")
def test_the_page_in_a_browser(page, photos: Model, tmp_path: Path):
    address, temporary = page
    DRAWN.save(tmp_path / "portrait.png")
    Image.new("RGB", (300, 300), (90, 120, 60)).save(tmp_path / "meadow.jpg")
    (tmp_path / "text.jpg").write_text("age,gender")
    with Chromium(tmp_path / "profile") as browser:
        browser.size(1200, 900)
        browser.call("Page.navigate", url=address)
        browser.wait("!!document.querySelector('.said')")
        said = asked(browser, tmp_path / "portrait.png", "one face")
        row = photos.predict(DRAWN).iloc[0]
        assert f"{row['age_pred']:.0f}" in said.split()
        assert f"{row['age_lo']:.0f}-{row['age_hi']:.0f}" in said.split()
        assert row["gender"] in said
        shown = "[...document.querySelectorAll('.said img')].every(i => i.naturalWidth > 40)"
        assert browser.run(shown)
        assert not files_in(temporary)
        asked(browser, tmp_path / "text.jpg", "not a picture that can be read")
        asked(browser, tmp_path / "meadow.jpg", "no face found")
        browser.run(
            "[...document.querySelectorAll('button')]"
            ".find(b => b.innerText.includes('three')).click()"
        )
        browser.wait(f"{SAID}.includes('3 faces')")
        browser.size(390, 844, phone=True)
        asked(browser, tmp_path / "portrait.png", "one face")
        right = (
            "[...document.querySelectorAll('.said *')].map(e => e.getBoundingClientRect().right)"
        )
        assert browser.run(f"Math.max(document.documentElement.scrollWidth, ...{right})") <= 390
        loaded = browser.run("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert len(loaded) > 5
    assert [url for url in loaded if not url.startswith((address, "data:", "blob:"))] == []
    assert not files_in(temporary)


@pytest.mark.slow
def test_the_page_has_a_policy_and_no_way_out(page, checkpoint_file: Path):
    address, temporary = page
    with urllib.request.urlopen(address) as answered:
        assert answered.headers["content-security-policy"].startswith("default-src 'self'")
        assert b"fonts.googleapis" not in answered.read()
    for place in ("file=/etc/passwd", "info"):
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(f"{address}gradio_api/{place}")
        with refused.value:
            assert refused.value.code == 404, place
    assert not files_in(temporary)
    port = address.rstrip("/").rpartition(":")[2]
    again = run_script("app", f"checkpoint={checkpoint_file}", f"port={port}")
    assert again.returncode == 2
    assert f"error: the page cannot be shown at host=127.0.0.1 port={port}" in again.stderr
    assert "Traceback" not in again.stderr
