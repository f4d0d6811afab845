"""Videos: the rows are those of the same frames as pictures; what is cut off ends in a sentence."""

import json
import os
import subprocess
import sys
import tarfile
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import agegender
from agegender.data import synthetic
from agegender.errors import InputError
from agegender.portraits.annotate import annotated
from agegender.portraits.film import Film, film_copy
from agegender.reader import COLUMNS
from agegender.video import FRAME_COLUMNS

from .conftest import ROOT, refusal, run_here

av = pytest.importorskip("av")
RATE, SHOWN = 12, 24


def film_of(
    path: Path,
    pictures: list[Image.Image],
    turned: int = 0,
    codec: str = "libx264",
    ratio: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A video made by the library itself, RATE frames a second; `turned` degrees to the left."""
    with av.open(str(path), "w", options=options or {}) as box:
        track = box.add_stream(codec, rate=RATE)
        track.width, track.height = pictures[0].size
        track.pix_fmt = "yuv420p"
        if ratio:
            track.codec_context.sample_aspect_ratio = ratio
        if turned:
            track.set_display_rotation(turned)
        for picture in pictures:
            box.mux(track.encode(av.VideoFrame.from_image(picture)))
        box.mux(track.encode(None))
    return path


def times(film: Path) -> list[Fraction]:
    """When each frame is shown, as the library says without this project."""
    with av.open(str(film)) as box:
        return [frame.pts * frame.time_base for frame in box.decode(video=0)]


@pytest.fixture(scope="session")
def portraits() -> list[Image.Image]:
    """Six drawn portraits, each for four frames."""
    drawn = [synthetic.portrait(5, i)[1] for i in range(6)]
    return [drawn[i // 4] for i in range(SHOWN)]


@pytest.fixture(scope="session")
def clip(portraits, tmp_path_factory) -> Path:
    return film_of(tmp_path_factory.mktemp("a film, [1]") / "a b.mp4", portraits)


def saved_frames(film: Path, folder: Path) -> list[Path]:
    """Its frames as PNG, by the library's own converter."""
    folder.mkdir()
    files = []
    with av.open(str(film)) as box:
        for number, frame in enumerate(box.decode(video=0)):
            files.append(folder / f"{number:03}.png")
            frame.to_image().save(files[-1])
    return files


def test_rows_are_those_of_the_frames_saved_as_pictures(checkpoint_file, clip, tmp_path: Path):
    out = tmp_path / "out"
    status, said = run_here(
        "video", f"input={clip}", f"checkpoint={checkpoint_file}", "detector=none", "every=5",
        "annotate=true", f"output_dir={out}", cwd=tmp_path,
    )  # fmt: skip
    assert status == 0, said
    assert "5 frames, 0 of them without a face" in said
    assert "frame 20, 1.67 s" in said
    table = pd.read_csv(out / "predictions.csv")
    assert tuple(table.columns) == FRAME_COLUMNS
    assert table["frame"].tolist() == [0, 5, 10, 15, 20]
    np.testing.assert_allclose(table["seconds"], table["frame"] / RATE, atol=1e-4)
    assert table["file"].unique().tolist() == [str(clip)]
    files = saved_frames(clip, tmp_path / "frames")
    wanted = agegender.load(checkpoint_file, detector="none").predict(files[::5])
    for name in ("age_pred", "p_female", "age_lo"):
        np.testing.assert_allclose(table[name], wanted[name], atol=1e-3)
    assert table["age_pred"].nunique() == 5
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == table["frame"].tolist()
    assert times(out / "annotated.mp4") == times(clip)  # all frames, at their times
    again = refusal("video", f"input={clip}", f"output_dir={out}",
                    f"checkpoint={checkpoint_file}", "detector=none", cwd=tmp_path)  # fmt: skip
    assert f"output_dir={out} has predictions: name another folder" in again


def test_the_copy_has_the_labels_of_its_own_frames(checkpoint_file, clip, tmp_path: Path):
    """Of each look until the next one, in the same size."""
    out = tmp_path / "out"
    words = (f"checkpoint={checkpoint_file}", "detector=none", "every=8", f"output_dir={out}")
    assert run_here("video", f"input={clip}", "annotate=true", *words, cwd=tmp_path)[0] == 0
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    with Film(clip) as film, Film(out / "annotated.mp4") as copy:
        pairs = list(zip(film.frames(), copy.frames(), strict=True))
    assert len(pairs) == SHOWN
    for frame, drawn in pairs:
        assert drawn.pixels.shape == (200, 200, 3)
        off = [
            np.abs(
                np.asarray(annotated(Image.fromarray(frame.pixels), [row], False), dtype=float)
                - drawn.pixels
            ).mean()
            for row in rows
        ]
        assert np.argmin(off) == frame.number // 8
        assert min(off) < 8
    assert not [path for path in out.iterdir() if path.suffix == ".tmp"]


@pytest.mark.parametrize(("turned", "suffix"), [(90, "mp4"), (180, "mov"), (-90, "mp4")])
def test_frames_are_upright(tmp_path: Path, turned: int, suffix: str):
    upright = synthetic.portrait(6, 0)[1].resize((160, 200))
    path = film_of(tmp_path / f"a.{suffix}", [upright.rotate(-turned, expand=True)] * 2, turned)
    with Film(path) as film:
        frames = list(film.frames())
    assert [frame.pixels.shape for frame in frames] == [(200, 160, 3)] * 2
    assert np.abs(frames[0].pixels.astype(float) - np.asarray(upright)).mean() < 6


def test_pixels_become_square_and_odd_sides_even(tmp_path: Path):
    path = film_of(tmp_path / "a.mp4", [synthetic.portrait(6, 0)[1]], ratio=Fraction(3, 2))
    with Film(path) as film:
        assert [frame.pixels.shape for frame in film.frames()] == [(200, 300, 3)]
    odd = Image.new("RGB", (101, 75), (200, 30, 30))
    with film_copy(tmp_path / "odd.mp4", Fraction(30_000, 1001)) as add:
        for number in range(3):
            add(odd, Fraction(number * 1001, 30_000))
    with Film(tmp_path / "odd.mp4") as film:
        assert film.rate == Fraction(30_000, 1001)
        frames = list(film.frames())
    assert [frame.pixels.shape for frame in frames] == [(76, 102, 3)] * 3
    assert np.abs(frames[0].pixels[-1, -1].astype(int) - (200, 30, 30)).max() < 12


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx"), ("no suffix.avi", "mpeg4")]
)
def test_containers_are_read(portraits, tmp_path: Path, name: str, codec: str):
    path = film_of(tmp_path / name, portraits, codec=codec)
    if name.endswith("avi"):
        path = path.rename(tmp_path / "film")  # told by its content
    with Film(path) as film:
        frames = list(film.frames(every=3))
        assert (film.rate, film.wrong) == (RATE, "")
    assert [frame.number for frame in frames] == list(range(0, SHOWN, 3))
    seconds = [float(frame.time) for frame in frames]
    np.testing.assert_allclose(seconds, np.arange(0, 2, 3 / RATE), atol=2e-3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_what_is_left_of_a_cut_file_is_read(checkpoint_file, portraits, tmp_path, name):
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = film_of(tmp_path / name, portraits, codec=codec, options=options)
    data = path.read_bytes()
    kept = 0.88 if name == "a.avi" else 0.6  # the head and the first frame are half of the AVI file
    path.write_bytes(data[: int(len(data) * kept)])
    out = tmp_path / "out"
    status, said = run_here(
        "video", f"input={path}", f"checkpoint={checkpoint_file}", "detector=none",
        "annotate=true", f"output_dir={out}", cwd=tmp_path,
    )  # fmt: skip
    assert status == 1, said
    assert "error: the video is cut off or damaged: " in said
    assert "Traceback" not in said
    table = pd.read_csv(out / "predictions.csv")
    assert 6 <= len(table) <= 18
    assert len(times(out / "annotated.mp4")) == len(table)


def test_damage_in_the_middle_is_left_out(portraits, tmp_path: Path):
    path = film_of(tmp_path / "a.avi", portraits, codec="mpeg4")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(data)
    with Film(path) as film:
        frames = list(film.frames())
    assert film.wrong
    assert 0 < len(frames) <= SHOWN


@pytest.fixture(scope="session")
def not_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are no video, or have no frame."""
    folder = tmp_path_factory.mktemp("not videos")
    (folder / "text.mp4").write_text("age,gender\n" * 500)
    (folder / "empty.mp4").touch()
    (folder / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    synthetic.portrait(0, 0)[1].save(folder / "picture.jpg")
    (folder / "picture.jpg").rename(folder / "picture.mp4")
    with av.open(str(folder / "sound.mp4"), "w") as box:
        track = box.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        box.mux([*track.encode(sound), *track.encode(None)])
    first = {"movflags": "faststart"}  # the index
    film = film_of(folder / "none.mp4", [synthetic.portrait(0, 0)[1]], options=first)
    data = film.read_bytes()
    film.write_bytes(data[: data.index(b"mdat") + 4])  # and no frame
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["input=text.mp4"], "input=text.mp4 is not a video that can be read"),
        (["input=empty.mp4"], "input=empty.mp4 is not a video that can be read"),
        (["input=list.mp4"], "input=list.mp4 is not a video that can be read"),
        (["input=picture.mp4"], "input=picture.mp4 is not a video that can be read"),
        (["input=sound.mp4"], "input=sound.mp4 has no pictures: it must have a video track"),
        (["input=none.mp4"], "input=none.mp4: not one frame of it could be read"),
        (["input=gone.mp4"], "input=gone.mp4 does not exist"),
        (["input=."], "input=. is not a file"),
        ([], "input=CLIP.mp4: name the video to look at, one at a time"),
        (["input=a.mp4", "input=b.mp4"], "name the video to look at, one at a time"),
        (["input=text.mp4", "every=0"], "every=0: must be at least 1, for every frame"),
        (["input=text.mp4", "detector=boxes"], "detector=boxes is for pictures"),
        (["input=text.mp4", "evry=2"], "did you mean 'every'?"),
    ],
)
def test_bad_words_are_told(checkpoint_file: Path, not_videos, tmp_path, words, said: str):
    out = tmp_path / "out"
    given = ["detector=none", *words, f"checkpoint={checkpoint_file}", f"output_dir={out}"]
    assert said in refusal("video", *given, cwd=not_videos)
    assert not list(out.glob("pred*"))


def test_pictures_and_videos_name_each_other(clip, checkpoint_file, tmp_path: Path):
    words = (f"input={clip}", f"checkpoint={checkpoint_file}", f"output_dir={tmp_path}")
    assert "is a video: look at it by scripts/video.py" in refusal("predict", *words, cwd=tmp_path)


def test_the_missing_extra_is_named(clip: Path):
    code = (
        "import sys; from importlib import util; found = util.find_spec\n"
        "util.find_spec = lambda name, *_: None if name == 'av' else found(name, *_)\n"
        "from pathlib import Path; from agegender.portraits.film import Film\n"
        "Film(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(clip)], capture_output=True, text=True)
    assert "InputError: videos need the extra video: pip install 'agegender[video]'" in done.stderr


def test_frames_have_as_few_pixels_as_pictures(clip: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agegender.portraits.film.MAX_PIXELS", 39_999)
    with pytest.raises(
        InputError, match=r"frames of 200 x 200 pixels are too many \(at most 39,999"
    ):
        Film(clip)


def test_pixels_that_are_wide_by_the_files_word_count_as_they_will_be_drawn(tmp_path: Path):
    path = tmp_path / "wide.mkv"
    with av.open(str(path), "w") as box:
        track = box.add_stream("libx264", rate=25)
        track.width, track.height, track.pix_fmt = 640, 480, "yuv420p"
        track.codec_context.sample_aspect_ratio = Fraction(400, 1)
        frame = av.VideoFrame.from_ndarray(np.zeros((480, 640, 3), np.uint8), format="rgb24")
        box.mux(track.encode(frame))
        box.mux(track.encode(None))
    with pytest.raises(InputError, match="frames of 256000 x 480 pixels are too many"):
        Film(path)


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path):
    def write() -> None:
        with film_copy(tmp_path / "a.mp4", Fraction(25)) as add:
            add(Image.new("RGB", (64, 64)), Fraction(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert not list(tmp_path.iterdir())


def test_real_faces_in_a_scene(checkpoint_file, utkface_archive: Path, tmp_path: Path):
    """Two faces that move through a scene, found in each frame; and frames without any."""
    with tarfile.open(utkface_archive) as archive:  # the first two: no need to unpack them all
        files = islice((m for m in archive if m.name.endswith(".jpg")), 2)
        faces = [Image.open(archive.extractfile(file)).convert("RGB") for file in files]
    scenes = []
    for step in range(4):
        scene = Image.new("RGB", (640, 360), (90, 110, 100))
        if step < 3:
            scene.paste(faces[0], (30 + 20 * step, 80))
            scene.paste(faces[1].resize((120, 120)), (400, 160 - 15 * step))
        scenes.append(scene)
    path = film_of(tmp_path / "a.mp4", scenes)
    words = (f"checkpoint={checkpoint_file}", "annotate=true", f"output_dir={tmp_path / 'out'}")
    status, said = run_here("video", f"input={path}", *words, cwd=tmp_path)
    assert status == 0, said
    texts = dict.fromkeys(("error", "gender", "warning"), str)
    table = pd.read_csv(tmp_path / "out/predictions.csv", dtype=texts)
    assert table["frame"].tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert table["error"].fillna("").tolist() == [""] * 6 + ["no face found"]
    wanted = agegender.load(checkpoint_file).predict(saved_frames(path, tmp_path / "frames"))
    for name in COLUMNS[1:]:
        if wanted[name].dtype == float:
            np.testing.assert_allclose(table[name], wanted[name], atol=0.01, err_msg=name)
        else:
            assert table[name].fillna("").tolist() == wanted[name].tolist(), name
    large = table[table["left"] < 300].sort_values("frame")["left"]
    assert np.allclose(np.diff(large), 20, atol=4)


@pytest.mark.slow
def test_a_long_video_in_constant_memory(checkpoint_file, portraits, tmp_path: Path):
    pictures = [picture.resize((640, 480)) for picture in portraits]
    path = film_of(tmp_path / "long.mp4", pictures * 60)
    out = tmp_path / "out"
    command = [
        sys.executable, str(ROOT / "scripts/video.py"), f"input={path}", "detector=none",
        f"checkpoint={checkpoint_file}", "annotate=true", f"output_dir={out}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    part, sizes = out / "predictions.part.jsonl", {}
    while process.poll() is None:
        if part.exists():
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            drawing = any(out.glob(".annotated*"))
            key = "drawing" if drawing else part.stat().st_size > 200_000
            sizes[key] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        time.sleep(0.05)
    assert process.returncode == 0
    assert sizes[True] - sizes[False] < 60  # MB; all frames at once would be 1,300
    assert sizes["drawing"] - sizes[False] < 250
    assert len(pd.read_csv(out / "predictions.csv")) == SHOWN * 60
