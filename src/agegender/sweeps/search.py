"""A search by Optuna whose trials are ordinary runs: stored, pruned, continued after a kill."""

import logging
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import optuna
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, Trial, TrialState

from agegender.config import did_you_mean, plain
from agegender.data.files import held
from agegender.errors import InputError, Pruned
from agegender.sweeps.summary import summarize
from agegender.sweeps.trial import attempt, folder_name
from agegender.train import fit

log = logging.getLogger(__name__)
Composed = Callable[[list[str]], DictConfig]
FOLDER = "folder"  # a trial's attribute
CUT = "cut"  # the study's: numbers of trials that another one goes on with
TOLD = "told"  # the study's: its objectives and its space
KEYS = ("trials", "objectives", "prune", "space")
# what a search can be for; never the test part
METRICS = ("age_mae", "age_rmse", "age_cs5", "gender_acc", "gender_auroc")
OBJECTIVES = (*(f"val/{name}" for name in METRICS), "cpu_minutes", "wall_minutes", "parameters")


class Failed(RuntimeError):
    """A trial that ended without metrics; its record says why."""


class Pruner(pl.Callback):
    """Tells a study how each epoch validates, and ends a hopeless training.

    Args:
        trial: of the study.
        metric: what the study minimises or maximises.
    """

    def __init__(self, trial: Trial, metric: str) -> None:
        self.trial, self.metric = trial, metric

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        value = trainer.callback_metrics[self.metric].item()
        self.trial.report(value, step=trainer.current_epoch)
        if self.trial.should_prune():
            raise Pruned(
                f"{self.metric} {value:.4g} after epoch {trainer.current_epoch + 1} is hopeless"
            )


def search(folder: Path, words: list[str], composed: Composed) -> str:
    """Run a study to its number of trials; what an earlier call has done counts.

    Args:
        folder: of the study and its trials.
        words: of `scripts/train.py`, with a `sweep=` that has a search space.
        composed: words -> a config as `scripts/train.py` has it.

    Returns:
        What `scripts/summarize.py` says of it, and the trials that no other beats.

    Raises:
        InputError: if the search space is not usable, or another process is at this study.
    """
    cfg = composed([*words, "output_dir=unused"])
    told = check_search(plain(cfg)["search"])
    with held(folder), _storage(folder) as storage:
        study = _study(folder, storage, told, int(cfg.seed))
        _revive(study)
        left = told["trials"] - len(_ended(study))
        log.info("%d of %d trials are left in %s", left, told["trials"], folder)
        if left > 0:
            study.optimize(
                lambda trial: _objective(trial, folder, words, composed, told),
                n_trials=left,
                catch=Failed,
                show_progress_bar=False,
            )
        return f"{summarize(folder)}\n{_winners(study, told)}"


def check_search(told: Any) -> dict[str, Any]:
    """The `search` node of a config.

    Raises:
        InputError: with what is wrong with it.
    """
    if not told:
        raise InputError("name a search space with sweep=NAME, such as sweep=search")
    for key in told.keys() - set(KEYS):
        raise InputError(f"search.{key} is not one of {', '.join(KEYS)}{did_you_mean(key, KEYS)}")
    objectives = told.get("objectives") or {}
    if not objectives or set(objectives.values()) - {"minimize", "maximize"}:
        raise InputError("search.objectives: name a metric, with minimize or maximize")
    for name in objectives.keys() - set(OBJECTIVES):
        raise InputError(f"search.objectives.{name} is not one of {', '.join(OBJECTIVES)}")
    if told.get("prune") and (len(objectives) > 1 or not next(iter(objectives)).startswith("val/")):
        raise InputError(
            "search.prune=true needs a single objective, of validation: val/age_mae for instance"
        )
    if not isinstance(told.get("trials"), int) or told["trials"] < 1:
        raise InputError(f"search.trials={told.get('trials')}: must be at least 1")
    for key, how in (told.get("space") or {}).items():
        spans = isinstance(how, Mapping) and {"low", "high"} <= how.keys() <= {"low", "high", "log"}
        rises = spans and how["low"] < how["high"] and (how["low"] > 0 or not how.get("log"))
        if not rises and not (isinstance(how, list) and how):
            raise InputError(
                f"search.space.{key}={how}: give a list of choices, or low and a higher high (above"
                f" 0 for log)"
            )
    if not told.get("space"):
        raise InputError("search.space is empty: there is nothing to search")
    return {"prune": False, **told}


def suggest(trial: Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each key of a search space."""
    chosen: dict[str, Any] = {}
    for key, how in space.items():
        if isinstance(how, list):
            chosen[key] = trial.suggest_categorical(key, how)
        elif isinstance(how["low"], int) and isinstance(how["high"], int):
            chosen[key] = trial.suggest_int(key, how["low"], how["high"], log=how.get("log", False))
        else:
            chosen[key] = trial.suggest_float(
                key, how["low"], how["high"], log=how.get("log", False)
            )
    return chosen


@contextmanager
def _storage(folder: Path) -> Iterator[optuna.storages.RDBStorage]:
    """The folder's database, whose connections Optuna itself leaves open."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/study.db")
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _study(
    folder: Path, storage: optuna.storages.RDBStorage, told: dict[str, Any], seed: int
) -> optuna.Study:
    """The folder's study; its sampler goes on with random numbers that it has not used."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="search",
        storage=storage,
        directions=list(told["objectives"].values()),
        pruner=optuna.pruners.MedianPruner() if told["prune"] else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    what = {key: told[key] for key in ("objectives", "space")}
    if study.user_attrs.setdefault(TOLD, what) != what:
        raise InputError(
            f"{folder} holds a search for other objectives or in another space: give another --out"
        )
    study.set_user_attr(TOLD, what)
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    cut = study.user_attrs.get(CUT, [])
    done = study.get_trials(deepcopy=False, states=states)
    return [trial for trial in done if trial.number not in cut]


def _revive(study: optuna.Study) -> None:
    """Queue again what was cut off; the same folder lets it go on from its last checkpoint."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        _again(study, trial)


def _again(study: optuna.Study, trial: FrozenTrial | Trial) -> None:
    study.set_user_attr(CUT, [*study.user_attrs.get(CUT, []), trial.number])
    study.enqueue_trial(trial.params, user_attrs={FOLDER: trial.user_attrs.get(FOLDER)})


def _objective(
    trial: Trial, folder: Path, words: list[str], composed: Composed, told: dict[str, Any]
) -> list[float]:
    values = suggest(trial, told["space"])
    for twin in trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if twin.params == trial.params:  # the same seed, so the same end
            trial.set_user_attr(FOLDER, twin.user_attrs[FOLDER])
            return list(twin.values)
    chosen = {key: _word(value) for key, value in values.items()}
    short = {k: f"{v:.3g}" if isinstance(v, float) else chosen[k] for k, v in values.items()}
    name = trial.user_attrs.get(FOLDER) or f"{trial.number:03d}_{folder_name(short)}"
    trial.set_user_attr(FOLDER, name)
    mine = [*words, "search=null", *(f"{key}={value}" for key, value in chosen.items())]
    cfg = composed([*mine, "output_dir=named_below"])
    cfg.output_dir = str(folder / name)
    more = [Pruner(trial, next(iter(told["objectives"])))] if told["prune"] else []
    log.info("trial %s", name)
    command = shlex.join(["python", "scripts/train.py", *mine])
    try:
        with _logged(folder / name / "train.log"):
            metrics = attempt(
                cfg, folder, chosen, command, lambda cfg, one_device: fit(cfg, more, one_device)
            )
    except Pruned as error:
        log.info("pruned: %s", error)
        raise optuna.TrialPruned(str(error)) from error
    except KeyboardInterrupt:
        _again(trial.study, trial)
        raise
    if metrics is None:
        raise Failed(name)
    return [_value(metrics, objective) for objective in told["objectives"]]


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """What is logged in the block also goes to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"))
    logging.getLogger("agegender").addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger("agegender").removeHandler(handler)
        handler.close()


def _value(metrics: dict[str, Any], objective: str) -> float:
    """`val/age_mae` of the metrics, or a cost of the run such as `cpu_minutes`."""
    part, _, name = objective.rpartition("/")
    return float(metrics[part or "run"][name])


def _word(value: Any) -> str:
    """A choice as Hydra's command line has it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _winners(study: optuna.Study, told: dict[str, Any]) -> str:
    """The best trial, or those that no other beats in everything."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not done:
        return "no trial was finished"
    best = sorted(study.best_trials, key=lambda trial: trial.values)
    title = "no trial is better in everything than" if len(told["objectives"]) > 1 else "best"
    lines = [f"{title} ({', '.join(told['objectives'])}):"]
    for trial in best:
        values = ", ".join(f"{value:.4g}" for value in trial.values)
        lines.append(f"  {trial.user_attrs[FOLDER]}: {values}")
    return "\n".join(lines)
