"""What happens beside the training: the history, and what the run has cost."""

import logging
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.callbacks import (
    Checkpoint,
    ModelCheckpoint,
    TQDMProgressBar,
    WeightAveraging,
)
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from agegender.checkpoint import read, save
from agegender.data.files import whole_file
from agegender.module import FaceModule
from agegender.provenance import commit
from agegender.usage import anonymous_mb, process_seconds

log = logging.getLogger(__name__)


class History(Checkpoint):
    """A row an epoch in `history.csv`, and the run's costs, kept across continuations.

    Of several processes the first one writes; processor time is that of all, memory its own.

    It is a Lightning `Checkpoint` so that it is called after the module has logged the
    epoch's metrics and before the checkpoints, which hold its state, are written.

    Args:
        path: the CSV; rewritten whole after each epoch.

    Attributes:
        commits: of the code that trained, in turn; more than one if a run was continued by other
            code.
    """

    made = 0  # in this process

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, float]] = []
        self.commits: list[str] = []
        # the first training of a process counts from the process's start, a later one from here
        self._before = -process_seconds() if History.made else 0.0
        History.made += 1
        self._epoch_start = self._val_start = self._val_seconds = self._cpu_start = 0.0
        self._open = False  # whether an epoch has begun and not ended
        self._spent = (0.0, 0.0)  # seconds and processor seconds of it before it was cut off
        self._stopped = False  # whether another callback has ended the training early

    def state_dict(self) -> dict[str, Any]:
        spent = self._costs_so_far() if self._open else (0.0, 0.0)
        kept = {"rows": self.rows, "commits": self.commits, "stopped": self._stopped}
        return {**kept, "spent": spent}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]
        self.commits = list(state_dict.get("commits", []))
        self._stopped = state_dict.get("stopped", False)
        self._spent = state_dict.get("spent", (0.0, 0.0))
        # and a continued one goes on from where the one before was cut
        self._before += self.rows[-1]["since_start"] if self.rows else 0.0
        self._before += self._spent[0]

    def _costs_so_far(self) -> tuple[float, float]:
        """Seconds and processor seconds of this epoch."""
        wall, cpu = time.perf_counter() - self._epoch_start, time.process_time() - self._cpu_start
        return wall + self._spent[0], cpu + self._spent[1]

    def costs(self) -> dict[str, float]:
        """wall_minutes, cpu_minutes, images_per_s (training only), peak_anonymous_mb."""
        table = pd.DataFrame(self.rows)
        return {
            "wall_minutes": float(table["seconds"].sum() / 60),
            "cpu_minutes": float(table["cpu_seconds"].sum() / 60),
            "images_per_s": float(table["images"].sum() / table["train_seconds"].sum()),
            "peak_anonymous_mb": float(table["anonymous_mb"].max()),
        }

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if commit() not in self.commits:
            self.commits.append(commit())
        trainer.should_stop = self._stopped  # what was ended early and then cut off stays ended
        # an epoch that goes on where it was cut does not start again
        self._epoch_start, self._cpu_start = time.perf_counter(), time.process_time()
        self._open = True

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._epoch_start, self._cpu_start = time.perf_counter(), time.process_time()
        self._val_seconds, self._spent, self._open = 0.0, (0.0, 0.0), True

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._val_start = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._val_seconds += time.perf_counter() - self._val_start

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, FaceModule)
        seconds, cpu_seconds = self._costs_so_far()
        self._open = False
        # not LearningRateMonitor's, which an epoch that goes on where it was cut lacks
        logged = trainer.callback_metrics.items()
        metrics = {k: v.item() for k, v in logged if "/" in k and not k.startswith("lr-")}
        mine = torch.tensor(cpu_seconds, device=module.device)
        row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            **metrics,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "images": len(module.predictions["train"].row),
            "since_start": self._before + process_seconds(),
            "seconds": seconds,
            "train_seconds": seconds - self._val_seconds,
            "cpu_seconds": float(trainer.strategy.reduce(mine, reduce_op="sum")),
            "anonymous_mb": anonymous_mb(),
        }
        self.rows.append(row)
        self._stopped = trainer.should_stop
        if not trainer.is_global_zero:
            return
        with whole_file(self.path) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)
        shown = ("train/age_mae", "val/age_mae", "train/gender_acc", "val/gender_acc")
        told = ", ".join(f"{name} {row[name]:.4g}" for name in shown if name in row)
        log.info("epoch %d of %s: %s (%.0f s)", row["epoch"], trainer.max_epochs, told, seconds)


class Until(pl.Callback):
    """Ends the training after the first epoch that validates so well.

    Args:
        age_mae: at most so many years on the validation part.
        gender_acc: and at least this accuracy, 0 to 1, in the same epoch.
    """

    def __init__(self, age_mae: float, gender_acc: float) -> None:
        self.age_mae, self.gender_acc = age_mae, gender_acc

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        seen = trainer.callback_metrics
        if seen["val/age_mae"] <= self.age_mae and seen["val/gender_acc"] >= self.gender_acc:
            trainer.should_stop = True


class MovingAverage(WeightAveraging):
    """An exponential moving average of the weights: validated, kept in checkpoints, and tested.

    A young average forgets faster, so that a short training's is not held back by its untrained
    beginning: after n steps the decay is at most (1 + n) / (10 + n), as TensorFlow has it.

    Args:
        decay: what a step leaves of the average, 0 to below 1.

    Raises:
        ValueError: if decay is out of its range.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"callbacks.ema.decay={decay}: must be from 0 to below 1")

        def average(mean: Tensor, new: Tensor, steps: Tensor | int) -> Tensor:
            now = min(decay, (1 + int(steps)) / (10 + int(steps)))
            return mean * now + new * (1 - now)

        super().__init__(avg_fn=average)


class RunCheckpoint(ModelCheckpoint):
    """Lightning's, whose files and best score are still known after the run's folder was moved.

    Continued in another folder, the best checkpoint is copied there; one that is nowhere is
    forgotten, and the best of what follows is kept.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        best = Path(state_dict["best_model_path"])
        mine = Path(str(self.dirpath)) / best.name
        if best.name and not mine.is_file():
            if not best.is_file():
                log.warning("%s is not there any more: the best of what follows is kept", best)
                return
            with whole_file(mine) as temporary:
                temporary.write_bytes(best.read_bytes())

        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else ""

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(state_dict[name]) for name in paths}
        scores = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(
            {**state_dict, **moved, "best_k_models": scores, "dirpath": self.dirpath}
        )


class Preemption(Checkpoint):
    """Saves a checkpoint when SIGTERM asks the process to end, as SLURM does to take a node.

    The step is ended first, or the validation after an epoch; continued, the training ends as if it
    had never stopped. Processes that train together leave it to Lightning, which keeps the
    checkpoint of the epoch before.

    It is a Lightning `Checkpoint` so that it is called after all that a checkpoint holds is known.

    Args:
        path: of the checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.world_size == 1 and threading.current_thread() is threading.main_thread():
            # until Lightning, whose own would cut a validation off, puts back what was there before
            signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, i: int
    ) -> None:
        between = (i + 1) % trainer.accumulate_grad_batches == 0
        if self.asked and between and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            trainer.save_checkpoint(self.path)
            log.warning("SIGTERM: step %d is saved as %s", trainer.global_step, self.path)
            raise SIGTERMException

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self.asked:  # and the checkpoint of the epoch before has been written
            raise SIGTERMException

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.on_train_epoch_start(trainer, module)


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoints with a digest, in place of Lightning's files.

    Those are written in the system's folder for temporary files and moved, which is a copy, that
    can be cut off in the middle, where the run lies on another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        save(checkpoint, Path(path))

    def load_checkpoint(self, path: str | Path, *_: Any, **__: Any) -> dict[str, Any]:
        return read(Path(path))


class Progress(TQDMProgressBar):
    """Lightning's bar on a terminal; nothing in a log file, where `History` writes a line.

    Args:
        refresh_rate: steps between two updates.
    """

    def __init__(self, refresh_rate: int = 20) -> None:
        super().__init__(refresh_rate if sys.stdout.isatty() else 0)
