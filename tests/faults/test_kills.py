"""Runs that are killed or asked to end, at any moment, and what the next start does."""

import os
import signal
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from agegender.train import fit

from ..conftest import composed
from ..test_train import CONTINUED, assert_same_run

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
    [("step", 3, 4), ("step", 11, 12), ("validation", STEPS, STEPS), ("step", 2 * STEPS - 1, 16)],
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
