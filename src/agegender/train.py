"""From a composed config to a trained, scored and described run."""

import logging
import resource
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from agegender import checkpoint, figures
from agegender.callbacks import History
from agegender.config import build, check_config, plain
from agegender.data.datamodule import FaceData
from agegender.data.files import whole_file, write_json
from agegender.errors import InputError
from agegender.evaluate import predict_parts, score, scorer, split_facts
from agegender.machine import fastest_precision, keep_freed_memory
from agegender.module import FaceModule
from agegender.provenance import provenance
from agegender.report import NOTEBOOK, seconds_to

log = logging.getLogger(__name__)
NOT_VARIED = {"output_dir", "ckpt_path", "monitor", "monitor_mode", "callbacks", "logger"}
# its best age MAE, and the gender accuracy of its last epoch
NOTEBOOK_BAR = (NOTEBOOK["best"][0], NOTEBOOK["last"][1])
HPARAMS = ("val/age_mae", "val/gender_acc", "test/age_mae", "test/gender_acc")


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
    if cfg.keep_freed_memory:
        keep_freed_memory()
    chosen, why = fastest_precision()
    reason = why if cfg.trainer.precision == chosen else f"as asked; {chosen} is faster here: {why}"
    log.info("precision %s: %s", cfg.trainer.precision, reason)
    # filling every new tensor with NaN first, part of torch's deterministic mode, is there to
    # find reads of uninitialised memory; results do not hang on it
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    pl.seed_everything(cfg.seed, verbose=False)
    data: FaceData = build(cfg.data, seed=cfg.seed)
    module = build_module(cfg)
    loggers: list[Logger] = list(_built(cfg.logger).values())
    callbacks = _built(cfg.callbacks)
    trainer: pl.Trainer = build(cfg.trainer, callbacks=list(callbacks.values()), logger=loggers)
    data.setup("fit")
    module.description = checkpoint.describe(plain(cfg), data)
    if resume:
        module.check_continues(checkpoint.load(Path(resume)).description)
    save_inputs(cfg, data, output)
    log_hyperparameters(cfg, loggers, {})
    if resume:
        log.info("continuing from %s", resume)
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    return finish(cfg, data, module, callbacks["history"], callbacks["best"], loggers)


def _built(nodes: DictConfig | None) -> dict[str, Any]:
    """What named nodes build; a node that was set to null builds nothing."""
    found = build(nodes) if nodes else {}
    return {name: value for name, value in found.items() if value is not None}


def build_module(cfg: DictConfig) -> FaceModule:
    """Network, losses, optimizer and augmentation of a config, untrained.

    Raises:
        InputError: with what a constructor said.
    """
    loss = build(cfg.loss)
    module = FaceModule(
        net=build(cfg.model, decoder=loss),
        loss=loss,
        optimizer=build(cfg.optimizer),
        scheduler=build(cfg.scheduler),
        augment=build(cfg.augment),
        weighting=build(cfg.weighting),
        gender_smoothing=cfg.gender_smoothing,
        seed=cfg.seed,
        channels_last=cfg.channels_last,
    )
    if cfg.compile:
        module.net.compile()  # in place: the names in checkpoints stay
    try:
        module.optimizers_for(total_steps=1)  # a bad value is told before any data is touched
    except ValueError as error:
        raise InputError(str(error)) from error
    return module


def resume_path(ckpt_path: str | None, output: Path) -> str | None:
    """The checkpoint to continue from; None for a new run, which needs a folder of its own.

    Raises:
        InputError: if it was asked for and is not there, or if a new run would mix with an old.
    """
    if ckpt_path is None:
        if (output / "checkpoints").exists():
            raise InputError(
                f"output_dir={output} already holds a run: continue it with ckpt_path=last, or give"
                f" another folder"
            )
        return None
    path = output / "checkpoints" / "last.ckpt" if ckpt_path == "last" else Path(ckpt_path)
    if not path.is_file():
        raise InputError(
            f"ckpt_path={ckpt_path}: there is nothing to continue, {path} does not exist. Give the"
            f" run's folder (output_dir=RUN ckpt_path=last) or leave ckpt_path out to start anew"
        )
    return str(path)


def save_inputs(cfg: DictConfig, data: FaceData, output: Path) -> None:
    """`config.yaml` (enough to repeat the run), `split.csv`, `copies.csv`, `rejects.csv`."""
    config = {**_portable(cfg), "hydra": {"run": {"dir": "${output_dir}"}, "output_subdir": None}}
    with whole_file(output / "config.yaml") as temporary:
        temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    frame = data.frame[data.frame["part"] != ""]
    with whole_file(output / "split.csv") as temporary:
        frame[["file", "part", "group_id"]].to_csv(temporary, index=False)
    with whole_file(output / "copies.csv") as temporary:
        data.groups.to_csv(temporary, index=False)
    with whole_file(output / "rejects.csv") as temporary:
        data.faces.rejects.to_csv(temporary, index=False)


def _portable(cfg: DictConfig) -> dict[str, Any]:
    """The config with its values, but for the run's folder, which the next run has to name."""
    moved = OmegaConf.merge(cfg, {"output_dir": "OUTPUT_DIR", "ckpt_path": None})
    text = OmegaConf.to_yaml(moved, resolve=True)
    text = text.replace("output_dir: OUTPUT_DIR", "output_dir: ???")
    config = OmegaConf.to_container(OmegaConf.create(text.replace("OUTPUT_DIR", "${output_dir}")))
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def finish(
    cfg: DictConfig,
    data: FaceData,
    module: FaceModule,
    history: History,
    best: ModelCheckpoint,
    loggers: list[Logger],
) -> dict[str, Any]:
    """Score the best checkpoint on val and test; write tables, figures and metrics."""
    output = Path(cfg.output_dir)
    loaded = checkpoint.load(Path(best.best_model_path))
    predictions = predict_parts(
        scorer(loaded, cfg.flip_average),
        data,
        ["val", "test", "test_keep"],
        str(cfg.trainer.precision),
    )
    with whole_file(output / "predictions.csv") as temporary:
        predictions.to_csv(temporary, index=False)
    last = history.rows[-1]
    metrics = {
        **score(data.frame, predictions),
        "val_last": {name[4:]: value for name, value in last.items() if name.startswith("val/")},
        "run": describe_run(cfg, data, module, history),
    }
    write_json(output / "metrics.json", metrics)
    drawn = draw_figures(data, predictions, history, output / "figures")
    show_in_loggers(cfg, metrics, drawn, int(last["step"]), loggers)
    return metrics


def describe_run(
    cfg: DictConfig, data: FaceData, module: FaceModule, history: History
) -> dict[str, Any]:
    """What the run was, on what, and what it cost."""
    values = [row[cfg.monitor] for row in history.rows]
    best = values.index(min(values) if cfg.monitor_mode == "min" else max(values))
    return {
        **provenance(),
        "name": cfg.name,
        "model": _option(cfg.model.backbone),
        "loss": _option(cfg.loss),
        "parameters": sum(p.numel() for p in module.net.parameters()),
        **split_facts(data),
        "seed": cfg.seed,
        "precision": str(cfg.trainer.precision),
        "epochs": len(history.rows),
        "best_epoch": history.rows[best]["epoch"],
        **history.costs(),
        "seconds_to_notebook": seconds_to(pd.DataFrame(history.rows), *NOTEBOOK_BAR)
        if data.split == "notebook"
        else None,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def _option(node: DictConfig) -> str:
    """What a backbone or a loss is called in `conf/`: the name of its module."""
    return str(node._target_).split(".")[-2]


def draw_figures(
    data: FaceData, predictions: pd.DataFrame, history: History, folder: Path
) -> list[Path]:
    """All figures of a run, saved as PNG; of the test part, or val where there is no test."""
    part = "test" if (predictions["part"] == "test").any() else "val"
    shown = predictions[predictions["part"] == part]
    found = figures.run_figures(pd.DataFrame(history.rows), shown, part, data.pixels)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in found]
    for path, figure in zip(paths, found.values(), strict=True):
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    return paths


def show_in_loggers(
    cfg: DictConfig,
    metrics: dict[str, Any],
    drawn: list[Path],
    step: int,
    loggers: list[Logger],
) -> None:
    """Final metrics, HPARAMS and figures for TensorBoard (or whatever logger is configured)."""
    final = {
        f"{part}/{name}": value
        for part in ("val", "test")
        for name, value in metrics.get(part, {}).items()
    }
    log_hyperparameters(cfg, loggers, final)
    for logger in loggers:
        logger.log_metrics({k: v for k, v in final.items() if k.startswith("test/")}, step)
        if isinstance(logger, TensorBoardLogger):
            for path in drawn:
                picture = np.asarray(Image.open(path).convert("RGB"))
                logger.experiment.add_image(
                    f"figures/{path.stem}", picture, step, dataformats="HWC"
                )
        logger.finalize("success")


def log_hyperparameters(cfg: DictConfig, loggers: list[Logger], final: dict[str, float]) -> None:
    """What researchers vary, and the final metrics (NaN until there are any), for HPARAMS."""
    scores = {f"hp/{name}": final.get(name, float("nan")) for name in HPARAMS}
    varied = {key: value for key, value in plain(cfg).items() if key not in NOT_VARIED}
    flat = pd.json_normalize(varied, sep=".").iloc[0].to_dict()
    values = {}
    for name, value in flat.items():
        key, last = str(name), str(name).rpartition(".")[2]
        if last == "_target_":  # the class alone: the table has narrow columns
            key, value = key.removesuffix("._target_"), value.rpartition(".")[2]
        if last != "_partial_":
            plain_value = isinstance(value, int | float | str | bool)
            values[key] = value if plain_value else str(value)
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(values, scores)
        else:
            logger.log_hyperparams(values)
