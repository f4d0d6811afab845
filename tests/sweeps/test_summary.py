import json
from pathlib import Path

import pandas as pd
import pytest

from agegender.errors import InputError
from agegender.sweeps.records import Trial, find_trial, read_trials
from agegender.sweeps.summary import (
    best_trial,
    over_seeds,
    summarize,
    summary_figure,
    trials_table,
    varied_keys,
)

from ..conftest import run_here

# loss, seed -> age MAE on val and test, gender accuracy on val
FOUND = {
    ("l1", "1"): (6.0, 6.5, 0.90),
    ("l1", "2"): (8.0, 7.5, 0.80),
    ("dldl", "1"): (5.0, 9.0, 0.88),
    ("dldl", "2"): (6.0, 9.2, 0.92),
}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Four finished trials and one that failed, with made-up figures."""
    for place, ((loss, seed), (val, test, gender)) in enumerate(FOUND.items()):
        trial = made_up(tmp_path, loss, seed, f"hash{place}")
        trial._replace(status="finished").save()
        metrics = {
            "val": {"age_mae": val, "gender_acc": gender},
            "test": {"age_mae": test, "gender_acc": 0.5},
            "run": {"epochs": 3, "cpu_minutes": 2.0 + place, "wall_minutes": 1.0, "monitored": val},
        }
        (trial.folder / "metrics.json").write_text(json.dumps(metrics))
    made_up(tmp_path, "huber", "1", "hash9")._replace(status="failed", reason="too big").save()
    return tmp_path


def made_up(sweep: Path, loss: str, seed: str, hash: str) -> Trial:
    choices = {"loss": loss, "seed": seed}
    command = f"python scripts/train.py loss={loss} seed={seed}"
    return Trial(sweep / f"loss-{loss}_seed-{seed}", hash, choices, command, "val/age_mae", "min")


def test_means_over_seeds_are_those_worked_out_by_hand(sweep: Path):
    trials = read_trials(sweep)
    assert varied_keys(trials) == ["loss", "seed"]
    means = over_seeds(trials_table(trials), ["loss", "seed"]).set_index("loss")
    assert list(means.index) == ["dldl", "l1"], "the best on validation comes first"
    assert means.loc["l1", "n"] == 2
    assert means.loc["l1", "val/age_mae"] == 7.0
    assert means.loc["l1", "val/age_mae_sd"] == pytest.approx(2**0.5)
    assert means.loc["dldl", "test/age_mae"] == pytest.approx(9.1)
    assert means.loc["l1", "val/gender_acc"] == pytest.approx(0.85)
    assert means.loc["dldl", "cpu_minutes"] == pytest.approx(4.5)


def test_the_best_trial_is_chosen_on_validation(sweep: Path):
    trials = read_trials(sweep)
    best = best_trial(trials)
    assert best is not None
    assert best.choices == {"loss": "dldl", "seed": "1"}  # on the test part it is nearly the worst
    other_way = [trial._replace(mode="max") for trial in trials]
    assert best_trial(other_way).choices == {"loss": "l1", "seed": "2"}
    assert best_trial([trial for trial in trials if trial.status == "failed"]) is None


def test_a_sweep_is_told_in_full_and_written_down(sweep: Path):
    status, said = run_here("summarize", str(sweep))
    assert status == 0
    assert "7.00 ± 1.41" in said
    assert "failed: loss-huber_seed-1: too big" in said
    assert "python scripts/train.py loss=dldl seed=1" in said
    assert f"tensorboard --logdir {sweep}" in said
    table = pd.read_csv(sweep / "trials.csv")
    assert len(table) == 5
    assert set(table["status"]) == {"finished", "failed"}
    assert len(pd.read_csv(sweep / "summary.csv")) == 2
    assert (sweep / "summary.png").stat().st_size > 5000


def test_the_figure_has_every_trial_and_every_mean(sweep: Path):
    table = trials_table(read_trials(sweep))
    ages, genders = summary_figure(table, ["loss", "seed"]).axes
    assert [label.get_text() for label in ages.get_xticklabels()] == ["dldl", "l1"]
    assert sorted(ages.lines[0].get_ydata()) == [5.0, 6.0, 6.0, 8.0]
    means = [bar.get_segments()[0][0][1] for bar in ages.collections]
    assert means == [5.5, 7.0]
    assert sorted(genders.lines[0].get_ydata()) == [80, 88, 90, 92]
    many = pd.concat([table] * 3).assign(lr=lambda t: [10.0**-i for i in range(len(t))])
    assert summary_figure(many, ["lr"]).axes[0].get_xscale() == "log"


def test_a_folder_without_trials_is_told(tmp_path: Path):
    assert run_here("summarize", str(tmp_path)) == (
        2,
        f"error: {tmp_path} holds no trials: give the folder of a sweep or of a search\n",
    )
    with pytest.raises(InputError, match="holds no trials"):
        summarize(tmp_path / "nowhere")
    broken = tmp_path / "a/trial_x.json"
    broken.parent.mkdir()
    broken.write_text('{"half":')
    with pytest.raises(InputError, match="is not a trial's record"):
        summarize(tmp_path)


def test_a_trial_is_known_by_its_config_wherever_it_lies(sweep: Path):
    folder = sweep / "loss-l1_seed-1"
    assert find_trial(sweep, sweep / "elsewhere", "hash0").folder == folder
    assert find_trial(sweep, sweep / "elsewhere", "new") is None
    with pytest.raises(InputError, match="holds a trial of another config"):
        find_trial(sweep, folder, "new")


def test_folders_are_in_the_order_a_person_expects(tmp_path: Path):
    for seed in ("10", "2", "1"):
        made_up(tmp_path, "l1", seed, f"h{seed}").save()
    assert [trial.choices["seed"] for trial in read_trials(tmp_path)] == ["1", "2", "10"]
