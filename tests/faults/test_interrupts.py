"""Ctrl-C in a training, as a user does it: how soon it stops, and what is kept."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from agegender import checkpoint

from ..conftest import ROOT, SMALL, run_script
from ..test_train import scores_of
from .recorder import recorded

EPOCHS = 8
WORDS = (
    *SMALL, "trainer.precision=32-true", f"trainer.max_epochs={EPOCHS}", "augment=strong",
    "model.hidden=8", "logger.tensorboard=null", "callbacks.learning_rate=null",
)  # fmt: skip


def heed_interrupts() -> None:
    """A process that a shell has started in the background would ignore them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run_script("train", *WORDS, f"output_dir={folder}")
    assert done.returncode == 0, done.stderr
    return scores_of(folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_ctrl_c_stops_in_seconds_and_the_last_checkpoint_is_kept(
    seed: int, undisturbed: dict, tmp_path: Path
):
    run, last = tmp_path / "run", tmp_path / "run/checkpoints/last.ckpt"
    words = (*WORDS, f"output_dir={run}")
    command = [sys.executable, str(ROOT / "scripts/train.py"), *words]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    ) as process:
        while not last.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep((seed + np.random.default_rng(seed).random()) / 10)  # over about two epochs
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        said = process.communicate(timeout=60)[1]
        seconds = time.monotonic() - begun
    assert process.returncode == 130
    assert said.rstrip().endswith("stopped; a run or a sweep can be continued")
    assert "Traceback" not in said
    kept = checkpoint.read(last)["epoch"] + 1
    assert 1 <= kept < EPOCHS
    done = run_script("train", *words, "ckpt_path=last")
    assert done.returncode == 0, done.stderr
    assert scores_of(run) == undisturbed
    recorded(
        "Ctrl-C: training", seed,
        f"stopped within {seconds:.1f} s, went on, the same result as undisturbed",
    )  # fmt: skip
