"""The project's own training, stopped and started by a benchmark."""

from copy import deepcopy
from typing import Any

import lightning.pytorch as pl

from agegender.bench.link import Link, Stopwatch
from agegender.data.datamodule import FaceData
from agegender.module import FaceModule
from agegender.scoring import predict_parts
from agegender.types import Batch


class Pacer(pl.Callback):
    """Lets a training go on for a while at each order, and measures it.

    A block of steps that a validation falls into is begun anew after it; a whole epoch that is
    shorter than a block is one.

    Args:
        fd: the pipe that orders come through.
        seconds: how long a block of training steps lasts.
    """

    def __init__(self, fd: int, seconds: float) -> None:
        self.link, self.seconds = Link(fd), seconds
        self.first = True
        self.images = self.began = 0
        self.watch: Stopwatch | None = None

    def on_validation_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.watch = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if self.watch is None:
            self.images, self.began, self.watch = 0, batch_idx, Stopwatch()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        assert self.watch is not None
        self.images += len(batch.age)
        whole_epoch = trainer.is_last_batch and self.began == 0
        if self.first:
            self.link.ready()
        elif self.watch.seconds() < self.seconds and not whole_epoch:
            return
        else:
            self.link.answer(self.images, self.watch)
        self.first, self.watch = False, None
        while self.link.order() == "infer":
            self._infer(trainer, module)

    def _infer(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, FaceModule)
        data: FaceData = trainer.datamodule  # type: ignore[attr-defined]
        copy = FaceModule(deepcopy(module.net), module.loss)
        watch = Stopwatch()
        table = predict_parts(copy, data, ["val"], str(trainer.precision))
        self.link.answer(len(table), watch)
