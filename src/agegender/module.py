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
from agegender.models.net import AgeLoss, as_input
from agegender.types import Batch, Outputs
from agegender.weighting import Fixed, Uncertainty

PARTS = ("train", "val", "test")


def step_seed(seed: int, epoch: int, step: int) -> int:
    """A seed for one training step, so that a continued run draws what an unbroken one would."""
    return int(np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)[0]) >> 1


def seed_all(device: torch.device, seed: int) -> None:
    """Seed the processor's generator, and the device's own.

    `torch.manual_seed` looks for every kind of device that torch knows, at each call.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


class FaceModule(pl.LightningModule):
    """One step for all parts; the total loss is a weighted sum of the two tasks'.

    Args:
        net: images to `Outputs`.
        loss: the age loss.
        optimizer: groups of parameters -> optimizer; None if the module is only to score.
        scheduler: (optimizer, total steps) -> learning rate schedule, moved each step; None if
            the module is only to score.
        augment: what happens to training images; None changes nothing.
        weighting: the losses of age and gender -> their sum; None weighs them equally.
        gender_smoothing: share of each gender label that is given to the other gender's in
            training, half of it to each (Szegedy et al. 2016, arXiv:1512.00567), 0 to below 1.
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
        weighting: Fixed | Uncertainty | None = None,
        gender_smoothing: float = 0.0,
        seed: int = 0,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= gender_smoothing < 1:
            raise ValueError(f"gender_smoothing={gender_smoothing}: must be from 0 to below 1")
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.net = net.to(memory_format=self.layout)
        self.loss = loss
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.augment = augment
        self.weighting = weighting or Fixed()
        self.gender_smoothing = gender_smoothing
        self.seed = seed
        self.scores = nn.ModuleDict({f"{part}_scores": FaceMetrics() for part in PARTS})
        self.predictions: dict[str, Predictions] = {}
        self.description: dict[str, Any] = {}

    def forward(self, image: Tensor) -> Outputs:
        """(B, C, H, W) float32 in 0..1 -> `Outputs`."""
        return self.net(image)  # type: ignore[no-any-return]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        place = batch_idx * self.trainer.world_size + self.global_rank
        seed_all(self.device, step_seed(self.seed, self.current_epoch, place))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        batch = self._as_float(batch)
        if self.augment is None:
            return self._step(batch, batch_idx, "train")
        generator = torch.Generator(batch.image.device).manual_seed(torch.initial_seed())
        image = batch.image
        if self.augment.start_size:
            assert self.trainer.max_epochs
            image = self.augment.resize(image, self.current_epoch / self.trainer.max_epochs)
        image = self.augment(image, generator)
        share, partner = 1.0, None
        if self.augment.mixup:
            share = self.augment.share(generator)
            image = torch.lerp(image.roll(1, dims=0), image, share)
            partner = batch._replace(age=batch.age.roll(1), gender=batch.gender.roll(1))
        batch = batch._replace(image=image.contiguous(memory_format=self.layout))
        return self._step(batch, batch_idx, "train", partner, share)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(self._as_float(batch), batch_idx, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(self._as_float(batch), batch_idx, "test")

    def _as_float(self, batch: Batch) -> Batch:
        """Images from uint8 0..255 to float32 0..1, in the layout that the network has."""
        return batch._replace(image=as_input(batch.image, self.layout))

    def losses(
        self, outputs: Outputs, age: Tensor, gender: Tensor, smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """The scalar losses of age and gender, in float32 whatever the network computed in."""
        gender = gender * (1 - smoothing) + smoothing / 2
        with torch.autocast(outputs.age.device.type, enabled=False):
            age_loss = self.loss(outputs, age)
            return age_loss, F.binary_cross_entropy_with_logits(outputs.gender_logit, gender)

    def _step(
        self,
        batch: Batch,
        batch_idx: int,
        part: str,
        partner: Batch | None = None,
        share: float = 1.0,
    ) -> Tensor:
        """The total loss of a batch, of which mixup may have left a share, the rest its partner."""
        outputs = self(batch.image)
        smoothing = self.gender_smoothing if part == "train" else 0.0
        age_loss, gender_loss = self.losses(outputs, batch.age, batch.gender, smoothing)
        if partner is not None:
            others = self.losses(outputs, partner.age, partner.gender, smoothing)
            age_loss = share * age_loss + (1 - share) * others[0]
            gender_loss = share * gender_loss + (1 - share) * others[1]
        loss: Tensor = self.weighting(age_loss, gender_loss)
        if not torch.isfinite(loss):
            raise TrainingDiverged(
                f"the {part} loss is {loss.item()} at epoch {self.current_epoch + 1}, step"
                f" {batch_idx + 1} (age loss {age_loss.item():.4g}, gender loss"
                f" {gender_loss.item():.4g}): try a smaller optimizer.lr. The checkpoints of"
                f" earlier epochs are untouched"
            )
        self._scores(part).update(outputs, batch, torch.stack([loss, age_loss, gender_loss]))
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
            # it is of all processes already: their mean is itself
            self.log(f"{part}/{name}", value, prog_bar=shown, sync_dist=True)
        self.predictions[part] = scores.last
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

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the trainer is told; Lightning itself refuses to with a fused optimizer.

        With reason only in float16, whose gradients are scaled at this point.
        """
        if str(self.trainer.precision).startswith("16"):
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            by_value = gradient_clip_algorithm == "value"
            clip = nn.utils.clip_grad_value_ if by_value else nn.utils.clip_grad_norm_
            clip(self.parameters(), gradient_clip_val)

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
        if not self.trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:  # cut in an epoch
            checkpoint["train_scores"] = self._scores("train").metric_state

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name, value in checkpoint.get("train_scores", {}).items():
            setattr(self._scores("train"), name, value.to(self.device))

    def check_continues(self, before: dict[str, Any]) -> None:
        """Compare with the description in a checkpoint that is to be continued.

        Raises:
            InputError: if the recipe, the data or the split is another.
        """
        # a checkpoint brings its learning rate along: another in the config would do nothing
        mine = self.description["config"]
        for name in sorted(mine.keys() - {"name", "data"}):  # data is compared below
            if before["config"].get(name) != mine[name]:
                raise InputError(
                    f"this run cannot be continued: it was started with another {name}"
                )
        for name in ("image_size", "channels", "batch_size", "balance"):
            then, now = before["config"]["data"].get(name), mine["data"].get(name)
            if then != now:
                raise InputError(
                    f"this run cannot be continued with data.{name}={now}: it was started with"
                    f" {then}"
                )
        if before["precision"] != self.description["precision"]:
            raise InputError(
                f"this run cannot be continued with trainer.precision="
                f"{self.description['precision']}: it was started with {before['precision']}"
            )
        for name, now in self.description["steps"].items():
            then = before.get("steps", {}).get(name, now)
            if then != now:
                raise InputError(
                    f"this run cannot be continued with trainer.{name}={now}: it was started with"
                    f" {then}"
                )
        then, now = before.get("processes", 1), self.description.get("processes", 1)
        if then != now:
            raise InputError(
                f"this run cannot be continued by {now} processes: {then} were at it, and batches"
                f" are per process"
            )
        steady = mine["scheduler"]["_target_"].endswith(".constant")
        steady = steady and not (mine["augment"] or {}).get("start_size")
        if not steady and before["max_epochs"] != self.description["max_epochs"]:
            raise InputError(
                f"this run cannot be continued with trainer.max_epochs="
                f"{self.description['max_epochs']}: its learning rate, or its images' growth, was"
                f" planned for {before['max_epochs']} epochs"
            )
        for name in ("data_digest", "split_hash"):
            if before[name] != self.description[name]:
                raise InputError(
                    f"this run cannot be continued: its {name} was {before[name]}, now it is"
                    f" {self.description[name]}. Give it the data and the split it was started with"
                )
