"""Real faces that a checkpoint was not trained on, to check what is made of it."""

import logging
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from agegender import checkpoint
from agegender.data.cache import Pixels
from agegender.data.datamodule import FaceData
from agegender.errors import InputError
from agegender.evaluate import data_of, face_crops

log = logging.getLogger(__name__)


class Unseen(NamedTuple):
    """Faces of one part of a data set.

    Attributes:
        data: the data set.
        part: test, or val where the split has no test part.
        crops: (side, side, 3) uint8 RGB each, as they were before the cache.
        frame: their rows of `data.frame`.
    """

    data: FaceData
    part: str
    crops: list[Pixels]
    frame: pd.DataFrame


def unseen_faces(cfg: DictConfig, description: dict[str, Any], most: int, side: int) -> Unseen:
    """Faces of the test part, evenly spread; those of the train part, and their copies, are not.

    Args:
        cfg: its data is what the command line says of it; the rest is as in training.
        description: of the checkpoint.
        most: how many.
        side: of the crops, pixels.

    Raises:
        InputError: if the data cannot be used, or if no face is left.
    """
    data = data_of(cfg, description)
    data.setup("test")
    part = "test" if len(data.rows("test")) else "val"
    crops, frame = face_crops(data, part, most, side)
    mine = checkpoint.short_digests(frame["sha256"].tolist()).numpy()
    new = ~np.isin(mine, description["train_digests"].numpy())
    if not new.any():
        raise InputError(
            f"data.split={data.split}: all of {len(new)} faces of its {part} part are, or are"
            f" copies of, images this checkpoint was trained on. Name the split of its training"
        )
    if not new.all():
        log.warning(
            "%d of %d faces of the %s part are left out: the checkpoint was trained on them",
            *(int((~new).sum()), len(new), part),
        )
    kept = [crop for crop, is_new in zip(crops, new, strict=True) if is_new]
    return Unseen(data, part, kept, frame[new])
