"""Searches by Optuna."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from agegender.errors import InputError, Pruned
from agegender.sweeps.search import Pruner, _word, check_search, search, suggest
from agegender.sweeps.trial import attempt
from agegender.train import fit

from ..conftest import ROOT, SMALL, composed, run_here, run_script

QUICK = (*SMALL, "trainer.max_epochs=1")
# enough steps an epoch to be caught in the middle of a trial
SLOWLY = ("search.space={data.batch_size: [2], loss: [l1, dldl, huber]}", "search.prune=false")


OPEN: list[optuna.storages.RDBStorage] = []


def study_of(folder: Path) -> optuna.Study:
    OPEN.append(optuna.storages.RDBStorage(f"sqlite:///{folder}/study.db"))
    return optuna.load_study(study_name="search", storage=OPEN[-1])


@pytest.fixture(autouse=True)
def databases_closed():
    """As newer versions of Python want it."""
    yield
    while OPEN:
        storage = OPEN.pop()
        storage.remove_session()
        storage.engine.dispose()


@pytest.mark.parametrize("preset", ["search", "search_objectives"])
def test_a_preset_searches_shrunk_and_goes_on_with_more(preset: str, tmp_path: Path):
    words = [f"sweep={preset}", *QUICK, "--out", str(tmp_path)]
    status, said = run_here("search", *words, "search.trials=2")
    assert status == 0, said
    assert f"tensorboard --logdir {tmp_path}" in said
    study = study_of(tmp_path)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    for trial in study.trials:
        folder = tmp_path / trial.user_attrs["folder"]
        metrics = json.loads((folder / "metrics.json").read_text())
        assert first_value(trial) == metrics["val"]["age_mae"]
        assert (folder / "train.log").read_text().count("epoch 1 of 1") == 1
    if preset == "search_objectives":
        metrics = metrics_of(tmp_path, 0)
        others = (metrics["val"]["gender_acc"], metrics["run"]["cpu_minutes"])
        assert tuple(study.trials[0].values)[1:] == others
        assert "no trial is better in everything than" in said
    run_here("search", *words, "search.trials=3")
    assert len(study_of(tmp_path).trials) == 3
    params = [tuple(trial.params.items()) for trial in study_of(tmp_path).trials]
    assert len(set(params)) == 3, "a continued sampler does not begin anew"
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 3


def first_value(trial: optuna.trial.FrozenTrial) -> float:
    return trial.values[0]  # noqa: PD011 - Optuna's, not pandas'


def metrics_of(folder: Path, number: int) -> dict:
    name = study_of(folder).trials[number].user_attrs["folder"]
    return json.loads((folder / name / "metrics.json").read_text())


def test_a_killed_search_continues_the_cut_trial(tmp_path: Path):
    words = ["sweep=search", *SMALL, "trainer.max_epochs=4", "search.trials=3", *SLOWLY]
    command = [sys.executable, str(ROOT / "scripts/search.py"), "--out", str(tmp_path), *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(1200):
            if list(tmp_path.glob("001_*/checkpoints/last.ckpt")) or process.poll() is not None:
                break
            time.sleep(0.05)
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
    assert len(list(tmp_path.glob("*/metrics.json"))) == 1
    done = run_script("search", *words, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "2 of 3 trials are left" in done.stderr
    states = [trial.state.name for trial in study_of(tmp_path).trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    [log] = tmp_path.glob("001_*/train.log")
    assert "continuing from" in log.read_text()
    assert len(list(tmp_path.glob("*/metrics.json"))) == 3


def test_a_hopeless_trial_is_pruned_at_an_epochs_end(tmp_path: Path):
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.0))
    trial = study.ask()
    cfg = composed(*SMALL, "trainer.max_epochs=3", f"output_dir={tmp_path}/run")
    pruner = Pruner(trial, "val/age_mae")
    with pytest.raises(Pruned, match=r"val/age_mae .* after epoch 1 is hopeless"):
        attempt(cfg, tmp_path, {}, "", lambda cfg, one_device: fit(cfg, [pruner], one_device))
    assert not (tmp_path / "run/metrics.json").exists()
    [record] = (tmp_path / "run").glob("trial_*.json")
    assert json.loads(record.read_text())["status"] == "pruned"
    told = study.trials[0].intermediate_values
    assert list(told) == [0]


def test_a_search_prunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stern = optuna.pruners.ThresholdPruner(upper=0.0)  # no training is that good
    monkeypatch.setattr(optuna.pruners, "MedianPruner", lambda: stern)
    words = ["sweep=search", *QUICK, "search.trials=2", "--out", str(tmp_path)]
    status, said = run_here("search", *words)
    assert status == 0, said
    assert [trial.state.name for trial in study_of(tmp_path).trials] == ["PRUNED"] * 2
    assert pd.read_csv(tmp_path / "trials.csv")["status"].tolist() == ["pruned"] * 2
    assert "no trial was finished" in said


def test_the_same_values_are_not_trained_twice(tmp_path: Path):
    def narrow(words: list[str]) -> DictConfig:
        cfg = composed(*words)
        if cfg.search:
            cfg.search.space = {"loss": ["l1"]}
        return cfg

    search(tmp_path, ["sweep=search", "search.trials=2", *QUICK], narrow)
    one, other = study_of(tmp_path).trials
    assert one.state == other.state == optuna.trial.TrialState.COMPLETE
    assert first_value(one) == first_value(other)
    assert len(list(tmp_path.glob("*/metrics.json"))) == 1


def test_a_study_is_for_one_thing(tmp_path: Path):
    words = ["sweep=search", *QUICK, "search.trials=1", "--out", str(tmp_path)]
    assert run_here("search", *words)[0] == 0
    status, said = run_here("search", *words, "search.space.model=[cnn]")
    assert (status, "holds a search for other objectives or in another space" in said) == (2, True)


def test_a_failing_trial_ends_neither_the_search_nor_in_silence(tmp_path: Path):
    words = ["sweep=search", *QUICK, "search.trials=2", "search.prune=false"]
    status, said = run_here("search", *words, "gender_smoothing=2", "--out", str(tmp_path))
    assert status == 1
    assert said.count("failed: 00") == 2
    assert "must be from 0 to below 1" in said


def test_values_come_from_the_space():
    space = {"a": [1, 2], "b": {"low": 1, "high": 3}, "c": {"low": 0.1, "high": 10, "log": True}}
    trial = optuna.trial.FixedTrial({"a": 2, "b": 3, "c": 0.5})
    assert suggest(trial, space) == {"a": 2, "b": 3, "c": 0.5}
    spans = trial.distributions
    assert isinstance(spans["b"], optuna.distributions.IntDistribution)
    assert spans["c"].log


def test_a_choice_is_said_as_hydra_reads_it():
    values = [1, 0, 1.0, True, False, None, "l1", [1, 2]]
    for value in values:
        read = OverridesParser.create().parse_override(f"key={_word(value)}").value()
        assert (type(read), read) == (type(value), value)


GOOD = {"trials": 2, "objectives": {"val/age_mae": "minimize"}, "prune": True, "space": {"a": [1]}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"trails": 3}, "search.trails is not one of .*did you mean 'trials'"),
        ({"trials": 0}, "search.trials=0: must be at least 1"),
        ({"objectives": {}}, "name a metric"),
        ({"objectives": {"val/age_mae": "min"}}, "with minimize or maximize"),
        (
            {"objectives": {"val/age_mae": "minimize", "cpu_minutes": "minimize"}},
            "single objective",
        ),
        ({"objectives": {"cpu_minutes": "minimize"}}, "of validation"),
        ({"space": {"lr": {"low": 1, "high": 0}}}, "search.space.lr=.*a higher high"),
        ({"space": {"lr": 3}}, "a list of choices"),
        ({"space": {"lr": {"low": 0, "high": 1, "log": True}}}, "above 0 for log"),
        ({"space": {}}, "nothing to search"),
        ({"objectives": {"val/loss": "minimize"}}, "val/loss is not one of val/age_mae"),
        ({"objectives": {"test/age_mae": "minimize"}}, "test/age_mae is not one of"),
    ],
)
def test_a_space_that_cannot_be_searched_is_told(change: dict, said: str):
    assert check_search(GOOD)
    with pytest.raises(InputError, match=said):
        check_search({**GOOD, **change})


def test_searches_and_sweeps_know_their_own_presets(tmp_path: Path):
    status, said = run_here("train", *QUICK, "sweep=search", f"output_dir={tmp_path}/run")
    assert (status, "is for scripts/search.py" in said) == (2, True)
    status, said = run_here("search", *QUICK, "--out", str(tmp_path / "none"))
    assert (status, "name a search space with sweep=NAME" in said) == (2, True)
