"""Run a network over the parts of a data set, and score what it says."""

from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch

from agegender import checkpoint, report
from agegender.callbacks import Progress
from agegender.data.datamodule import FaceData
from agegender.models.net import FlipAveraged
from agegender.module import FaceModule

COLUMNS = [
    "file", "part", "group_id", "copy_in_train", "age_years", "age_pred", "age_sd", "age_lo",
    "age_hi", "gender", "p_female", "race",
]  # fmt: skip


def scorer(loaded: checkpoint.Loaded, flip_average: bool) -> FaceModule:
    """A module that can only score, computing as the training did.

    Args:
        loaded: from a checkpoint.
        flip_average: say the mean over each face and its mirror image.
    """
    net = FlipAveraged(loaded.net) if flip_average else loaded.net
    layout = loaded.description["config"]["channels_last"]
    return FaceModule(net, loaded.loss, channels_last=layout)


def predict_parts(
    module: FaceModule, data: FaceData, parts: list[str], precision: str
) -> pd.DataFrame:
    """Run over whole parts, each face once.

    Returns:
        One row a face: file, part, group_id, copy_in_train (whether the train part holds a copy
        of it), age_years and age_pred (years), age_sd (years, the spread of the predicted
        distribution; missing where the age loss has none), gender (0 male, 1 female), p_female
        (0 to 1), race (or missing). A part without faces gives no rows.
    """
    trainer = pl.Trainer(
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[Progress()],
    )
    tables = []
    learned = set(data.frame.loc[data.frame["part"] == "train", "group_id"])
    for part in parts:
        rows = data.scored(part)
        if rows.empty:
            continue
        trainer.test(module, data.part_dataloader(part), verbose=False)
        found = module.predictions["test"]
        assert (found.row.numpy() == rows.index).all()
        tables.append(
            rows.assign(
                copy_in_train=rows["group_id"].isin(learned),
                age_pred=_plain(found.age_pred),
                age_sd=_plain(found.age_sd),
                p_female=_plain(found.p_female),
            )
        )
    return pd.concat(tables)[[name for name in COLUMNS if name not in ("age_lo", "age_hi")]]


def _plain(values: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    return values.double().numpy().round(6)


def score(frame: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, Any]:
    """Metrics and trivial baselines of each part in a predictions table.

    Where faces of the test part have copies in the train part, `test_clean` is the test part
    without them.
    """
    train = frame[frame["part"] == "train"]
    parts = {str(part): rows for part, rows in predictions.groupby("part")}
    if "test" in parts and (clean := ~parts["test"]["copy_in_train"]).any() and not clean.all():
        parts["test_clean"] = parts["test"][clean]
    return {
        **{part: report.part_metrics(rows) for part, rows in parts.items()},
        "baseline": {part: report.baseline(train, rows) for part, rows in parts.items()},
    }


def split_facts(data: FaceData) -> dict[str, Any]:
    """What tells one split of one data set from another."""
    return {
        "split": data.split,
        "fold": data.fold if data.split == "kfold" else None,
        "duplicates": data.duplicates,
        "split_hash": data.split_hash,
        "data_digest": data.faces.digest,
        "val_copies_in_train": data.crossings["val"],
        "test_copies_in_train": data.crossings["test"],
    }
