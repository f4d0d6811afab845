"""From a composed config to a trained, scored and described run."""

import logging
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import DictConfig, OmegaConf

import agegender
from agegender import checkpoint, report
from agegender.callbacks import History
from agegender.config import check_config
from agegender.data.datamodule import FaceData
from agegender.data.files import whole_file, write_json
from agegender.errors import InputError
from agegender.evaluate import predict_parts
from agegender.module import FaceModule

log = logging.getLogger(__name__)


def fit(cfg: DictConfig) -> dict[str, Any]:
    """Train, score the best checkpoint and leave a complete run folder.

    Returns:
        What stands in `metrics.json`.

    Raises:
        InputError: if the config, the data or the checkpoint is not usable.
        TrainingDiverged: if the loss is not a finite number.
    """
    check_config(cfg)
    output = Path(cfg.output_dir)
    resume = resume_path(cfg.ckpt_path, output)
    # filling every new tensor with NaN first, part of torch's deterministic mode, is for
    # finding reads of uninitialised memory and costs a third of the speed
    torch.utils.deterministic.fill_uninitialized_memory = False
    pl.seed_everything(cfg.seed, verbose=False)
    data: FaceData = build(cfg.data)
    module = build_module(cfg)
    data.setup("fit")
    module.description = checkpoint.describe(_plain(cfg), data)
    save_inputs(cfg, data, output)
    loggers: list[Logger] = list(build(cfg.logger).values())
    callbacks = build(cfg.callbacks)
    trainer: pl.Trainer = build(cfg.trainer, callbacks=list(callbacks.values()), logger=loggers)
    log_hyperparameters(cfg, loggers, {})
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    history, best = callbacks["history"], callbacks["best"]
    return finish(cfg, data, module, trainer, history, best, loggers)


def build(node: DictConfig, **extra: Any) -> Any:
    """Instantiate a checked node; a constructor's refusal becomes the user's sentence."""
    try:
        return instantiate(node, _convert_="all", **extra)
    except Exception as error:
        cause = error.__cause__ or error
        if isinstance(cause, InputError | ValueError | TypeError) or _is_lightning_refusal(cause):
            raise InputError(str(cause)) from error
        raise


def _is_lightning_refusal(error: BaseException) -> bool:
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    return isinstance(error, MisconfigurationException)


def build_module(cfg: DictConfig) -> FaceModule:
    """Network, losses, optimizer and augmentation of a config, untrained."""
    loss = build(cfg.loss)
    return FaceModule(
        net=build(cfg.model, decoder=loss),
        loss=loss,
        optimizer=build(cfg.optimizer),
        augment=build(cfg.augment),
        age_weight=cfg.age_weight,
        gender_weight=cfg.gender_weight,
        seed=cfg.seed,
    )


def resume_path(ckpt_path: str | None, output: Path) -> str | None:
    """The checkpoint to continue from.

    Raises:
        InputError: if it was asked for and is not there.
    """
    if ckpt_path is None:
        return None
    path = output / "checkpoints" / "last.ckpt" if ckpt_path == "last" else Path(ckpt_path)
    if not path.is_file():
        raise InputError(
            f"ckpt_path={ckpt_path}: there is nothing to continue, {path} does not exist. Give the"
            f" run's folder (output_dir=RUN ckpt_path=last) or leave ckpt_path out to start anew"
        )
    return str(path)


def save_inputs(cfg: DictConfig, data: FaceData, output: Path) -> None:
    """`config.yaml` (enough to repeat the run), `split.csv` and `rejects.csv`."""
    output.mkdir(parents=True, exist_ok=True)
    config = {**_plain(cfg), "output_dir": "???", "ckpt_path": None}
    with whole_file(output / "config.yaml") as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    frame = data.frame[data.frame["part"] != ""]
    with whole_file(output / "split.csv") as temporary:
        frame[["file", "part", "group_id"]].to_csv(temporary, index=False)
    with whole_file(output / "rejects.csv") as temporary:
        data.faces.rejects.to_csv(temporary, index=False)


def finish(
    cfg: DictConfig,
    data: FaceData,
    module: FaceModule,
    trainer: pl.Trainer,
    history: History,
    best: ModelCheckpoint,
    loggers: list[Logger],
) -> dict[str, Any]:
    """Score the best checkpoint on val and test; write tables, figures and metrics."""
    output = Path(cfg.output_dir)
    module.net = checkpoint.load(Path(best.best_model_path)).net
    predictions = predict_parts(module, data, ["val", "test"], cfg.trainer.precision)
    with whole_file(output / "predictions.csv") as temporary:
        predictions.to_csv(temporary, index=False)
    metrics = score(data.frame, predictions)
    last = history.rows[-1]
    metrics["val_last"] = {
        name.removeprefix("val/"): value for name, value in last.items() if name.startswith("val/")
    }
    metrics["run"] = describe_run(cfg, data, history, best)
    write_json(output / "metrics.json", metrics)
    final = {
        f"{part}/{name}": value
        for part in ("val", "test")
        if part in metrics
        for name, value in metrics[part].items()
        if name != "n"
    }
    for logger in loggers:
        logger.log_metrics(
            {k: v for k, v in final.items() if k.startswith("test/")}, trainer.global_step
        )
    log_hyperparameters(cfg, loggers, final)
    for logger in loggers:
        logger.finalize("success")
    return metrics


def score(frame: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, Any]:
    """Metrics and trivial baselines of each part in a predictions table."""
    train = frame[frame["part"] == "train"]
    parts = dict(tuple(predictions.groupby("part")))
    return {
        **{part: report.part_metrics(rows) for part, rows in parts.items()},
        "baseline": {part: report.baseline(train, rows) for part, rows in parts.items()},
    }


def describe_run(
    cfg: DictConfig, data: FaceData, history: History, best: ModelCheckpoint
) -> dict[str, Any]:
    """What the run was, on what, and what it cost."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "command": " ".join(["python", *sys.argv]),
        "name": cfg.name,
        "model": cfg.model.backbone._target_.rpartition(".")[2].lower(),
        "loss": cfg.loss._target_.rpartition(".")[2].lower(),
        "split": data.split,
        "split_hash": data.split_hash,
        "data_digest": data.faces.digest,
        "seed": cfg.seed,
        "precision": str(cfg.trainer.precision),
        "epochs": len(history.rows),
        "best_epoch": _best_epoch(history, best),
        **history.costs(),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": pl.__version__,
        "agegender": agegender.__version__,
    }


def _best_epoch(history: History, best: ModelCheckpoint) -> int:
    assert best.monitor is not None and best.best_model_score is not None
    column = pd.DataFrame(history.rows)[best.monitor]
    position = column.argmin() if best.mode == "min" else column.argmax()
    return int(history.rows[position]["epoch"])


def log_hyperparameters(cfg: DictConfig, loggers: list[Logger], final: dict[str, float]) -> None:
    """The config and the final metrics (NaN until there are any) for TensorBoard's HPARAMS."""
    names = ["val/age_mae", "val/gender_acc", "test/age_mae", "test/gender_acc"]
    metrics = {f"hp/{name}": final.get(name, float("nan")) for name in names}
    flat = pd.json_normalize(_plain(cfg), sep=".").iloc[0].to_dict()
    plain = {k: v if isinstance(v, int | float | str | bool) else str(v) for k, v in flat.items()}
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(plain, metrics)
        else:
            logger.log_hyperparams(plain)


def _plain(cfg: DictConfig) -> dict[str, Any]:
    container = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def _commit() -> str:
    """The source tree's commit, with a + if it has changes; empty outside a checkout."""

    def git(*words: str) -> str:
        where = Path(__file__).parent
        done = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if commit and git("status", "--porcelain", "-uno") else "")
    except OSError:
        return ""


def _cpu() -> str:
    """The processor's name and how many of its cores this process may use."""
    names = []
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.processor()}, {cores} cores"
