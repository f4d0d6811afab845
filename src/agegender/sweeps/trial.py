"""A trial of a Hydra multirun: its name, its record, and what becomes of it when it fails."""

import gc
import hashlib
import logging
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from agegender import config
from agegender.cli import quieten
from agegender.data.files import held
from agegender.errors import InputError, Pruned, TrainingDiverged
from agegender.sweeps.records import Trial, find_trial, read_trials
from agegender.sweeps.summary import summarize
from agegender.train import fit, portable

log = logging.getLogger(__name__)
LONGEST = 120  # letters of a folder's name


def register() -> None:
    """Make schemas and resolvers known to Hydra, also those of multiruns; may be called again."""
    config.register()
    OmegaConf.register_new_resolver("trial_name", _trial_name, replace=True)


def in_sweep() -> bool:
    """Whether this is a job of a multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def varied(overrides: list[str], params: dict[str, str]) -> list[str]:
    """The keys that a sweep varies.

    Args:
        overrides: as given on the command line.
        params: Hydra's `hydra.sweeper.params`, which presets in `conf/sweep/` set.
    """
    words = [*(f"{key}={value}" for key, value in params.items()), *overrides]
    parsed = OverridesParser.create().parse_overrides(words)
    last = {override.get_key_element(): override.is_sweep_override() for override in parsed}
    return [key for key, swept in last.items() if swept]


def choices() -> dict[str, str]:
    """This job's value of each key that its sweep varies."""
    hydra = HydraConfig.get()
    sweep = OmegaConf.load(Path(hydra.sweep.dir) / "multirun.yaml")  # Hydra writes it first
    given = OmegaConf.to_container(sweep.hydra.overrides.task)
    params = OmegaConf.to_container(sweep.hydra.sweeper.get("params") or OmegaConf.create({}))
    assert isinstance(given, list)
    assert isinstance(params, dict)
    keys = varied([str(word) for word in given], {str(k): str(v) for k, v in params.items()})
    mine = dict(word.split("=", 1) for word in hydra.overrides.task)
    return {key: mine[key] for key in keys}


def folder_name(chosen: dict[str, str]) -> str:
    """What varied, as a folder is called; made of letters that Hydra takes without quotes.

    >>> folder_name({"model": "cnn", "optimizer.lr": "0.001"})
    'model-cnn_optimizer.lr-0.001'
    """
    name = "_".join(f"{key}-{value}" for key, value in chosen.items())
    name = re.sub(r"[^\w.+-]+", "-", name)
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name


def _trial_name() -> str:
    return folder_name(choices()) or str(HydraConfig.get().job.num)


def run_job(cfg: DictConfig) -> float:
    """Be one job of a multirun: train, unless that has been done.

    Returns:
        The validation metric of `monitor`, for sweepers that want one; NaN if the trial failed.
    """
    hydra = HydraConfig.get()
    sweep = Path(hydra.sweep.dir)
    if Path(cfg.output_dir).parent != sweep:
        raise InputError(
            f"output_dir={cfg.output_dir}: in a sweep each trial has a folder of its own. Name the"
            f" sweep's folder with hydra.sweep.dir=FOLDER"
        )
    words = shlex.join(["python", "scripts/train.py", *hydra.overrides.task])
    metrics = attempt(cfg, sweep, choices(), words)
    return float(metrics["run"]["monitored"]) if metrics else float("nan")


def attempt(
    cfg: DictConfig,
    sweep: Path,
    chosen: dict[str, str],
    command: str,
    train: Callable[..., dict[str, Any]] = fit,
) -> dict[str, Any] | None:
    """Train a trial in `cfg.output_dir`: anew, from its last checkpoint, or not at all.

    Whatever happens is in the trial's record; only the user can interrupt a sweep.

    Args:
        cfg: of this trial.
        sweep: the folder of all trials.
        chosen: what the sweep varies, and this trial's values.
        command: repeats the trial alone.
        train: what trains it; may also raise.

    Returns:
        What stands in `metrics.json`; None if the trial failed.

    Raises:
        InputError: if the folder is another trial's, or in use by another process.
        Pruned: if `train` does.
    """
    monitor = (str(cfg.monitor), str(cfg.monitor_mode))
    mine = Trial(Path(cfg.output_dir), _hash(cfg), chosen, command, *monitor)
    before = find_trial(sweep, mine.folder, mine.hash)
    if before and before.metrics():
        log.info("finished already: %s", before.folder)
        return before.metrics()
    if before:
        mine = mine._replace(folder=before.folder)
    with held(mine.folder, "trial"):
        return _recorded(mine, _continued(cfg, mine.folder) if before else cfg, train)


def _recorded(
    mine: Trial, cfg: DictConfig, train: Callable[..., dict[str, Any]]
) -> dict[str, Any] | None:
    """Train, and keep a record of how that ended."""
    mine.save()
    try:
        metrics = train(cfg, one_device=True)
        mine._replace(status="finished").save()
        return metrics
    except Pruned as error:
        mine._replace(status="pruned", reason=str(error)).save()
        raise
    except (Exception, SystemExit) as error:
        mistake = isinstance(error, InputError | TrainingDiverged)
        reason = str(error) if mistake else f"{type(error).__name__}: {error}"
        where = None if mistake else traceback.format_exc()
        mine._replace(status="failed", reason=reason, traceback=where).save()
        log.error("trial failed: %s", reason)
        return None
    finally:
        gc.collect()  # a trainer and its module hold each other


def _hash(cfg: DictConfig) -> str:
    text = OmegaConf.to_yaml(OmegaConf.create(portable(cfg)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _continued(cfg: DictConfig, folder: Path) -> DictConfig:
    """The config of a trial that may have been cut off."""
    cfg = cfg.copy()
    cfg.output_dir = str(folder)
    if (folder / "checkpoints/last.ckpt").is_file():
        cfg.ckpt_path = "last"
    else:  # cut off before there was one
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return cfg


def _arrived() -> "Summary":
    """A summary that a launcher has sent to a process of its own, which knows nothing of us yet."""
    register()
    quieten()
    return Summary()


class Summary(Callback):
    """Sums a multirun up at its end, and lets the process say if a trial has failed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, ()

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        try:
            print(summarize(folder))
            failed = sum(trial.status == "failed" for trial in read_trials(folder))
        except (InputError, OSError) as error:  # Hydra would make a warning of it
            print(f"error: the sweep cannot be summed up: {error}", file=sys.stderr)
            sys.exit(2)
        if failed:
            print(f"error: {failed} trials failed, see above", file=sys.stderr)
            sys.exit(1)
