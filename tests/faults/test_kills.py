"""Runs that are killed or asked to end, at any moment, and what the next start does."""

import json
import multiprocessing
import os
import signal
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from agegender import checkpoint
from agegender.data import synthetic
from agegender.data.cache import open_pixels
from agegender.data.files import in_turn
from agegender.data.source import extract
from agegender.data.table import read_table
from agegender.evaluate import evaluate
from agegender.export import export
from agegender.train import fit

from ..conftest import composed, run_here
from ..test_train import CONTINUED, assert_same_run, scores_of
from .recorder import recorded

WORDS = (
    *CONTINUED, "trainer.max_epochs=2", "data.batch_size=16", "trainer.precision=32-true",
    "logger.tensorboard=null", "callbacks.learning_rate=null",
)  # fmt: skip
STEPS = 8  # an epoch


class Asks(pl.Callback):
    """Sends this process SIGTERM in a step of the training, or of a validation."""

    def __init__(self, when: str, step: int) -> None:
        self.when, self.step = when, step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if self.when == "step" and trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_validation_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if self.when == "validation" and trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The undisturbed run."""
    folder = tmp_path_factory.mktemp("whole")
    fit(composed(*WORDS, f"output_dir={folder}"))
    return folder


@pytest.mark.parametrize(
    ("when", "step", "saved"),
    [
        pytest.param("step", 3, 4, marks=pytest.mark.slow),
        ("step", 11, 12),
        pytest.param("validation", STEPS, STEPS, marks=pytest.mark.slow),
        pytest.param("step", 2 * STEPS - 1, 16, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:.*ended before the epoch")
def test_sigterm_saves_the_step_and_it_goes_on_from_there(
    when: str, step: int, saved: int, whole: Path, tmp_path: Path
):
    with pytest.raises(KeyboardInterrupt):
        fit(composed(*WORDS, f"output_dir={tmp_path}"), more=[Asks(when, step)])
    kept = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert kept["global_step"] == saved
    assert not (tmp_path / "metrics.json").exists()
    fit(composed(*WORDS, f"output_dir={tmp_path}", "ckpt_path=last"))
    assert_same_run(whole, tmp_path)
    recorded(f"SIGTERM: training, in a {when}", step, f"saved after step {saved}, the same end")


# what a process does, given a folder of its own; the second time it finds what the first has left
def extraction(folder: Path) -> dict[str, int]:
    with in_turn(folder):
        place = extract(folder.parent / "faces.tar", folder)
    return {path.name: path.stat().st_size for path in place.iterdir()}


def building(folder: Path) -> list[str]:
    with in_turn(folder):
        faces = read_table(synthetic.draw_folder(folder, 100, 0), folder)
        return [faces.digest, str(np.asarray(open_pixels(faces, folder, 3, 96)).sum())]


TRAINED = (
    "data=synthetic", "data.drawn=160", "data.image_size=48", "report=false", "model.hidden=8",
    "data.batch_size=16", "trainer.max_epochs=4", "trainer.precision=32-true", "augment=strong",
    "logger.tensorboard=null", "callbacks.learning_rate=null",
)  # fmt: skip


def training(folder: Path) -> dict:
    run = folder / "run"
    found = [path for path in run.glob("checkpoints/*.ckpt") if checkpoint.read(path)]
    goes_on = ["ckpt_path=last"] if found else []
    fit(composed(*TRAINED, f"output_dir={run}", *goes_on))
    return {**scores_of(run), "continued": bool(found)}


def evaluation(folder: Path) -> dict:
    of = folder.parent / "whole training/run/checkpoints/best.ckpt"
    evaluate(composed(f"checkpoint={of}", f"output_dir={folder}", "report=false", name="evaluate"))
    return scores_of(folder)


def exporting(folder: Path) -> list:
    of = folder.parent / "whole training/run/checkpoints/best.ckpt"
    table = export(composed(f"checkpoint={of}", f"output_dir={folder}", "faces=8", name="export"))
    return table[["form", "age_mae", "largest"]].round(4).to_numpy().tolist()


def sweep(folder: Path) -> list:
    words = ("trainer.max_epochs=2", "seed=1,2", f"hydra.sweep.dir={folder}")
    status, said = run_here("train", "-m", *TRAINED, *words)
    assert status == 0, said
    return [scores_of(folder / f"seed-{seed}") for seed in (1, 2)]


def child(work: Callable[[Path], object], folder: Path, result: Path) -> None:
    result.with_suffix(".started").touch()
    found = work(folder)
    result.write_text(json.dumps(found, sort_keys=True))


def started(work: Callable[[Path], object], folder: Path, result: Path):
    """A process with all imports done, which has just begun."""
    folder.mkdir(exist_ok=True)
    result.with_suffix(".started").unlink(missing_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "agegender.export"])
    process = context.Process(target=child, args=(work, folder, result))
    process.start()
    while not result.with_suffix(".started").exists() and process.is_alive():
        time.sleep(0.002)
    return process


STAGES = {extraction: 10, building: 10, training: 18, evaluation: 6, exporting: 2, sweep: 4}
assert sum(STAGES.values()) == 50


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable:
    """What each stage gives when nothing happens, and how many seconds it takes."""
    base = tmp_path_factory.mktemp("kills")
    faces = synthetic.draw_folder(base / "drawn", 100, 0)
    with tarfile.open(base / "faces.tar", "w") as bundle:
        bundle.add(faces, "UTKFace")
    known: dict[str, tuple[str, float]] = {}

    def whole(stage: Callable[[Path], object]) -> tuple[Path, str, float]:
        name = stage.__name__
        if name not in known:
            if stage in (evaluation, exporting):
                whole(training)
            result = base / f"whole {name}.json"
            process = started(stage, base / f"whole {name}", result)
            begun = time.monotonic()
            process.join()
            known[name] = (result.read_text(), time.monotonic() - begun)
        return base, *known[name]

    return whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "seed"),
    [(stage, seed) for stage, times in STAGES.items() for seed in range(times)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_kill_at_any_moment_is_made_good_by_the_next_start(
    stage: Callable, seed: int, undisturbed: Callable
):
    base, expected, seconds = undisturbed(stage)
    folder, result = base / f"{stage.__name__} {seed}", base / f"{stage.__name__} {seed}.json"
    how = (signal.SIGKILL, signal.SIGTERM)[seed % 2]
    at = (seed + np.random.default_rng([seed, 7]).random()) / STAGES[stage]
    process = started(stage, folder, result)
    time.sleep(at * seconds)
    if process.pid and process.is_alive():
        os.kill(process.pid, how)
    begun = time.monotonic()
    process.join(60)
    took = time.monotonic() - begun
    assert not process.is_alive()
    in_time = not result.exists()
    after = "in the middle" if in_time else "after its end"
    result.unlink(missing_ok=True)
    process = started(stage, folder, result)
    process.join()
    assert process.exitcode == 0
    found, wanted = json.loads(result.read_text()), json.loads(expected)
    goes_on = ""
    if stage is training:
        goes_on = ", went on" if found.pop("continued") else ", started again"
        wanted.pop("continued")
    assert found == wanted
    assert not [path for path in folder.rglob("*.tmp") if stage not in (evaluation, exporting)]
    recorded(
        f"{how.name}: {stage.__name__}, at {at:.0%} of its time, {after}",
        seed,
        f"ended within {took:.1f} s{goes_on}, the same result as undisturbed",
    )


def killed_in_a_write(folder: Path) -> None:
    """Trains, and is killed when half of a checkpoint is written, the n-th as `folder` says."""
    left = [int(folder.name.split()[-1])]
    whole = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        left[0] -= ".ckpt" in path.name
        if not left[0]:
            whole(path, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(path, data)

    Path.write_bytes = half
    training(folder)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 5])  # best and last of the first epoch, and later ones
def test_a_kill_in_the_write_of_a_checkpoint_leaves_the_one_before(n: int, undisturbed: Callable):
    base, expected, _ = undisturbed(training)
    folder, result = base / f"write {n}", base / f"write {n}.json"
    process = started(killed_in_a_write, folder, result)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list(folder.rglob(".*.ckpt.*.tmp"))) == 1, "half a file, under another name"
    process = started(training, folder, result)
    process.join()
    found, wanted = json.loads(result.read_text()), json.loads(expected)
    assert found.pop("continued") == (n > 1)
    wanted.pop("continued")
    assert found == wanted
    assert not list(folder.rglob("*.tmp"))
    goes_on = "went on" if n > 1 else "started again"
    recorded(
        f"SIGKILL: training, in the write of its checkpoint number {n}",
        n,
        f"{goes_on}, the same result as undisturbed",
    )
