"""Score a network on the parts of a data set."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from agegender import checkpoint, report
from agegender.callbacks import Progress
from agegender.config import build, check_config
from agegender.data.datamodule import FaceData
from agegender.data.files import whole_file, write_json
from agegender.errors import InputError
from agegender.machine import keep_freed_memory
from agegender.models.net import FlipAveraged
from agegender.module import PARTS, FaceModule
from agegender.provenance import provenance

COLUMNS = [
    "file", "part", "group_id", "copy_in_train", "age_years", "age_pred", "age_sd", "gender",
    "p_female", "race",
]  # fmt: skip


def evaluate(cfg: DictConfig) -> dict[str, Any]:
    """Score a checkpoint as `scripts/evaluate.py` does; the checkpoint brings its own config.

    Returns:
        What is written to `metrics.json`; `predictions.csv` lies beside it.

    Raises:
        InputError: if checkpoint, data or part are not usable, or if faces of the part were
            trained on and `allow_training_images` is not set.
    """
    if cfg.part not in PARTS:
        raise InputError(f"part={cfg.part} is not one of {', '.join(PARTS)}")
    keep_freed_memory()
    loaded = checkpoint.load(Path(cfg.checkpoint))
    data = _data_of(cfg, loaded.description)
    data.setup("test")
    if len(data.rows(cfg.part)) == 0:
        raise InputError(f"data.split={data.split} has no face in its {cfg.part} part")
    seen = trained_on(data, cfg.part, loaded.description)
    if seen and not cfg.allow_training_images:
        raise InputError(
            f"{seen} of the {len(data.rows(cfg.part))} faces in the {cfg.part} part are, or are"
            f" copies of, images this checkpoint was trained on, so the figures would flatter it."
            f" Name another split or part, or say allow_training_images=true"
        )
    trained = loaded.description["config"]
    flip_average = trained["flip_average"] if cfg.flip_average is None else cfg.flip_average
    module = scorer(loaded, flip_average)
    precision = cfg.precision or loaded.description["precision"]
    parts = [cfg.part, "test_keep"] if cfg.part == "test" else [cfg.part]
    predictions = predict_parts(module, data, parts, precision)
    metrics = score(data.frame, predictions)
    metrics["run"] = {
        **provenance(),
        "checkpoint": str(cfg.checkpoint),
        **split_facts(data),
        "trained_split_hash": loaded.description["split_hash"],
        "trained_on": seen,
        "precision": precision,
        "flip_average": flip_average,
    }
    output = Path(cfg.output_dir)
    with whole_file(output / "predictions.csv") as temporary:
        predictions.to_csv(temporary, index=False)
    write_json(output / "metrics.json", metrics)
    return metrics


def scorer(loaded: checkpoint.Loaded, flip_average: bool) -> FaceModule:
    """A module that can only score, computing as the training did.

    Args:
        loaded: from a checkpoint.
        flip_average: say the mean over each face and its mirror image.
    """
    net = FlipAveraged(loaded.net) if flip_average else loaded.net
    layout = loaded.description["config"]["channels_last"]
    return FaceModule(net, loaded.loss, channels_last=layout)


def _data_of(cfg: DictConfig, description: dict[str, Any]) -> FaceData:
    """The data named on the command line; what it leaves open is as in training."""
    given = OmegaConf.to_container(cfg.data, resolve=True)
    assert isinstance(given, dict)
    trained = dict(description["config"]["data"])
    sources = ("root", "archive", "csv", "drawn")
    if any(given.get(name) for name in sources):
        trained.update(root=None, archive=None, csv=None, drawn=0)
    merged = {**trained, **{key: value for key, value in given.items() if value is not None}}
    if merged["split"] != "kfold" and given.get("fold") is None:
        merged["fold"] = 0  # that of the training says nothing of another split
    # the network decides how faces are prepared, not the command line
    merged.update({key: trained[key] for key in ("image_size", "channels")})
    node = OmegaConf.create({"data": merged})
    node.data._target_ = f"{FaceData.__module__}.{FaceData.__qualname__}"
    check_config(node)
    data: FaceData = build(node.data)
    return data


def trained_on(data: FaceData, part: str, description: dict[str, Any]) -> int:
    """How many files of a part are among a checkpoint's training files or their copies."""
    digests = data.frame.iloc[data.rows(part)]["sha256"].tolist()
    mine = checkpoint.short_digests(digests)
    return int(np.isin(mine.numpy(), description["train_digests"].numpy()).sum())


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
    return pd.concat(tables)[COLUMNS]


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
