"""The network as Lightning trains it."""

from collections.abc import Callable, Iterable
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from agegender.augment import Augment
from agegender.errors import InputError, TrainingDiverged
from agegender.metrics import FaceMetrics, Predictions
from agegender.types import Batch, Outputs

PARTS = ("train", "val", "test")


def step_seed(seed: int, epoch: int, step: int) -> int:
    """A seed for one training step, so that a continued run draws what an unbroken one would."""
    return int(np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)[0] >> 1)


class FaceModule(pl.LightningModule):
    """One step for all parts; the total loss is a weighted sum of the two tasks'.

    Args:
        net: images to `Outputs`.
        loss: the age loss, (Outputs, (B,) years) -> scalar.
        optimizer: parameters -> optimizer.
        augment: what happens to training images; None changes nothing.
        age_weight: factor of the age loss.
        gender_weight: factor of the gender loss, binary cross-entropy.
        seed: shuffling apart, all randomness of training comes from (seed, epoch, step).
    """

    def __init__(
        self,
        net: nn.Module,
        loss: Callable[[Outputs, Tensor], Tensor],
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        augment: Augment | None = None,
        age_weight: float = 1.0,
        gender_weight: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        # channels last is what makes convolutions fast in bfloat16 on CPU and GPU alike
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loss = loss
        self.optimizer = optimizer
        self.augment = augment
        self.age_weight = age_weight
        self.gender_weight = gender_weight
        self.seed = seed
        self.scores = nn.ModuleDict({f"{part}_scores": FaceMetrics() for part in PARTS})
        self.predictions: dict[str, Predictions] = {}
        self.description: dict[str, Any] = {}

    def forward(self, image: Tensor) -> Outputs:
        return self.net(image)  # type: ignore[no-any-return]

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """uint8 0..255 -> float32 0..1 in channels-last order."""
        image = batch.image.to(memory_format=torch.channels_last).float().div_(255)
        return batch._replace(image=image)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        torch.manual_seed(step_seed(self.seed, self.current_epoch, batch_idx))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        if self.augment is not None:
            generator = torch.Generator(batch.image.device).manual_seed(torch.initial_seed())
            image = self.augment(batch.image, generator)
            batch = batch._replace(image=image.contiguous(memory_format=torch.channels_last))
        return self._step(batch, batch_idx, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(batch, batch_idx, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(batch, batch_idx, "test")

    def _step(self, batch: Batch, batch_idx: int, part: str) -> Tensor:
        outputs = self(batch.image)
        age_loss = self.loss(outputs, batch.age)
        gender_loss = F.binary_cross_entropy_with_logits(outputs.gender_logit, batch.gender)
        loss = self.age_weight * age_loss + self.gender_weight * gender_loss
        if not torch.isfinite(loss):
            raise TrainingDiverged(
                f"the {part} loss is {loss.item()} at epoch {self.current_epoch}, step {batch_idx}"
                f" (age loss {age_loss.item():.4g}, gender loss {gender_loss.item():.4g}):"
                f" try a smaller optimizer.lr; the checkpoints of earlier epochs are untouched"
            )
        losses = {"loss": loss, "age_loss": age_loss, "gender_loss": gender_loss}
        self.log_dict(
            {f"{part}/{name}": value.detach() for name, value in losses.items()},
            on_step=False,
            on_epoch=True,
            batch_size=len(batch.age),
        )
        self.scores[f"{part}_scores"].update(outputs, batch)  # type: ignore[operator]
        return loss

    def on_train_epoch_end(self) -> None:
        self._epoch_end("train")

    def on_validation_epoch_end(self) -> None:
        self._epoch_end("val")

    def on_test_epoch_end(self) -> None:
        self._epoch_end("test")

    def _epoch_end(self, part: str) -> None:
        scores = self.scores[f"{part}_scores"]
        assert isinstance(scores, FaceMetrics)
        for name, value in scores.compute().items():
            shown = part != "test" and name in ("age_mae", "gender_acc")
            self.log(f"{part}/{name}", value, prog_bar=shown)
        self.predictions[part] = scores.predictions()
        scores.reset()

    def configure_optimizers(self) -> Any:
        return self.optimizer(self.parameters())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["agegender"] = self.description

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        before = checkpoint["agegender"]
        for name in ("split_hash", "data_digest"):
            if self.description and before[name] != self.description[name]:
                raise InputError(
                    f"this run cannot be continued: its {name} was {before[name]}, that of the data"
                    f" given now is {self.description[name]}. Give the same data and split"
                )
