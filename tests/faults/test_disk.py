"""Disks that are full or read-only, and data that goes away: a sentence, and older files stay."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from agegender import checkpoint
from agegender.data import synthetic, table
from agegender.data.cache import open_pixels
from agegender.errors import InputError

from ..conftest import SMALL, run_here
from .recorder import recorded

QUICK = (
    *SMALL, "trainer.max_epochs=1", "trainer.precision=32-true", "model.hidden=8",
    "callbacks.learning_rate=null", "logger.tensorboard=null",
)  # fmt: skip


def slow(free: int) -> object:
    return pytest.param(free, marks=pytest.mark.slow)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here: that takes the rights of root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, left: int) -> None:
    """Leave so many bytes free."""
    (disk / "filler").unlink(missing_ok=True)
    free = shutil.disk_usage(disk).free
    (disk / "filler").write_bytes(bytes(max(0, free - left)))


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def told(said: str, status: int, *words: str) -> None:
    """One sentence and an exit status other than 0."""
    assert status in (1, 2), said
    assert said.count("error: ") == 1, said
    assert "Traceback" not in said
    for word in words:
        assert word in said


# of the log, whose last lines have no place
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("free", [slow(0), 16_000, 300_000, slow(900_000)])
def test_a_full_disk_ends_a_training_with_a_sentence(free: int, disk: Path):
    fill(disk, free)
    status, said = run_here("train", *QUICK, f"output_dir={disk}/run")
    told(said, status, "No space left on device", str(disk / "run"), "free some space")
    assert not list(disk.rglob("*.tmp"))
    for path in disk.rglob("*.ckpt"):
        checkpoint.read(path)
    recorded(f"disk full: a run, {free} bytes free", 0, said_of(said))


def said_of(said: str) -> str:
    line = next(line for line in said.splitlines() if line.startswith("error: "))
    place = line.removeprefix("error: ").split(":")[0].rsplit("/", 1)[-1]
    reason = "No space left" if "No space left" in line else "Read-only file system"
    return f"a sentence ({reason}: {place}), nothing half written, checkpoints whole"


def test_a_full_disk_leaves_the_older_checkpoints(disk: Path):
    kept = disk / "run/checkpoints/last.ckpt"
    content = {"state_dict": {"net.x": torch.arange(100_000.0)}, "epoch": 1}
    checkpoint.save(content, kept)
    before = kept.read_bytes()
    for free in (0, 4096, len(before) // 2, len(before) - 4096):
        fill(disk, free)
        with pytest.raises(OSError, match=r"No space left on device: .*last\.ckpt"):
            checkpoint.save(content, kept)
        assert kept.read_bytes() == before
        assert [path.name for path in kept.parent.iterdir()] == ["last.ckpt"]
        recorded(f"disk full: a checkpoint, {free} bytes free", 0, "a sentence, the older one kept")


@pytest.mark.parametrize("free", [slow(0), 50_000, slow(200_000), 400_000])
def test_a_full_disk_ends_the_building_of_a_cache(free: int, disk: Path):
    # 40 portraits take 240 kB as files, and 160 kB as pixels
    fill(disk, free)

    def build() -> int:
        faces = table.read_table(synthetic.draw_folder(disk, 40, 0), disk)
        return len(open_pixels(faces, disk, 1, 96))

    with pytest.raises(OSError, match="No space left on device"):
        build()
    assert not list(disk.rglob("*.tmp"))
    (disk / "filler").unlink()
    assert build() == 40
    recorded(f"disk full: a cache, {free} bytes free", 0, "an error, nothing left, then built")


def test_a_read_only_disk_is_told(disk: Path):
    make_read_only(disk)
    status, said = run_here("train", *QUICK, f"output_dir={disk}/run")
    told(said, status, "Read-only file system", "name a folder that can be written to")
    recorded("read-only: the run's folder", 0, said_of(said))
    words = (f"data.cache_dir={disk}/cache", f"output_dir={disk.parent}/run")
    status, said = run_here("train", *QUICK, *words)
    told(said, status, "Read-only file system", "name a folder that can be written to")
    recorded("read-only: an empty cache", 0, said_of(said))


def test_a_read_only_cache_that_is_whole_is_used_and_a_damaged_one_is_not(disk: Path):
    faces = table.read_table(synthetic.draw_folder(disk, 12, 0), disk)
    pixels = np.array(open_pixels(faces, disk, 1, 32))
    make_read_only(disk)
    again = table.read_table(synthetic.draw_folder(disk, 12, 0), disk)
    assert (open_pixels(again, disk, 1, 32) == pixels).all()
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    [path] = disk.glob("pixels/*/pixels.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    make_read_only(disk)
    with pytest.raises(OSError, match="Read-only file system"):
        open_pixels(again, disk, 1, 32)
    recorded("read-only: a whole cache", 0, "used")
    recorded("read-only: a damaged cache", 0, "an error, not used")


@pytest.mark.parametrize("how", ["deleted", "one file deleted", "one file changed"])
def test_data_that_changes_while_it_is_read_is_told(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "faces"
    shutil.copytree(synthetic.draw_folder(tmp_path, 60, 0), folder)
    first = sorted(folder.iterdir())[0]
    listed, done = threading.Event(), threading.Event()

    def change() -> None:
        listed.wait()
        if how == "deleted":
            shutil.rmtree(folder)
        elif how == "one file deleted":
            first.unlink()
        else:
            time.sleep(0.01)  # file systems count time in steps
            first.write_bytes(first.read_bytes() + b"x")
        done.set()

    key = table._listing_key

    def and_then(*given: object) -> str:
        found = key(*given)
        if not listed.is_set():
            listed.set()
            done.wait()
        return found

    monkeypatch.setattr(table, "_listing_key", and_then)  # the moment between looking and reading
    thread = threading.Thread(target=change)
    thread.start()
    with pytest.raises(InputError, match="has changed while it was read: start again"):
        table.read_table(folder, tmp_path / "c")
    thread.join()
    assert not list((tmp_path / "c").rglob("manifest.json"))
    recorded(f"data: {how} while it was read", 0, "a sentence, nothing cached")
