"""Files that want to run code, leave their folder, fill the memory or become formulas."""

import copy
import csv
import gzip
import pickle
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import agegender
from agegender import checkpoint
from agegender.data import source
from agegender.data.datamodule import FaceData
from agegender.data.files import FORMULA, as_cell
from agegender.data.own import read_labels
from agegender.data.synthetic import portrait
from agegender.data.table import Faces
from agegender.errors import InputError
from agegender.reports.predictions import read_predictions
from agegender.train import save_inputs

from ..conftest import composed, run_here
from .recorder import recorded

MARKUP = "<script>alert(1)<%2fscript><img src=x onerror=alert(2)>"
ODD: tuple[Any, ...] = (None, -1, "x", "${nope:1}", "${oc.env:HOME}", [], {}, 1.5, "???")


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # torch's own, of the plain pickle
def test_no_code_in_a_checkpoint_runs(checkpoint_file: Path, tmp_path: Path):
    """In any place of it, by any way that reads checkpoints, or a plain pickle under its name."""
    mark, path = tmp_path / "it ran", tmp_path / "c.ckpt"
    content = torch.load(checkpoint_file, map_location="cpu", weights_only=True)
    places = ("agegender", "state_dict", "callbacks", "optimizer_states", "extra")
    pickles = [content | {place: {"net.x": Evil(mark)}} for place in places]
    pickle.loads(pickle.dumps(Evil(mark)))  # the mark is made where pickles are trusted
    mark.unlink()

    def look() -> None:
        agegender.load(path, detector="none")

    def keep() -> None:
        checkpoint.keep_calibration(path, {})

    def resume() -> None:
        words = (f"ckpt_path={path}", f"output_dir={tmp_path / 'run'}", "data.drawn=40")
        status, said = run_here("train", "data=synthetic", "data.image_size=48", *words)
        assert status == 2, said
        raise InputError(said)

    for write in (*(lambda whole=whole: torch.save(whole, path) for whole in pickles),
                  lambda: path.write_bytes(pickle.dumps(Evil(mark)))):  # fmt: skip
        write()
        with pytest.raises(InputError, match="cannot be read"):
            look()
        with pytest.raises(InputError, match="Weights only load failed"):
            keep()
        assert not mark.exists()
        recorded("a checkpoint with pickled code", 0, "refused")
    torch.save(pickles[0], path)
    with pytest.raises(InputError):
        resume()
    assert not mark.exists()
    recorded("a checkpoint with pickled code, resumed", 0, "refused")


def described(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A checkpoint with one thing that it says of itself missing or odd."""

    def paths(node: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for key, value in node.items() if isinstance(node, dict) else ():
            yield (*above, key)
            yield from paths(value, (*above, key))

    kept = content["agegender"]["config"]
    read = {name: kept[name] for name in ("model", "loss", "channels_last", "flip_average")}
    read["data"] = {name: kept["data"][name] for name in ("image_size", "channels")}
    for *above, last in paths(read):
        for odd in ("absent", *ODD):
            told = copy.deepcopy(content["agegender"])
            node = told["config"]
            for key in above:
                node = node[key]
            node[last] = odd
            if odd == "absent":
                del node[last]
            yield f"{'.'.join([*above, last])}={odd!r}", content | {"agegender": told}


def test_an_odd_description_is_a_sentence(checkpoint_file: Path, tmp_path: Path):
    content = torch.load(checkpoint_file, map_location="cpu", weights_only=True)
    face, path, answered = portrait(0, 0)[1], tmp_path / "c.ckpt", []
    # one in seven of all places and oddities: a prime, so that each place comes
    for number, (what, whole) in enumerate(described(content)):
        if number % 7:
            continue
        checkpoint.save(whole, path)
        try:
            found = agegender.load(path, detector="none").predict(face)
            assert np.isfinite(found["age_pred"]).all(), what
            answered.append(what)
            recorded("a checkpoint whose description is odd", number, "answered")
        except InputError:
            recorded("a checkpoint whose description is odd", number, "refused")
    assert len(answered) < 15, answered


@pytest.mark.parametrize(
    "target",
    ["os.system", "subprocess.Popen", "builtins.eval", "torch.hub.load", "hydra.utils.get_method",
     "lightning.pytorch.Trainer", "agegender.data.files.whole_file", "agegender.train.train",
     "agegender.models.net.torch.load", "agegender.models..os.system"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["model", "model.backbone", "loss", "model.hidden"])
def test_no_dangerous_target_of_a_checkpoint_is_called(target, where, checkpoint_file, tmp_path):
    content = torch.load(checkpoint_file, map_location="cpu", weights_only=True)
    node = content["agegender"]["config"]
    *above, last = where.split(".")
    for key in above:
        node = node[key]
    node[last] = {"_target_": target, "command": f"touch {tmp_path / 'it ran'}"}
    checkpoint.save(content, tmp_path / "c.ckpt")
    with pytest.raises(InputError, match=r"may be built|no such thing|not a class"):
        checkpoint.load(tmp_path / "c.ckpt")
    assert not (tmp_path / "it ran").exists()
    recorded("a checkpoint with a dangerous _target_", 0, "refused")


def tar_of(path: Path, count: int, kind: bytes, name: str = "UTKFace/{}.jpg") -> Path:
    """A tar of many empty members of a kind, written without keeping any."""
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for number in range(count):
            info = tarfile.TarInfo(name.format(number))
            info.type, info.linkname = kind, "../../outside"
            stream.write(info.tobuf(tarfile.USTAR_FORMAT))
        stream.write(bytes(1024))
    return path


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_an_archive_of_too_many_members_is_refused(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MAX_MEMBERS", 1000)
    archive = tar_of(tmp_path / "a.tar.gz", 1500, kind)
    with pytest.raises(InputError, match=r"more than 1,000 (files|members)"):
        source.extract(archive, tmp_path / "c")
    recorded("an archive of too many members", 0, "refused")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["files", "folders", "zip"])
def test_a_million_members_take_neither_long_nor_much_memory(kind: str, tmp_path: Path):
    if kind == "zip":
        archive = tmp_path / "a.zip"
        with zipfile.ZipFile(archive, "w") as bundle:
            for number in range(1_000_000):
                bundle.writestr(zipfile.ZipInfo(f"UTKFace/{number}.jpg"), b"")
    else:
        of = {"files": tarfile.REGTYPE, "folders": tarfile.DIRTYPE}[kind]
        archive = tar_of(tmp_path / "a.tar.gz", 1_000_000, of)
    code = (
        "import sys; from pathlib import Path; from agegender.data.source import extract\n"
        "from agegender.usage import peak_rss_mb\n"
        "try: extract(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except Exception as error: print(peak_rss_mb(), type(error).__name__, error)"
    )
    command = [sys.executable, "-c", code, str(archive), str(tmp_path / "c")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    peak = float(done.stdout.partition(" ")[0])
    recorded(f"an archive of a million members ({kind})", 0, f"refused, {peak:.0f} MB in all")
    assert "InputError" in done.stdout
    assert "more than 200,000" in done.stdout
    assert peak < 1500  # with all that is imported


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_of_many_megabytes_is_refused(kind: bytes, tmp_path: Path):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, 40 << 20
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as stream:
        stream.write(info.tobuf(tarfile.USTAR_FORMAT))
        stream.write(bytes(40 << 20))
    with pytest.raises(InputError, match="it has a name of 41,943,040 bytes"):
        source.extract(tmp_path / "a.tar.gz", tmp_path / "c")
    recorded("an archive with a name of 40 MB", 0, "refused")


@pytest.mark.parametrize(
    "name",
    ["UTKFace/../../out.jpg", "/UTKFace/out.jpg", "../UTKFace/out.jpg", "UTKFace/../UTKFace/o.jpg"],
)
def test_no_zip_writes_outside(name: str, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        bundle.writestr("UTKFace/1_1_1_1.jpg", b"x")
        bundle.writestr(name, b"x")
    with pytest.raises(InputError, match="points outside the archive"):
        source.extract(tmp_path / "a.zip", tmp_path / "c")
    assert [path.name for path in tmp_path.rglob("*.jpg")] == []
    recorded("an archive with .. or an absolute name", 0, "refused")


def test_a_link_or_device_in_a_zip_is_a_plain_file(tmp_path: Path):
    """Only a mode in a zip says that it is a link; its content is written, and not followed."""
    info = zipfile.ZipInfo("UTKFace/1_1_1_1.jpg")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        bundle.writestr(info, "/etc/passwd")
    folder = source.extract(tmp_path / "a.zip", tmp_path / "c")
    assert not (folder / "1_1_1_1.jpg").is_symlink()
    assert (folder / "1_1_1_1.jpg").read_text() == "/etc/passwd"
    recorded("a link in a zip", 0, "a plain file")


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.BLKTYPE, tarfile.SYMTYPE])
def test_no_link_or_device_of_a_tar_is_made(kind: bytes, tmp_path: Path):
    with pytest.raises(InputError, match=r"is a (link|device), not a file"):
        source.extract(tar_of(tmp_path / "a.tar.gz", 1, kind), tmp_path / "c")
    assert not list((tmp_path / "c").rglob("*"))
    recorded("a link or device in a tar", 0, "refused")


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.txt", "/dev/zero", "/proc/self/mem"])
def test_what_a_csv_points_to_outside_is_not_told(path: str, tmp_path: Path):
    """Any path may be named, as faces may lie anywhere; only a picture is ever read into a run."""
    (tmp_path / "secret.txt").write_text("the secret")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/f.csv").write_text(f"path,age,gender\n{path},30,1\n")
    data = FaceData(csv=str(tmp_path / "in/f.csv"), cache_dir=str(tmp_path / "c"))
    with pytest.raises(
        InputError, match=r"is no file|not a picture file|cannot be read: "
    ) as caught:
        data.setup("fit")
    assert "secret" not in str(caught.value).replace("secret.txt", "")
    recorded("a CSV that points outside", 0, "refused")


@pytest.mark.parametrize("first", FORMULA[:4])
def test_a_csv_of_faces_brings_no_formula_along(first: str, tmp_path: Path):
    name = f"{first}1+1.png"
    portrait(0, 0)[1].save(tmp_path / name)
    (tmp_path / "f.csv").write_text(f"path,age,gender\n{name},30,1\n")
    with pytest.raises(InputError, match=r"put \./ before it"):
        read_labels(tmp_path / "f.csv")
    (tmp_path / "f.csv").write_text(f"path,age,gender\n./{name},30,1\n")
    assert read_labels(tmp_path / "f.csv")["file"].tolist() == [f"./{name}"]
    recorded("a formula in a CSV of faces", 0, "refused")


def no_formula(folder: Path) -> int:
    """How many cells all CSV files of a folder have; none is computed by a spreadsheet."""
    cells = 0
    for path in folder.rglob("*.csv"):
        with path.open(newline="") as stream:
            for row in csv.reader(stream):
                for cell in row:
                    cells += 1
                    assert not cell.startswith(FORMULA) or _number(cell), (path.name, cell)
    return cells


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


class Live(HTMLParser):
    """What of a page would run or be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        live = [name for name, _ in attrs if name.startswith("on")]
        far = [
            v for name, v in attrs if name in ("src", "href") and not v.startswith(("data:", "#"))
        ]
        self.found += [tag] * (tag in ("script", "iframe", "object")) + live + far


@pytest.fixture
def hostile_names(drawn: Faces, tmp_path: Path) -> Path:
    """A folder of faces, beside names that are markup or formulas."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for name in drawn.frame["file"][:40]:
        (folder / name).write_bytes((drawn.folder / name).read_bytes())
    for name in (f"{MARKUP}.jpg", "=1+1.jpg", "@SUM(A1).jpg", "-2+3.jpg", "+4.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / f"30_1_1_{MARKUP}.jpg").write_bytes((folder / drawn.frame["file"][0]).read_bytes())
    return folder


def test_names_of_files_are_no_formulas_beside_a_training(hostile_names: Path, tmp_path: Path):
    data = FaceData(root=str(hostile_names), cache_dir=str(tmp_path / "c"), image_size=48)
    data.setup("fit")
    run = tmp_path / "run"
    save_inputs(composed("data=synthetic", f"output_dir={run}"), data, run)
    assert no_formula(run) > 100
    assert "'=1+1.jpg" in (run / "rejects.csv").read_text()
    recorded("formulas in names of files, beside a training", 0, "escaped")


@pytest.mark.slow
def test_names_of_files_are_neither_markup_nor_formulas(hostile_names: Path, tmp_path: Path):
    words = ("data.image_size=48", f"data.root={hostile_names}", f"output_dir={tmp_path / 'out'}")
    status, said = run_here("explore", *words)
    assert status == 0, said
    page, live = (tmp_path / "out/index.html").read_text(), Live()
    live.feed(page)
    assert live.found == []
    assert "&lt;script&gt;" in page
    assert no_formula(tmp_path / "out") > 100
    recorded("markup and formulas in names of files", 0, "escaped")


@pytest.mark.parametrize("report", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_foreign_table_of_predictions_brings_neither_along(report: bool, tmp_path: Path):
    rng = np.random.default_rng(0)
    n = 60
    table = pd.DataFrame(
        {
            "file": [f"{first}{i}{MARKUP}" for i, first in zip(range(n), "=+-@" * n, strict=False)],
            "part": ["val", "test"] * (n // 2),
            "group_id": [f"=HYPERLINK({i})" for i in range(n)],
            "age_years": rng.integers(1, 90, n),
            "age_pred": rng.uniform(1, 90, n),
            "gender": [0, 0, 1, 1] * (n // 4),
            "p_female": rng.uniform(0, 1, n),
            "note": ["@SUM(A1)"] * n,
            "=1+1": 1,
        }
    )
    path, out = tmp_path / "p.csv", tmp_path / "out"
    table.to_csv(path, index=False)
    if not report:
        out.mkdir()
        read_predictions(path).to_csv(out / "predictions.csv", index=False)
        assert no_formula(out) > 100
        return
    status, said = run_here("evaluate", f"predictions={path}", f"output_dir={out}")
    assert status == 0, said
    live = Live()
    live.feed((out / "report.html").read_text())
    assert live.found == []
    assert no_formula(out) > 100
    recorded("markup and formulas in a table of predictions", 0, "escaped")


def test_the_answer_of_the_page_holds_no_markup_of_others():
    from agegender.answer import answer

    looked = SimpleNamespace(rows=[{"face": 0, "error": MARKUP}], picture=None, age_p=None)
    live = Live()
    live.feed(answer(looked, 0.9))
    assert live.found == []
    recorded("markup in what the page says", 0, "escaped")


def test_an_escaped_cell_stays_as_it_is():
    for first in FORMULA:
        assert as_cell(f"{first}1") == as_cell(as_cell(f"{first}1")) == f"'{first}1"
    assert as_cell("26_1_2.jpg") == "26_1_2.jpg"
