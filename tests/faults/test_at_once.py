"""Several processes that want the same files at the same time."""

import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from agegender.data.files import held

from ..conftest import SMALL, refusal, run_script
from .recorder import recorded

# what `FaceData.setup` does for its cache, without the seconds that torch takes to be imported
BUILD = """
import hashlib, sys
from pathlib import Path
from agegender.data import cache, files, synthetic, table
place = Path(sys.argv[1])
with files.in_turn(place):
    faces = table.read_table(synthetic.draw_folder(place, 40, 0), place)
    pixels = cache.open_pixels(faces, place, 1, 32)
print(faces.digest, hashlib.sha256(pixels.tobytes()).hexdigest())
"""


def build(cache: Path, processes: int) -> list[str]:
    command = [sys.executable, "-c", BUILD, str(cache)]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert all(process.returncode == 0 for process in started)
    return said


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_four_processes_build_one_cache(rounds: int, tmp_path: Path):
    alone = build(tmp_path / "alone", 1)
    for seed in range(rounds):
        cache = tmp_path / str(seed)
        assert build(cache, 4) == alone * 4
        assert len(list(cache.rglob("pixels.npy"))) == 1
        assert not list(cache.rglob("*.tmp"))
        recorded("at once: four processes, one cache", seed, "one cache, all the same")


def test_a_killed_holder_frees_the_folder_and_what_it_left_half_done_goes(tmp_path: Path):
    folder = tmp_path / "run"
    code = (
        "import sys, time; from pathlib import Path;"
        " from agegender.data.files import held, whole_file, whole_folder\n"
        "with held(Path(sys.argv[1])), whole_folder(Path(sys.argv[1]) / 'a'),"
        " whole_file(Path(sys.argv[1]) / 'checkpoints/last.ckpt') as t:\n"
        "    t.write_text('half'); print('holds', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"holds\n"
        mine = folder / ".my own.tmp"
        mine.touch()
        assert len(list(folder.rglob("*.tmp"))) == 3
        said = refusal("train", *SMALL, f"output_dir={folder}", cwd=tmp_path)
        assert "is in use by another process" in said
        assert len(list(folder.rglob("*.tmp"))) == 3, "nothing of a living process is touched"
        holder.send_signal(signal.SIGKILL)
    with held(folder):
        assert list(folder.rglob("*.tmp")) == [mine]
    recorded("at once: two runs, one folder", 0, "refused while the first lived, free after a kill")


def test_a_folder_within_that_another_process_may_have_is_left_alone(tmp_path: Path):
    theirs, nobodys = tmp_path / "trial/checkpoints", tmp_path / "checkpoints"
    name = ".last.ckpt.0123abcd.tmp"
    for place in (theirs, nobodys):
        place.mkdir(parents=True)
        (place / name).write_text("half")
    (tmp_path / "trial/.lock").touch()
    with held(tmp_path):
        assert list(tmp_path.rglob("*.tmp")) == [theirs / name]


@pytest.mark.slow  # two at once are in tests/sweeps/test_trial.py too
def test_two_trials_at_once_share_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    quick = (
        "data=synthetic", "data.drawn=60", "data.image_size=48", "report=false",
        "trainer.max_epochs=1", "trainer.precision=32-true", "model.hidden=8",
        "logger.tensorboard=null", "callbacks.learning_rate=null",
    )  # fmt: skip
    first = None
    for seed in range(20):
        sweep = tmp_path / str(seed)
        words = ("-m", *quick, "launcher=joblib", "seed=1,2", f"hydra.sweep.dir={sweep}")
        done = run_script("train", *words, f"data.cache_dir={sweep}/cache")
        assert done.returncode == 0, done.stderr
        table = pd.read_csv(sweep / "trials.csv")
        assert table["status"].tolist() == ["finished"] * 2
        scores = table.filter(like="age_mae")
        first = scores if first is None else first
        pd.testing.assert_frame_equal(scores, first)
        assert not list(sweep.rglob("*.tmp"))
        recorded("at once: two trials, one cache", seed, "both finished, the same figures")
        assert len(list((sweep / "cache").rglob("pixels.npy"))) == 1
