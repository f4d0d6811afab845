"""From a composed config to a trained, scored and described run."""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf

from agegender import checkpoint
from agegender.callbacks import CheckpointFiles, Preemption
from agegender.config import RUN_FOLDER, build, check_config, plain
from agegender.data.datamodule import FaceData
from agegender.data.files import as_cells, held, whole_file, write_sealed
from agegender.errors import InputError, ProcessLost
from agegender.finish import finish, log_hyperparameters
from agegender.machine import fastest_precision, keep_freed_memory, use_threads
from agegender.module import FaceModule
from agegender.usage import forget_peak

log = logging.getLogger(__name__)
LAST, BEST = "checkpoints/last.ckpt", "checkpoints/best.ckpt"
# what gloo and NCCL say when another process has gone
LOST = re.compile(r"closed by peer|reset by peer|broken pipe|timed? ?out|remote process", re.I)


def fit(
    cfg: DictConfig, more: Sequence[pl.Callback] = (), one_device: bool = False
) -> dict[str, Any]:
    """Train, score the best checkpoint and leave a complete run folder.

    Args:
        cfg: composed of `conf/train.yaml`.
        more: callbacks beside the config's.
        one_device: refuse to train on several, as the trials of a sweep must.

    Returns:
        What stands in `metrics.json`; nothing from all but the first of several processes.

    Raises:
        InputError: if the config, the data or the checkpoint is not usable.
        TrainingDiverged: if the loss is not a finite number.
        ProcessLost: if another process of this training has ended early.
    """
    check_config(cfg)
    if _rank() > 0:
        logging.getLogger("agegender").setLevel(logging.WARNING)
        return _fit(cfg, more, one_device)
    with held(Path(cfg.output_dir)):
        return _fit(cfg, more, one_device)


def _fit(cfg: DictConfig, more: Sequence[pl.Callback], one_device: bool) -> dict[str, Any]:
    first = _rank() == 0
    output = Path(cfg.output_dir)
    resume = resume_path(cfg.ckpt_path, output, first)
    _prepare_machine(cfg)
    data: FaceData = build(cfg.data, seed=cfg.seed)
    module = build_module(cfg)
    loggers: list[Logger] = list(_built(cfg.logger).values())
    callbacks = _built(cfg.callbacks)
    trainer: pl.Trainer = build(
        cfg.trainer,
        callbacks=[*callbacks.values(), *more, Preemption(output / LAST)],
        logger=loggers,
        plugins=[CheckpointFiles()],
    )
    if one_device and trainer.world_size > 1:
        raise InputError(
            f"the trials of a sweep take one device each, not {trainer.world_size}: each process of"
            f" a trial would run the whole sweep. Say trainer.devices=1"
        )
    data.setup("fit")
    module.description = checkpoint.describe(plain(cfg), data)
    module.description["processes"] = trainer.world_size
    if resume:
        module.check_continues(checkpoint.load(Path(resume)).description)
        log.info("continuing from %s", resume)
    if first:
        save_inputs(cfg, data, output)
        log_hyperparameters(cfg, loggers, {})
    _train(trainer, module, data, resume, output)
    return (
        finish(cfg, data, module, callbacks["history"], callbacks["best"], loggers) if first else {}
    )


def _rank() -> int:
    """This process's place among those of the run, known before they have met."""
    return int(getattr(rank_zero_only, "rank", 0))


def _prepare_machine(cfg: DictConfig) -> None:
    """Memory, threads, precision and random numbers, as the config says."""
    forget_peak()
    use_threads(cfg.threads)
    if cfg.keep_freed_memory:
        keep_freed_memory()
    chosen, why = fastest_precision()
    reason = why if cfg.trainer.precision == chosen else f"as asked; {chosen} is faster here: {why}"
    log.info("precision %s: %s", cfg.trainer.precision, reason)
    # filling every new tensor with NaN first, part of torch's deterministic mode, is there to
    # find reads of uninitialised memory; results do not hang on it
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    pl.seed_everything(cfg.seed, verbose=False)


def _train(
    trainer: pl.Trainer, module: FaceModule, data: FaceData, resume: str | None, output: Path
) -> None:
    """Lightning's fit; where there are several processes, together with them, and apart after it.

    Raises:
        KeyboardInterrupt: if the user or the system ends it.
        ProcessLost: if another process has ended early.
    """
    together = trainer.world_size > 1
    if together:  # those that Lightning starts need the folder that the first one has named
        os.environ[RUN_FOLDER] = str(output.resolve())
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
        if together:
            trainer.strategy.barrier()
            torch.distributed.destroy_process_group()
    except SystemExit as error:  # Lightning's way to end at Ctrl-C, and at SIGTERM
        if isinstance(error.__context__, KeyboardInterrupt) or isinstance(error, SIGTERMException):
            raise KeyboardInterrupt from error
        raise
    except RuntimeError as error:
        if not together or not LOST.search(str(error)):
            raise
        kept = (output / LAST).is_file()
        raise ProcessLost(
            f"another process of this training has ended early, so this one (of rank"
            f" {trainer.global_rank}) stops too: {str(error).splitlines()[0]}. "
            + (f"Continue with output_dir={output} ckpt_path=last" if kept else "Start it anew")
        ) from error
    finally:
        os.environ.pop(RUN_FOLDER, None)


def _built(nodes: DictConfig | None) -> dict[str, Any]:
    """What named nodes build; a node that was set to null builds nothing."""
    found = build(nodes) if nodes else {}
    return {name: value for name, value in found.items() if value is not None}


def build_module(cfg: DictConfig) -> FaceModule:
    """Network, losses, optimizer and augmentation of a config, untrained.

    Raises:
        InputError: with what a constructor said.
    """
    _check_growth(cfg)
    loss = build(cfg.loss)
    try:  # a bad value is told before any data is touched
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
        module.optimizers_for(total_steps=1)
    except ValueError as error:
        raise InputError(str(error)) from error
    if cfg.compile:
        module.net.compile()  # in place: the names in checkpoints stay
    return module


def _check_growth(cfg: DictConfig) -> None:
    """Refuse images that start small if they are not small, or if the backbone reads one size."""
    start = cfg.augment.get("start_size", 0)
    if start > cfg.data.image_size:
        raise InputError(
            f"augment.start_size={start}: images grow from there to data.image_size="
            f"{cfg.data.image_size}, which is smaller"
        )
    if start and "image_size" in cfg.model.backbone:
        raise InputError(
            f"augment.start_size={start}: this backbone reads images of one size only; choose"
            f" another, such as model=compact, or augment.start_size=0"
        )


def resume_path(ckpt_path: str | None, output: Path, first: bool) -> str | None:
    """The checkpoint to continue from; None for a new run, which needs a folder of its own.

    Args:
        ckpt_path: `last`, a path, or None.
        output: the run's folder.
        first: whether this is the first of the run's processes; others find what it has made.

    Raises:
        InputError: if it was asked for and is not there, or if a new run would mix with an old.
    """
    if ckpt_path is None:
        if first and any((output / name).exists() for name in (LAST, BEST)):
            raise InputError(
                f"output_dir={output} already holds a run: continue it with ckpt_path=last, or give"
                f" another folder"
            )
        return None
    path = Path(ckpt_path)
    if ckpt_path == "last":  # a kill in the first epoch may leave the best one only
        path = output / (
            BEST if (output / BEST).exists() and not (output / LAST).exists() else LAST
        )
    if not path.is_file():
        raise InputError(
            f"ckpt_path={ckpt_path}: there is nothing to continue, {path} does not exist. Give the"
            f" run's folder (output_dir=RUN ckpt_path=last) or leave ckpt_path out to start anew"
        )
    return str(path)


def save_inputs(cfg: DictConfig, data: FaceData, output: Path) -> None:
    """`config.yaml` (enough to repeat the run), `split.csv`, `copies.csv`, `rejects.csv`."""
    config = {**portable(cfg), "hydra": {"run": {"dir": "${output_dir}"}, "output_subdir": None}}
    write_sealed(output / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
    frame = data.frame[data.frame["part"] != ""]
    with whole_file(output / "split.csv") as temporary:
        frame[["file", "part", "group_id"]].to_csv(temporary, index=False)
    with whole_file(output / "copies.csv") as temporary:
        data.groups.to_csv(temporary, index=False)
    with whole_file(output / "rejects.csv") as temporary:
        as_cells(data.faces.rejects).to_csv(temporary, index=False)


def portable(cfg: DictConfig) -> dict[str, Any]:
    """The config with its values, but for the run's folder, which the next run has to name."""
    moved = OmegaConf.merge(cfg, {"output_dir": "OUTPUT_DIR", "ckpt_path": None})
    text = OmegaConf.to_yaml(moved, resolve=True)
    text = text.replace("output_dir: OUTPUT_DIR", "output_dir: ???")
    config = OmegaConf.to_container(OmegaConf.create(text.replace("OUTPUT_DIR", "${output_dir}")))
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}
