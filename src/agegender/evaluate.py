"""Score and report a checkpoint, or anybody's predictions."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from agegender import checkpoint, explain, intervals, report, robustness
from agegender.config import build, check_config
from agegender.data.cache import Pixels, prepare
from agegender.data.datamodule import FaceData
from agegender.data.files import whole_file, write_json
from agegender.data.table import open_image
from agegender.errors import InputError
from agegender.intervals import Calibration, with_bounds
from agegender.machine import keep_freed_memory
from agegender.module import PARTS, FaceModule
from agegender.provenance import provenance
from agegender.reports.evaluation_report import (
    evaluation_of,
    faces_section,
    facts_section,
    looking_section,
    make_report,
    robustness_section,
    write_report,
)
from agegender.reports.predictions import answered, read_predictions
from agegender.reports.sections import Section
from agegender.scoring import COLUMNS, predict_parts, score, scorer, split_facts

log = logging.getLogger(__name__)
NONE = torch.empty(0, dtype=torch.int64)  # of checkpoints that do not say
LOOKED_AT = 8  # faces on which it is shown where the network looks


def evaluate(cfg: DictConfig) -> dict[str, Any]:
    """Score a checkpoint or a table of predictions, as `scripts/evaluate.py` does.

    Returns:
        What is written to `metrics.json`; `predictions.csv` and `report.html` lie beside it.

    Raises:
        InputError: if checkpoint, predictions, data or part are not usable, or if faces of the
            part were trained on and `allow_training_images` is not set.
    """
    if (cfg.checkpoint is None) == (cfg.predictions is None):
        raise InputError("give either checkpoint=RUN/checkpoints/best.ckpt or predictions=FILE.csv")
    if cfg.part not in PARTS:
        raise InputError(f"part={cfg.part} is not one of {', '.join(PARTS)}")
    intervals.check_level(cfg.level)
    return _of_table(cfg) if cfg.predictions else _of_checkpoint(cfg)


def _of_table(cfg: DictConfig) -> dict[str, Any]:
    """Another system's predictions, or those of an earlier run."""
    for name in ("robustness", "explain"):
        if cfg[name]:
            raise InputError(f"{name}=true needs a network: give checkpoint=, not predictions=")
    table = read_predictions(Path(cfg.predictions))
    rows = answered(table)
    if not (rows["part"] == cfg.part).any():
        raise InputError(
            f"predictions={cfg.predictions} has no predicted face in its {cfg.part} part"
        )
    calibration, calibrated = calibration_for(rows, cfg.part, None)
    if calibration or not {"age_lo", "age_hi"} <= set(table):
        table = with_bounds(table, calibration, cfg.level)
    else:
        calibrated = "given with the predictions"
    learnt = rows[rows["part"] == "val"]
    told = "the validation part" if len(learnt) else "these faces themselves"
    guess = learnt if len(learnt) else rows[rows["part"] == cfg.part]
    metrics = score(guess.assign(part="train"), rows)
    metrics["run"] = {
        **provenance(), "predictions": str(cfg.predictions), "part": cfg.part,
        "intervals": calibrated, "level": cfg.level,
    }  # fmt: skip
    save(Path(cfg.output_dir), table, metrics)
    if cfg.report:
        of = evaluation_of(
            *(table, cfg.part, calibration, calibrated),
            *(cfg.level, cfg.adult_age, report.trivial_guess(guess), told),
        )
        silent = int((table["part"] == cfg.part).sum()) - len(of.rows)
        sections = [*make_report(of, silent), facts_section(metrics["run"])]
        write_report(Path(cfg.output_dir), f"Report: {Path(cfg.predictions).name}", sections)
    return metrics


def _of_checkpoint(cfg: DictConfig) -> dict[str, Any]:
    """A network; its checkpoint brings its own config."""
    keep_freed_memory()
    loaded = checkpoint.load(checkpoint.named(cfg.checkpoint))
    about = loaded.description
    data = data_of(cfg, about)
    data.setup("test")
    seen = _check_unseen(cfg, data, about)
    flip_average = about["config"]["flip_average"] if cfg.flip_average is None else cfg.flip_average
    module = scorer(loaded, flip_average)
    precision = cfg.precision or about["precision"]
    # validation faces calibrate intervals, unless the network has learnt from them
    val = ["val"] if cfg.part == "test" and not trained_on(data, "val", about) else []
    parts = [*val, "test", "test_keep"] if cfg.part == "test" else [cfg.part]
    predictions = predict_parts(module, data, parts, precision)
    validated = _validated_on(data, cfg.part, about)
    same = flip_average == about["config"]["flip_average"]
    # what was calibrated on a face says nothing about that face
    stored = about.get("calibration") if same and not validated else None
    calibration, calibrated = calibration_for(predictions, cfg.part, stored)
    predictions = with_bounds(predictions, calibration, cfg.level)[COLUMNS]
    guess, told = _guess_from(data.frame, cfg.part)
    metrics = score(guess, predictions)
    metrics["run"] = {
        **provenance(),
        "checkpoint": str(cfg.checkpoint),
        **trained_as(about),
        **split_facts(data),
        "trained_split_hash": about["split_hash"],
        "trained_on": seen,
        "validated_on": validated,
        "part": cfg.part,
        "precision": precision,
        "flip_average": flip_average,
        "intervals": calibrated,
        "level": cfg.level,
    }
    save(Path(cfg.output_dir), predictions, metrics)
    if cfg.report:
        of = evaluation_of(
            *(predictions, cfg.part, calibration, calibrated, cfg.level, cfg.adult_age),
            *(report.trivial_guess(guess), told),
        )
        more = _of_network(cfg, module, data, of.rows)
        sections = [*make_report(of), *more, facts_section(metrics["run"])]
        write_report(Path(cfg.output_dir), f"Report: {about['config']['name']}", sections)
    return metrics


def _guess_from(frame: pd.DataFrame, part: str) -> tuple[pd.DataFrame, str]:
    """The faces that the trivial guess learns from, and their name; data may have no train part."""
    train = frame[frame["part"] == "train"]
    if len(train):
        return train, "the train part"
    return frame[frame["part"] == part].assign(part="train"), "these faces themselves"


def _validated_on(data: FaceData, part: str, description: dict[str, Any]) -> int:
    """How many faces of a part other than val chose the training's best epoch; warns of them."""
    if part == "val":  # expected, and said elsewhere
        return 0
    found = known(data, part, description.get("val_digests", NONE))
    if found:
        log.warning(
            "%d faces of the %s part were validation faces of the training, by which its best epoch"
            " was chosen: the figures flatter it",
            *(found, part),
        )
    return found


def _check_unseen(cfg: DictConfig, data: FaceData, description: dict[str, Any]) -> int:
    """How many faces of the part were trained on.

    Raises:
        InputError: if that is not allowed, or if the part is empty.
    """
    if len(data.rows(cfg.part)) == 0:
        raise InputError(f"data.split={data.split} has no face in its {cfg.part} part")
    seen = trained_on(data, cfg.part, description)
    if seen and not cfg.allow_training_images:
        raise InputError(
            f"{seen} of the {len(data.rows(cfg.part))} faces in the {cfg.part} part are, or are"
            f" copies of, images this checkpoint was trained on, so the figures would flatter it."
            f" Name another split or part, or say allow_training_images=true"
        )
    return seen


def _of_network(
    cfg: DictConfig, module: FaceModule, data: FaceData, rows: pd.DataFrame
) -> list[Section]:
    """The sections that need the network or the pictures."""
    found = []
    if cfg.robustness:
        found.append(robustness_section(robustness.measure(module.net, data.pixels, rows)))
    found.append(faces_section(rows, data.pixels))
    if cfg.explain:
        chosen = rows.sample(min(LOOKED_AT, len(rows)), random_state=0)
        maps = explain.looked_at(module.net, data.pixels, chosen.index.to_numpy())
        found.append(looking_section(chosen, maps, explain.patch_of(data.image_size)))
    return found


def calibration_for(
    predictions: pd.DataFrame, part: str, stored: Calibration | None
) -> tuple[Calibration | None, str]:
    """The calibration of intervals, and in words where it comes from.

    Args:
        predictions: with the validation part, if there is one.
        part: the part that is reported, which must not calibrate itself.
        stored: that of the checkpoint, if it has one.
    """
    if stored:
        where = "when the checkpoint was written"
        if part == "val":
            where += ", which are the faces of this part: coverage says nothing here"
        return stored, f"calibrated on {stored['n']:,} validation faces {where}"
    val = answered(predictions[predictions["part"] == "val"])
    if part == "val" or val.empty:
        return None, "there are no validation faces beside this part to calibrate on"
    return intervals.calibrate(val), f"calibrated on the {len(val):,} validation faces of the split"


def save(folder: Path, predictions: pd.DataFrame, metrics: dict[str, Any]) -> None:
    """Write `predictions.csv` and `metrics.json`."""
    with whole_file(folder / "predictions.csv") as temporary:
        predictions.to_csv(temporary, index=False)
    write_json(folder / "metrics.json", metrics)


def trained_as(description: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of the network's training."""
    config = description["config"]
    return {
        "name": config["name"],
        "model": option(config["model"]["backbone"]["_target_"]),
        "loss": option(config["loss"]["_target_"]),
        "seed": config["seed"],
    }


def option(target: str) -> str:
    """What a backbone or a loss is called in `conf/`: the name of its module."""
    return target.split(".")[-2]


def data_of(cfg: DictConfig, description: dict[str, Any]) -> FaceData:
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


def face_crops(
    data: FaceData, part: str, most: int, side: int
) -> tuple[list[Pixels], pd.DataFrame]:
    """Pictures of a part as they were before the cache, evenly spread over its table.

    Returns:
        (side, side, 3) uint8 RGB each, and their rows of `data.frame`.

    Raises:
        InputError: if the part has no face.
    """
    rows = data.rows(part)
    if len(rows) == 0:
        raise InputError(f"data.split={data.split} has no face in its {part} part")
    chosen = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]
    frame, folder = data.frame.iloc[chosen], data.faces.folder
    images = (open_image((folder / file).read_bytes(), file) for file in frame["file"])
    return [prepare(image, 3, side).transpose(1, 2, 0) for image in images], frame


def trained_on(data: FaceData, part: str, description: dict[str, Any]) -> int:
    """How many files of a part are among a checkpoint's training files or their copies."""
    return known(data, part, description["train_digests"])


def known(data: FaceData, part: str, digests: torch.Tensor) -> int:
    """How many files of a part are among those that a checkpoint knows by their digests."""
    files = data.frame.iloc[data.rows(part)]["sha256"].tolist()
    return int(np.isin(checkpoint.short_digests(files).numpy(), digests.numpy()).sum())
