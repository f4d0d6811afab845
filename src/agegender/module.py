"""The network as Lightning trains it."""

from collections.abc import Callable, Iterable
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from agegender.augment import Augment
from agegender.errors import InputError, TrainingDiverged
from agegender.metrics import FaceMetrics, Predictions
from agegender.models.net import AgeLoss
from agegender.types import Batch, Outputs

PARTS = ("train", "val", "test")


def step_seed(seed: int, epoch: int, step: int) -> int:
    """A seed for one training step, so that a continued run draws what an unbroken one would."""
    return int(np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)[0] >> 1)


class FaceModule(pl.LightningModule):
    """One step for all parts; the total loss is a weighted sum of the two tasks'.

    Args:
        net: images to `Outputs`.
        loss: the age loss.
        optimizer: groups of parameters -> optimizer; None if the module is only to score.
        scheduler: (optimizer, total steps) -> learning rate schedule, moved each step; None if
            the module is only to score.
        augment: what happens to training images; None changes nothing.
        age_weight: factor of the age loss.
        gender_weight: factor of the gender loss, binary cross-entropy.
        seed: with the epoch and the step it decides all randomness of a training step.
        channels_last: order images and weights so that a pixel's channels lie side by side,
            which makes convolutions fast in bfloat16 on CPU and GPU alike.

    Attributes:
        description: plain values that every checkpoint keeps; see `agegender.checkpoint`.
        predictions: of each part, the last pass over it.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: AgeLoss,
        optimizer: Callable[[Iterable[dict[str, Any]]], Optimizer] | None = None,
        scheduler: Callable[..., LRScheduler] | None = None,
        augment: Augment | None = None,
        age_weight: float = 1.0,
        gender_weight: float = 1.0,
        seed: int = 0,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.net = net.to(memory_format=self.layout)
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.augment = augment
        self.age_weight = age_weight
        self.gender_weight = gender_weight
        self.seed = seed
        self.scores = nn.ModuleDict({f"{part}_scores": FaceMetrics() for part in PARTS})
        self.predictions: dict[str, Predictions] = {}
        self.description: dict[str, Any] = {}

    def forward(self, image: Tensor) -> Outputs:
        """(B, C, H, W) float32 in 0..1 -> `Outputs`."""
        return self.net(image)  # type: ignore[no-any-return]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        torch.manual_seed(step_seed(self.seed, self.current_epoch, batch_idx))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        batch = self._as_float(batch)
        if self.augment is not None:
            generator = torch.Generator(batch.image.device).manual_seed(torch.initial_seed())
            image = self.augment(batch.image, generator)
            batch = batch._replace(image=image.contiguous(memory_format=self.layout))
        return self._step(batch, batch_idx, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(self._as_float(batch), batch_idx, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(self._as_float(batch), batch_idx, "test")

    def _as_float(self, batch: Batch) -> Batch:
        """Images from uint8 0..255 to float32 0..1, in the layout that the network has."""
        image = batch.image.to(memory_format=self.layout).float().div_(255)
        return batch._replace(image=image)

    def _step(self, batch: Batch, batch_idx: int, part: str) -> Tensor:
        outputs = self(batch.image)
        age_loss = self.loss(outputs, batch.age)
        gender_loss = F.binary_cross_entropy_with_logits(outputs.gender_logit, batch.gender)
        loss = self.age_weight * age_loss + self.gender_weight * gender_loss
        if not torch.isfinite(loss):
            raise TrainingDiverged(
                f"the {part} loss is {loss.item()} at epoch {self.current_epoch + 1}, step"
                f" {batch_idx + 1} (age loss {age_loss.item():.4g}, gender loss"
                f" {gender_loss.item():.4g}): try a smaller optimizer.lr. The checkpoints of"
                f" earlier epochs are untouched"
            )
        losses = {"loss": loss, "age_loss": age_loss, "gender_loss": gender_loss}
        self.log_dict(
            {f"{part}/{name}": value.detach() for name, value in losses.items()},
            on_step=False,
            on_epoch=True,
            batch_size=len(batch.age),
        )
        self._scores(part).update(outputs, batch)
        return loss

    def on_train_epoch_end(self) -> None:
        self._epoch_end("train")

    def on_validation_epoch_end(self) -> None:
        self._epoch_end("val")

    def on_test_epoch_end(self) -> None:
        self._epoch_end("test")

    def _epoch_end(self, part: str) -> None:
        scores = self._scores(part)
        for name, value in scores.compute().items():
            shown = part != "test" and name in ("age_mae", "gender_acc")
            self.log(f"{part}/{name}", value, prog_bar=shown)
        self.predictions[part] = scores.predictions()
        scores.reset()

    def _scores(self, part: str) -> FaceMetrics:
        scores = self.scores[f"{part}_scores"]
        assert isinstance(scores, FaceMetrics)
        return scores

    def configure_optimizers(self) -> Any:
        optimizer, scheduler = self.optimizers_for(int(self.trainer.estimated_stepping_batches))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def optimizers_for(self, total_steps: int) -> tuple[Optimizer, LRScheduler]:
        """Optimizer and schedule of a training of so many steps.

        Weight decay is for the weights of layers alone: biases, and the scales and shifts of
        norms, are one-dimensional and get none.
        """
        assert self.optimizer is not None, "this module was made to score only"
        assert self.scheduler is not None, "this module was made to score only"
        weights = [p for p in self.parameters() if p.ndim > 1]
        others = [p for p in self.parameters() if p.ndim <= 1]
        optimizer = self.optimizer([{"params": weights}, {"params": others, "weight_decay": 0.0}])
        return optimizer, self.scheduler(optimizer, total_steps=total_steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["agegender"] = self.description

    def check_continues(self, before: dict[str, Any]) -> None:
        """Compare with the description in a checkpoint that is to be continued.

        Raises:
            InputError: if the recipe, the data or the split is another.
        """
        # a checkpoint brings its learning rate along: another in the config would do nothing
        for name in ("model", "loss", "optimizer", "scheduler", "augment", "seed"):
            if before["config"].get(name) != self.description["config"][name]:
                raise InputError(
                    f"this run cannot be continued: it was started with another {name}"
                )
        if before["precision"] != self.description["precision"]:
            raise InputError(
                f"this run cannot be continued with trainer.precision="
                f"{self.description['precision']}: it was started with {before['precision']}"
            )
        steady = self.description["config"]["scheduler"]["_target_"].endswith(".constant")
        if not steady and before["max_epochs"] != self.description["max_epochs"]:
            raise InputError(
                f"this run cannot be continued with trainer.max_epochs="
                f"{self.description['max_epochs']}: its learning rate was planned for"
                f" {before['max_epochs']} epochs"
            )
        for name in ("data_digest", "split_hash"):
            if before[name] != self.description[name]:
                raise InputError(
                    f"this run cannot be continued: its {name} was {before[name]}, now it is"
                    f" {self.description[name]}. Give it the data and the split it was started with"
                )
