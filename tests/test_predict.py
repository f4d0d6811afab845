import json
import os
import shutil
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import agegender
from agegender.data import synthetic
from agegender.errors import InputError
from agegender.portraits.annotate import label_of
from agegender.portraits.faces import POINTS
from agegender.portraits.read import read_bytes
from agegender.predict import _content, _done, list_files, table_lines
from agegender.reader import COLUMNS
from agegender.schemas import PredictConfig

from .conftest import ROOT, composed, refusal, run_here
from .portraits.test_read import png_header


@pytest.fixture(scope="session")
def bad_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn portraits under difficult names, beside files that cannot be used."""
    folder = tmp_path_factory.mktemp("pictures of\nmine, [2] 'x'")
    (folder / "deeper").mkdir()
    for number, name in enumerate(["a.jpg", "b b.png", "deeper/c\nc.webp", "deeper/d=,é.TIFF"]):
        synthetic.portrait(1, number)[1].save(folder / name)
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("age,gender")
    (folder / "bomb.png").write_bytes(png_header(30_000, 30_000))
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:3000])
    (folder / "leads nowhere.jpg").symlink_to(folder / "nothing.jpg")
    (folder / "notes.txt").write_text("no picture, and not called one")
    return folder


REASONS = {
    "empty.jpg": "empty file",
    "text.jpg": "not a picture that can be read",
    "bomb.png": "too many pixels (at most 60,000,000)",
    "cut.jpg": "damaged: ",
    "leads nowhere.jpg": "does not exist",
}


def rows_of(folder: Path) -> list[dict]:
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def predicted(checkpoint_file: Path, bad_folder: Path, tmp_path_factory) -> tuple[Path, str]:
    """What the script leaves and says of that folder, in a process of its own."""
    out = tmp_path_factory.mktemp("predicted") / "out"
    command = [
        sys.executable, str(ROOT / "scripts/predict.py"), f"input={bad_folder}", "input=-",
        f"checkpoint={checkpoint_file}", "detector=none", "annotate=true", f"output_dir={out}",
    ]  # fmt: skip
    data = (bad_folder / "a.jpg").read_bytes()
    done = subprocess.run(command, input=data, capture_output=True, timeout=600)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert done.returncode == 1
    return out, done.stdout.decode()


def test_bad_files_are_rows_with_reasons_and_the_others_go_on(predicted, bad_folder):
    out, said = predicted
    rows = {Path(row["file"]).name: row for row in rows_of(out)}
    assert len(rows) == 10
    read = rows.pop("-")  # standard input had the same picture
    assert (read["age_pred"], read["error"]) == (rows["a.jpg"]["age_pred"], "")
    there = {name: os.path.join(at, name) for at, _, names in os.walk(bad_folder) for name in names}
    failed = {name: row["error"] for name, row in rows.items() if row["error"]}
    assert failed.keys() == REASONS.keys()
    for name, reason in REASONS.items():
        assert failed[name].startswith(reason)
        assert reason in said
    for name, row in rows.items():
        assert row["file"] == there[name]
        if not row["error"]:
            assert 0 <= row["age_pred"] <= 120
            assert row["gender"] == ("female" if row["p_female"] > 0.5 else "male")
            assert (row["face"], row["faces"], row["left"]) == (1, 1, None)
    assert "10 pictures, 5 of them without an answer" in said


def test_table_lines_and_annotated_copies_agree(predicted):
    out, said = predicted
    table = pd.read_csv(out / "predictions.csv", keep_default_na=False, na_values=[""])
    assert tuple(table.columns) == COLUMNS
    lines = pd.DataFrame(rows_of(out))
    np.testing.assert_allclose(table["age_pred"], lines["age_pred"].astype(float))
    assert table["file"].tolist() == ["'-" if f == "-" else f for f in lines["file"]]
    copies = sorted((out / "annotated").iterdir())
    assert len(copies) == 5
    for copy in copies:
        with Image.open(copy) as image:
            assert min(image.size) >= 480  # so that labels can be read
    assert said.count("1/1") == 5


def test_crops_are_answered_as_evaluation_answers_them(checkpoint_file: Path, tmp_path: Path):
    """The whole path of `detector=none` against Lightning, the cache and the data module."""
    from agegender.evaluate import evaluate

    words = [f"checkpoint={checkpoint_file}", f"output_dir={tmp_path}", "precision=32-true"]
    evaluate(composed(*words, name="evaluate"))
    wanted = pd.read_csv(tmp_path / "predictions.csv")
    wanted = wanted[wanted["part"] == "test"]
    folder = synthetic.draw_folder(Path(os.environ["AGEGENDER_DATA"]), 160, 0)
    model = agegender.load(checkpoint_file, detector="none")
    found = model.predict([folder / file for file in wanted["file"]])
    np.testing.assert_allclose(found["age_pred"], wanted["age_pred"], atol=1e-3)
    np.testing.assert_allclose(found["age_sd"], wanted["age_sd"], atol=1e-3)
    np.testing.assert_allclose(found["p_female"], wanted["p_female"], atol=1e-4)


def test_paths_pictures_arrays_and_tensors_say_the_same(checkpoint_file: Path, tmp_path: Path):
    model = agegender.load(str(checkpoint_file), detector="none")
    image = synthetic.portrait(2, 0)[1]
    image.save(tmp_path / "a.png")
    array = np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    kinds = [tmp_path / "a.png", str(tmp_path / "a.png"), image, array, tensor, tensor / 255]
    several = model.predict(kinds)
    assert several["age_pred"].nunique() == 1
    assert several["file"].tolist() == [str(tmp_path / "a.png")] * 2 + ["2", "3", "4", "5"]
    for one in (*kinds, array[None], tensor[None]):
        assert model.predict(one)["age_pred"].tolist() == [several["age_pred"][0]]
    assert model.predict([]).empty
    wrong = model.predict([image, "/nowhere.jpg"])
    assert wrong["error"].tolist() == ["", "does not exist"]
    assert wrong["age_pred"].isna().tolist() == [False, True]


def test_what_cannot_be_used_in_memory_is_a_row_and_the_others_go_on(checkpoint_file: Path):
    image = synthetic.portrait(2, 0)[1]
    stream = BytesIO()
    image.save(stream, "PNG")
    cut = Image.open(BytesIO(stream.getvalue()[:9000]))
    empty = Image.open(BytesIO(png_header(9_440, 9_440)))  # not decoded, and must not be
    good = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)
    cases = {
        "": good,
        "damaged: ": cut,
        "9440 x 9440 pixels are too many (at most 60,000,000)": empty,
        "a tensor of shape (40, 40): it must be (3, H, W)": torch.zeros(40, 40),
        "a float tensor of values from ": good.float(),
        "a float tensor of values from -1 to 1: they must be within 0 to 1": good / 127.5 - 1,
        "a float tensor of values from nan to nan": torch.full((3, 40, 40), torch.nan),
        "an array of shape (4, 40, 40, 3)": np.zeros((4, 40, 40, 3), np.uint8),
    }
    found = agegender.load(checkpoint_file, "none").predict([*cases.values(), good])
    for said, error in zip([*cases, ""], found["error"], strict=True):
        assert error.startswith(said)
        assert bool(error) == bool(said), error
    assert found["age_pred"].notna().sum() == 2


def test_a_box_beyond_its_picture_is_that_pictures_row(checkpoint_file: Path, tmp_path: Path):
    for name in ("a.png", "b.png"):
        synthetic.portrait(2, 0)[1].save(tmp_path / name)
    text = "file,left,top,right,bottom\na.png,0,0,20000,20000\nb.png,40,40,160,160\n"
    (tmp_path / "boxes.csv").write_text(text)
    model = agegender.load(checkpoint_file, "boxes", tmp_path / "boxes.csv")
    found = model.predict([tmp_path / "a.png", tmp_path / "b.png"])
    assert "it must be above 0 and at most 1000, 5 times the picture" in found["error"][0]
    assert found["error"][1] == ""


def test_many_small_batches_say_what_one_does(checkpoint_file: Path):
    model = agegender.load(checkpoint_file, detector="none")
    images = [synthetic.portrait(3, i)[1] for i in range(70)]  # more than wait together
    whole = model.predict(images)
    alone = pd.concat([model.predict(image) for image in images[::23]])
    np.testing.assert_allclose(whole["age_pred"][::23], alone["age_pred"], atol=1e-3)


def test_brought_boxes_and_points_are_used(checkpoint_file: Path, tmp_path: Path):
    """Of a picture in a picture, the crop that its own place gives is the picture."""
    from agegender.portraits.align import TEMPLATE

    wide = Image.new("RGB", (900, 700), (90, 120, 60))
    faces = [synthetic.portrait(4, i)[1] for i in range(2)]
    corners = [(40, 300), (500, 80)]
    for face, corner in zip(faces, corners, strict=True):
        wide.paste(face, corner)
    wide.save(tmp_path / "two.png")
    rows = [["two.png", *(TEMPLATE + corner).ravel()] for corner in corners]
    table = pd.DataFrame([*rows, ["other.png", *rows[0][1:]]], columns=["file", *POINTS])
    table.to_csv(tmp_path / "boxes.csv", index=False)
    model = agegender.load(checkpoint_file, "boxes", tmp_path / "boxes.csv")
    found = model.predict(tmp_path / "two.png")
    wanted = agegender.load(checkpoint_file, "none").predict(faces)
    np.testing.assert_allclose(found["age_pred"], wanted["age_pred"], atol=1e-3)
    assert found["warning"].tolist() == ["", ""]
    wide.save(tmp_path / "not in it.png")
    assert model.predict(tmp_path / "not in it.png")["error"].tolist() == ["no face found"]


def test_a_run_that_was_cut_off_goes_on(predicted, checkpoint_file, bad_folder, tmp_path: Path):
    done, _ = predicted
    out = tmp_path / "out"
    shutil.copytree(done, out)
    lines = (out / "predictions.jsonl").read_text().splitlines(keepends=True)
    (out / "predictions.jsonl").unlink()
    (out / "predictions.csv").unlink()
    (out / "predictions.part.jsonl").write_text("".join(lines[:4]) + lines[4][:30])
    words = (
        f"input={bad_folder}", f"checkpoint={checkpoint_file}", "detector=none",
        f"output_dir={out}", "annotate=true",
    )  # fmt: skip
    assert "has predictions already: say resume=true" in refusal("predict", *words, cwd=tmp_path)
    status, said = run_here("predict", *words, "resume=true", cwd=tmp_path)
    assert status == 1, said
    copies = {copy.name for copy in (out / "annotated").iterdir()}
    assert copies == {copy.name for copy in (done / "annotated").iterdir()}
    assert (out / "predictions.jsonl").read_text() == "".join(lines[:-1])  # without -
    assert (out / "predictions.csv").read_text() in (done / "predictions.csv").read_text()
    for other in ("detector=mtcnn", "annotate=false"):
        key = other.partition("=")[0]
        changed = [other if word.startswith(key) else word for word in words]
        told = refusal("predict", *changed, "resume=true", cwd=tmp_path)
        assert "was begun with another checkpoint, detector" in told
        assert "or annotate" in told


def test_difficult_names_and_another_standard_input(checkpoint_file, tmp_path, monkeypatch):
    """In a folder that holds its own results, with too few faces for the level, looked at twice."""
    where = tmp_path / "in"
    where.mkdir()
    for number, name in enumerate(["=1+1.png", "写" * 82 + ".png"]):
        synthetic.portrait(1, number)[1].save(where / name)
    words = (
        "input=*.png", f"input={where}", "input=-", f"checkpoint={checkpoint_file}", "level=0.99",
        "detector=none", f"output_dir={where / 'out'}", "annotate=true",
    )  # fmt: skip
    for resume in ("resume=false", "resume=true"):
        sent = (where / "=1+1.png").open("rb")
        with sent, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", SimpleNamespace(buffer=sent))
            status, said = run_here("predict", *words, resume, cwd=where)
        assert status == 0, said
    text = (where / "out/predictions.jsonl").read_text()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert [row["file"] for row in rows].count("-") == 2
    assert len(rows) == 6  # both by the pattern and by the folder
    assert {(row["age_lo"], row["age_hi"]) for row in rows} == {(0, None)}
    assert said.count(" 0-? ") == 6
    assert len(list((where / "out/annotated").iterdir())) == 5  # one of standard input
    table = pd.read_csv(where / "out/predictions.csv")
    assert table["file"][0] == "'=1+1.png"
    assert rows[0]["file"] == "=1+1.png"
    # the table can be brought again, with its escaped name
    table[["left", "top", "right", "bottom"]] = [0, 0, 200, 200]
    table.to_csv(where / "out/boxes.csv", index=False)
    monkeypatch.chdir(where)
    brought = agegender.load(checkpoint_file, "boxes", "out/boxes.csv").predict("=1+1.png")
    assert brought["error"].unique().tolist() == [""]


def test_the_table_of_a_training_is_not_written_over(tmp_path: Path):
    (tmp_path / "best.ckpt").write_bytes(b"weights")
    (tmp_path / "predictions.csv").write_text("of a training")
    given = PredictConfig(checkpoint=str(tmp_path / "best.ckpt"), output_dir=str(tmp_path))
    with pytest.raises(InputError, match=r"has a predictions\.csv of a training or an evaluation"):
        _done(tmp_path, given)
    assert not (tmp_path / "predict.json").exists()


def test_standard_input_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agegender.predict.MAX_BYTES", 1000)
    monkeypatch.setattr("agegender.portraits.read.MAX_BYTES", 1000)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=BytesIO(bytes(5000))))
    data = _content("-")
    assert len(data) == 1001
    with pytest.raises(ValueError, match="larger than 1,000 bytes"):
        read_bytes(data)


def test_an_interval_without_an_upper_end_is_shown_as_such():
    row = {
        "file": "a", "face": 1, "faces": 1, "age_pred": 30.0, "age_lo": 0.0, "age_hi": None,
        "gender": "male", "p_female": 0.1, "warning": "",
    }  # fmt: skip
    assert " 0-? " in table_lines([row])
    assert label_of(row | {"age_hi": float("inf")}) == "30 (0-?), male 90%"
    assert label_of(row | {"age_lo": float("nan"), "age_hi": float("nan")}) == "30, male 90%"


def test_a_picture_cut_in_the_middle_of_its_faces_is_looked_at_again(tmp_path: Path):
    from agegender.predict import _whole_pictures

    rows = [("a", 1, 2), ("a", 2, 2), ("b", 0, 0), ("c", 1, 3), ("c", 2, 3)]
    lines = [json.dumps({"file": f, "face": i, "faces": n}) + "\n" for f, i, n in rows]
    part = tmp_path / "part.jsonl"
    part.write_text("".join(lines) + '{"file": "c", "fa')
    assert _whole_pictures(part) == {"a", "b"}
    assert part.read_text() == "".join(lines[:3])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["input=nowhere.jpg"], "input=nowhere.jpg does not exist"),
        (["input=a b, (c).jpg"], "input=a b, (c).jpg does not exist"),
        (["input=${x} 'y'\\"], "input=${x} 'y'\\ does not exist"),
        (["input=bare"], "input=bare is a folder without pictures (.bmp, .gif,"),
        (["input=a[*.jpg"], "input=a[*.jpg fits no file, neither as a name nor as a pattern"),
        (["input=/dev/null"], "input=/dev/null is neither a file nor a folder"),
        ([], "input=FILE, FOLDER or 'PATTERN': name the pictures to look at"),
        (["input=one.png", "checkpoint=gone.ckpt"], "checkpoint=gone.ckpt does not exist"),
        (["input=one.png", "checkpoint=gone.onnx"], "checkpoint=gone.onnx does not exist"),
        (["input=one.png", "checkpoint=one.png"], "checkpoint=one.png cannot be read"),
        (["input=one.png", "checkpoint=text.onnx"], "checkpoint=text.onnx cannot be read"),
        (["input=one.png", "detector=dlib"], "detector=dlib is not one of mtcnn, none, boxes"),
        (["input=one.png", "detector=boxes"], "detector=boxes and boxes=TABLE.csv belong"),
        (["input=one.png", "runtime=onnx"], "runtime=onnx needs an exported file"),
        (["input=one.png", "runtime=tf"], "runtime=tf is not one of torch, onnx"),
        (["input=one.png", "detectr=none"], "did you mean 'detector'?"),
    ],
)
def test_bad_words_are_told(checkpoint_file: Path, tmp_path: Path, words: list[str], said: str):
    (tmp_path / "bare").mkdir()
    (tmp_path / "text.onnx").write_text("hello")
    synthetic.portrait(0, 0)[1].save(tmp_path / "one.png")
    out = f"output_dir={tmp_path / 'out'}"
    given = words if "checkpoint" in str(words) else [f"checkpoint={checkpoint_file}", *words]
    assert said in refusal("predict", *given, out, cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist"),
        ("", "cannot read boxes="),
        (
            "file,left\na.png,1\n",
            "needs the columns file, and left, top, right, bottom or left_eye_x",
        ),
        (
            "file,left,top,right,bottom\na.png,9,9,x,9\n",
            "line 2: places must be numbers, in pixels",
        ),
        ("file,left,top,right,bottom\na.png,9,9,5,20\n", "line 2: left must be less than right"),
        (
            f"file,left,top,right,bottom,{','.join(POINTS)}\na.png,9,9,5,20{',1,2' * 5}\n",
            "line 2: left must be less than right",
        ),
    ],
)
def test_bad_tables_of_boxes_are_told(checkpoint_file, tmp_path: Path, text, said):
    if text is not None:
        (tmp_path / "b.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        agegender.load(checkpoint_file, "boxes", tmp_path / "b.csv")


def test_files_are_listed_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in/deep").mkdir(parents=True)
    for name in ("b.JPG", "a.png", "deep/c.webp", "deep/n.txt", ".hidden.jpg"):
        (tmp_path / "in" / name).touch()
    below = ["in/.hidden.jpg", "in/a.png", "in/b.JPG", "in/deep/c.webp"]
    assert list_files("in") == below
    assert list_files(["in/b.JPG", "in"]) == ["in/b.JPG", *below[:2], below[3]]
    assert list_files("in/**/*.webp") == ["in/deep/c.webp"]
    assert list_files("-") == ["-"]
    drawn = tmp_path / "in/deep"  # where an earlier run has drawn copies
    assert list_files(["in", "in/*.png"], drawn) == below[:3]
    assert list_files(["in", "in/deep/c.webp"], drawn) == below
    with pytest.raises(InputError, match="fits no file"):
        list_files("in/**/*.webp", drawn)


@pytest.mark.slow
def test_ten_thousand_pictures_in_constant_memory_through_a_kill(checkpoint_file, tmp_path: Path):
    folder = tmp_path / "many"
    folder.mkdir()
    synthetic.portrait(0, 0)[1].save(folder / "0.jpg")
    for number in range(1, 10_000):
        os.link(folder / "0.jpg", folder / f"{number}.jpg")
    out = tmp_path / "out"
    command = [
        sys.executable, str(ROOT / "scripts/predict.py"), f"input={folder}",
        f"checkpoint={checkpoint_file}", "detector=none", "resume=true", f"output_dir={out}",
    ]  # fmt: skip
    part, sizes = out / "predictions.part.jsonl", []
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(sizes) < 2:
        if part.exists() and len(part.read_text().splitlines()) > (500, 6000)[len(sizes)]:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            sizes.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert sizes[1] - sizes[0] < 60  # MB
    assert subprocess.run(command, capture_output=True, timeout=600).returncode == 0
    assert sorted(row["file"] for row in rows_of(out)) == sorted(map(str, folder.iterdir()))


def test_intervals_are_those_that_the_training_wrote_for_the_same_faces(checkpoint_file: Path):
    """In float32 here and bfloat16 there: the networks differ by a little, so do the intervals."""
    run = checkpoint_file.parents[1]
    told = pd.read_csv(run / "predictions.csv").query("part == 'test'").head(8)
    folder = Path(synthetic.draw_folder(Path(os.environ["AGEGENDER_DATA"]), 160, 0))
    files = [str(folder / file) for file in told["file"]]
    mine = agegender.load(checkpoint_file, detector="none").predict(files)
    for name in ("age_lo", "age_hi"):
        assert np.allclose(mine[name], told[name], atol=1.5, rtol=0.05), name
    assert (mine["age_lo"] <= mine["age_pred"]).all()
    assert (mine["age_pred"] <= mine["age_hi"]).all()
    narrow = agegender.load(checkpoint_file, detector="none", level=0.5).predict(files)
    assert (narrow["age_hi"] < mine["age_hi"]).all()
    with pytest.raises(InputError, match=r"level=90: must be above 0 and at most 0\.995"):
        agegender.load(checkpoint_file, detector="none", level=90)
