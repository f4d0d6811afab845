"""What Hydra has to know, and the check that finds every mistake before anything is built."""

import difflib
import importlib
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import MISSING, DictConfig, OmegaConf

from agegender.errors import InputError
from agegender.machine import fastest_precision
from agegender.schemas import SCHEMAS

OWN = "agegender."
RUN_FOLDER = "AGEGENDER_RUN_FOLDER"  # where the first process tells those it starts of the run's
ALLOWED = (OWN, "lightning.pytorch.", "torch.optim.")
# what a checkpoint can be chosen by, and which way is better
MONITORS = {
    "val/age_mae": "min",
    "val/age_rmse": "min",
    "val/age_cs5": "max",
    "val/gender_acc": "max",
    "val/gender_auroc": "max",
    "val/loss": "min",
    "val/age_loss": "min",
    "val/gender_loss": "min",
}
# arguments that the code gives when it builds a node
SUPPLIED = {
    "model": {"decoder"},
    "optimizer": {"params"},
    "scheduler": {"optimizer", "total_steps"},
}


def register() -> None:
    """Make the schemas and the resolvers known to Hydra; may be called again."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    OmegaConf.register_new_resolver("run_dir", _run_dir, replace=True)
    OmegaConf.register_new_resolver(
        "fastest_precision", lambda: fastest_precision()[0], replace=True
    )


def _run_dir(single: str) -> str:
    """The folder of a run: `single`, or in a multirun the job's own.

    Raises:
        InputError: if each of several processes would name one by its own clock.
    """
    if RUN_FOLDER in os.environ:
        return os.environ[RUN_FOLDER]
    if "TORCHELASTIC_RUN_ID" in os.environ or int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        raise InputError("give output_dir=FOLDER: each process would name a folder of its own")
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        return str(Path(hydra.sweep.dir) / hydra.sweep.subdir)
    return single


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A config as plain dicts, lists and values."""
    container = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def build(node: DictConfig, **supplied: Any) -> Any:
    """Instantiate a checked node; a constructor's refusal becomes the user's sentence.

    Raises:
        InputError: with what the constructor said.
    """
    try:
        return instantiate(node, _convert_="all", **supplied)
    except InstantiationException as error:
        # importing Lightning takes seconds, which those who only predict need not wait for
        from lightning.fabric.utilities.exceptions import MisconfigurationException

        cause = error.__cause__
        if isinstance(cause, ValueError | TypeError | MisconfigurationException):
            raise InputError(str(cause)) from error
        raise


def check_config(cfg: DictConfig, allowed: tuple[str, ...] = ALLOWED) -> None:
    """Check every node that is to be built against what it builds, before anything is built.

    Args:
        cfg: the config, or a part of one.
        allowed: the packages that its targets may come from.

    Raises:
        InputError: one sentence a mistake, all at once.
    """
    if "data" in cfg and "_target_" not in cfg.data:
        raise InputError(
            "data=as_trained is for scripts/evaluate.py: choose utkface, csv or synthetic"
        )
    config = plain(cfg)
    mistakes = [*_mistakes(config, "", allowed), *_choice_mistakes(config)]
    if mistakes:
        raise InputError("\n       ".join(mistakes))


def _mistakes(node: Any, path: str, allowed: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield from _node_mistakes(node, path, allowed)
        for key, value in node.items():
            yield from _mistakes(value, f"{path}.{key}" if path else str(key), allowed)
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _mistakes(value, f"{path}[{position}]", allowed)


def _choice_mistakes(config: Mapping[str, Any]) -> Iterator[str]:
    """What is right by type and still cannot work."""
    if "monitor" not in config:
        return
    for name in ("history", "best", "last"):
        if not (config["callbacks"] or {}).get(name):
            yield f"callbacks.{name}: a run cannot be finished without it"
    every = {"check_val_every_n_epoch": 1, "val_check_interval": 1.0, "fast_dev_run": False}
    for name, only in every.items():
        if config["trainer"].get(name, only) not in (only, None):
            yield f"trainer.{name}={config['trainer'][name]}: every epoch is validated, once"
    if config["trainer"].get("max_epochs") in (None, -1):  # which is endless to Lightning
        yield "trainer.max_epochs: give a number; early stopping ends a training sooner"
    if not 0 <= config["seed"] < 2**32:
        yield f"seed={config['seed']}: must be from 0 to {2**32 - 1}"
    if config["search"]:
        yield "sweep: this one is for scripts/search.py, with the same words"
    if config["threads"] is not None and config["threads"] < 1:
        yield f"threads={config['threads']}: must be at least 1"
    monitor, mode = config["monitor"], config["monitor_mode"]
    if monitor not in MONITORS:
        near = did_you_mean(str(monitor), MONITORS)
        yield f"monitor={monitor}: must be one of {', '.join(MONITORS)}{near}"
    elif mode != MONITORS[monitor]:
        yield f"monitor_mode={mode}: {monitor} is best when {MONITORS[monitor]}"


def _node_mistakes(node: Mapping[str, Any], path: str, allowed: tuple[str, ...]) -> Iterator[str]:
    target = node["_target_"]
    if "_args_" in node:
        yield f"{path}._args_: arguments have to be named"
    try:
        builder = find_target(target, allowed)
    except InputError as error:
        yield f"{path}._target_={target}: {error}"
        return
    parameters = inspect.signature(builder).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    given = {key: value for key, value in node.items() if not key.startswith("_")}
    hints = _type_hints(builder)
    for key, value in given.items():
        if key not in parameters:
            if not takes_any:
                yield f"{path}.{key}: {target} takes no {key!r}{did_you_mean(key, parameters)}"
        elif value == MISSING:
            yield f"{path}.{key}: give it a value, {path}.{key}=..."
        elif key in hints and not _fits(value, hints[key]):
            yield f"{path}.{key}={value!r}: must be {_type_name(hints[key])}"
    for key, parameter in parameters.items():
        needed = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if needed and key not in given and key not in SUPPLIED.get(path, ()):
            yield f"{path}.{key}: {target} needs it"


def find_target(target: str, allowed: tuple[str, ...] = ALLOWED) -> Callable[..., Any]:
    """Import what a `_target_` names.

    Raises:
        InputError: if it is not below an allowed package, or does not exist.
    """
    if not isinstance(target, str) or not target.startswith(allowed):
        raise InputError(f"only {', '.join(name + '*' for name in allowed)} may be built")
    module_name, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError):
        raise InputError("there is no such thing to import") from None
    if not callable(found):
        raise InputError("it cannot be called")
    # a class or function that a module has only imported could be anything
    home = f"{getattr(found, '__module__', '')}."
    if not home.startswith(allowed) or not (inspect.isclass(found) or target.startswith(OWN)):
        raise InputError("it is not a class that may be built")
    return found  # type: ignore[no-any-return]


def did_you_mean(word: str, known: typing.Iterable[str]) -> str:
    """'; did you mean X?', or nothing when no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near and near[0] != word else ""


def _type_hints(builder: Callable[..., Any]) -> dict[str, Any]:
    function = builder.__init__ if inspect.isclass(builder) else builder
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # a library's forward reference that cannot be resolved
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain config value fits an annotation; True where that cannot be told."""
    if isinstance(value, Mapping):
        return True  # a node of its own, checked by itself
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if inspect.isclass(hint):  # a plain value is no object of a class, but may be a path
        return isinstance(value, hint) or (isinstance(value, str) and issubclass(hint, os.PathLike))
    return True


def _type_name(hint: Any) -> str:
    name = getattr(hint, "__name__", None) if not typing.get_args(hint) else None
    return name or re.sub(r"\b(typing|collections\.abc)\.", "", str(hint))
