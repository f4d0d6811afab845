import json
from pathlib import Path

import pandas as pd
import pytest

from agegender.errors import InputError
from agegender.report import NOTEBOOK
from agegender.results import COLUMNS, record, record_paired, record_trials, row_of
from agegender.tables.accuracy import best_table, errors_table
from agegender.tables.published import published, put_table
from agegender.tables.reproduction import precision_table, reproduction_table

from .conftest import ROOT
from .sweeps.test_paired import trial

RUNS = ROOT / "docs/results/runs.csv"
KERAS = ROOT / "docs/results/keras_control.csv"


def finished_run(folder: Path, seed: int, mae: float, test: bool) -> Path:
    about = {name: f"some {name}" for name in COLUMNS if "_" not in name or "peak" in name}
    about |= {"split_hash": "abc", "data_digest": "def", "best_epoch": 2, "name": "notebook"}
    about |= {"split": "notebook", "epochs": 30}
    about |= {"wall_minutes": 1.23456, "cpu_minutes": 2.0, "images_per_s": 3.0, "seed": seed}
    about["command"] = "python train.py seed=1 output_dir=/x/y ckpt_path=last"
    about["date"] = f"2026-01-0{seed}"
    scores = {"age_mae": mae, "gender_acc": 0.9}
    metrics = {"run": about, "val_last": scores, "val": {**scores, "age_mae": mae - 0.5}}
    if test:
        metrics["test"] = scores
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def control(path: Path, split_hash: str) -> Path:
    epochs = {"val_age_mae": [8.0, 6.5, 7.0], "val_gender_acc": [0.8, 0.87, 0.86]}
    pd.DataFrame(epochs).assign(split_hash=split_hash).to_csv(path, index=False)
    return path


def test_a_row_keeps_last_best_and_test_apart(tmp_path: Path):
    row = row_of(finished_run(tmp_path / "a", 1, 6.0, test=True))
    assert list(row) == COLUMNS
    assert (row["val_age_mae"], row["val_best_age_mae"], row["test_age_mae"]) == (6.0, 5.5, 6.0)
    assert row["wall_minutes"] == 1.2346
    assert row["command"] == "python train.py seed=1"
    assert row_of(finished_run(tmp_path / "b", 1, 6.0, test=False))["test_age_mae"] is None


def test_a_sweep_is_published_with_its_figure_and_its_choices_compared(tmp_path: Path):
    sweep, results = tmp_path / "sweep", tmp_path / "results"
    results.mkdir()
    trial(sweep, "l1", 1, 5.0, wrong=20)
    trial(sweep, "dldl", 1, 4.0, wrong=10)
    record_trials(sweep, "mine", results)
    found = pd.read_csv(results / "mine.csv").set_index("loss")["val/age_mae"]
    assert found.to_dict() == {"dldl": 4.0, "l1": 5.0}
    assert (results / "mine.png").read_bytes().startswith(b"\x89PNG")
    record_paired(sweep, "mine", "loss=l1", results)
    pairs = pd.read_csv(results / "mine_paired.csv").set_index("loss")
    assert pairs.loc["dldl", "age_mae_change"] == -1.0
    with pytest.raises(InputError, match="say KEY=VALUE"):
        record_paired(sweep, "mine", "loss", results)


def test_the_intervals_of_a_run_are_those_of_its_report(tmp_path: Path):
    run = finished_run(tmp_path / "a", 1, 6.0, test=True)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["run"]["part"] = "test"
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / "report").mkdir()
    (run / "report/headline.csv").write_text(
        "metric,lo,hi\nage_mae,5.8,6.2\ngender_acc,0.88,0.92\n"
    )
    row = row_of(run)
    assert (row["test_age_mae_lo"], row["test_gender_acc_hi"]) == (5.8, 0.92)


def test_rows_are_added_once_and_an_unfinished_run_changes_nothing(tmp_path: Path):
    table = tmp_path / "runs.csv"
    runs = [finished_run(tmp_path / str(seed), seed, 6.0 + seed, test=False) for seed in (1, 2)]
    assert record(runs[:1], table) == 1
    assert record([*runs, runs[1]], table) == 1
    assert pd.read_csv(table)["seed"].tolist() == [1, 2]
    before = table.read_text()
    with pytest.raises(InputError, match="not a finished run"):
        record([tmp_path / "nowhere"], table)
    assert table.read_text() == before
    text = reproduction_table(table, control(tmp_path / "keras.csv", "abc"))
    assert "**7.50** ± 0.71" in text
    assert "Keras on our split, last epoch, a single seed | 7.00 | 86.00%" in text
    assert "Keras on our split, best epoch by val MAE, a single seed | 6.50 | 87.00%" in text
    with pytest.raises(InputError, match="another split"):
        reproduction_table(table, control(tmp_path / "keras.csv", "xyz"))


def test_a_table_of_an_earlier_version_gets_the_new_columns(tmp_path: Path):
    table = tmp_path / "runs.csv"
    record([finished_run(tmp_path / "a", 1, 6.0, test=False)], table)
    pd.read_csv(table).drop(columns="seconds_to_notebook").to_csv(table, index=False)
    assert record([], table) == 0
    assert list(pd.read_csv(table).columns) == COLUMNS
    assert pd.read_csv(table)["val_age_mae"].tolist() == [6.0]


def test_a_single_seed_is_called_one(tmp_path: Path):
    record([finished_run(tmp_path / "1", 1, 6.0, test=False)], tmp_path / "runs.csv")
    text = reproduction_table(tmp_path / "runs.csv", control(tmp_path / "keras.csv", "abc"))
    assert "| `experiment=notebook`, last epoch, a single seed | 6.00 |" in text


def test_precisions_are_compared_on_one_split_only(tmp_path: Path):
    table = tmp_path / "runs.csv"
    rows = [
        {"experiment": name, "precision": precision, "split": "random", "epochs": 10,
         "split_hash": "abc", "val_age_mae": mae, "val_best_age_mae": 5, "test_age_mae": 5,
         "val_gender_acc": 0.9, "val_best_gender_acc": 0.9, "test_gender_acc": 0.9}
        for name, precision, mae in (
            ("precision", "32-true", 6.0), ("precision", "32-true", 8.0),
            ("copies", "bf16-mixed", 7.5), ("copies", "bf16-mixed", 7.5),
            ("copies", "32-true", 1.0), ("precision", "bf16-mixed", 1.0),
        )
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(table, index=False)
    text = precision_table(table)
    assert "float32: validation, last epoch**, mean ± sd of 2 seeds | **7.00** ± 1.41" in text
    assert "bfloat16: validation, last epoch**, mean ± sd of 2 seeds | **7.50** ± 0.00" in text
    rows[0]["split_hash"] = "xyz"
    pd.DataFrame(rows).to_csv(table, index=False)
    with pytest.raises(InputError, match="of one split"):
        precision_table(table)


def test_the_best_are_told_with_their_spread_and_intervals(tmp_path: Path):
    runs = [finished_run(tmp_path / str(seed), seed, 4.0 + seed / 10, test=True) for seed in (1, 2)]
    for run in runs:
        metrics = json.loads((run / "metrics.json").read_text())
        metrics["run"] |= {"name": "best", "part": "test", "cpu_minutes": 90.0}
        metrics["test_keep"] = {"age_mae": 5.0, "gender_acc": 0.8}
        (run / "metrics.json").write_text(json.dumps(metrics))
        (run / "report").mkdir()
        rows = [("age_mae", 4.0, 3.5, 4.5), ("gender_acc", 0.9, 0.88, 0.92)]
        table = pd.DataFrame(rows, columns=["metric", "value", "lo", "hi"])
        table.to_csv(run / "report/headline.csv", index=False)
    record(runs, tmp_path / "runs.csv")
    last = best_table(tmp_path / "runs.csv").splitlines()[-1]
    assert last == (
        "| `best` | some model | full age range, `holdout` | 4.15 ± 0.07 | 3.50 to 4.50"
        " | 90.0% ± 0.0% | 88.0% to 92.0% | 5.00, 80.0% | 90 |"
    )


def test_a_decade_is_told_with_its_share_of_the_errors(tmp_path: Path):
    rows = [
        {"by": "all", "n": 40, "age_mae": 4.0, "age_bias": 1.0, "gender_acc": 0.9},
        {"by": "age", "age": "0-9", "n": 30, "age_mae": 2.0, "age_bias": 1.5, "gender_acc": 0.9},
        {"by": "age", "age": "80+", "n": 10, "age_mae": 2.0, "age_bias": -2.0, "gender_acc": 1.0},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "groups.csv", index=False)
    assert errors_table(tmp_path / "groups.csv").splitlines()[2:] == [
        "| 0-9 | 30 | 2.00 | 75% | +1.50 | 90.0% | 3 |",
        "| 80+ | 10 | 2.00 | 25% | -2.00 | 100.0% | 0 |",
    ]


def test_a_document_without_a_place_is_told(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- t:start -->\nold\n<!-- t:end -->\nb\n")
    put_table(page, "t", "new")
    assert page.read_text() == "a\n<!-- t:start -->\nnew\n<!-- t:end -->\nb\n"
    with pytest.raises(InputError, match="no place for a table"):
        put_table(page, "other", "new")


def test_every_published_table_is_what_the_csvs_say():
    tables = published(ROOT / "docs/results")
    assert len(tables) >= 8
    for (document, name), table in tables.items():
        place = f"<!-- {name}:start -->\n{table}\n<!-- {name}:end -->"
        assert place in (ROOT / document).read_text(), f"run scripts/results.py: {name}"


@pytest.mark.xfail(
    strict=True,
    reason="not met: the notebook's age MAE of the last epoch is better; so it is than Keras's own"
    " on this split",
)
def test_three_seeds_match_or_beat_the_notebook():
    runs = pd.read_csv(RUNS)
    runs = runs[runs["experiment"] == "notebook"]
    assert len(runs) >= 3
    assert (runs["epochs"] == 30).all()
    assert runs["val_age_mae"].mean() <= NOTEBOOK["last"][0]
    assert runs["val_gender_acc"].mean() >= NOTEBOOK["last"][1]


def test_three_seeds_beat_keras_on_the_same_faces():
    runs, keras = pd.read_csv(RUNS), pd.read_csv(KERAS)
    runs = runs[runs["experiment"] == "notebook"]
    assert set(keras["split_hash"]) == set(runs["split_hash"])
    assert keras["epoch"].tolist() == list(range(1, 31))
    for column, sign in (("val_age_mae", 1), ("val_gender_acc", -1)):
        # a last epoch is noisy at a constant learning rate: Keras is given its last ten
        settled = (sign * keras[column].iloc[-10:]).mean()
        assert (sign * runs[column]).mean() < settled


def test_the_published_rows_are_whole():
    runs = pd.read_csv(RUNS)
    assert list(runs.columns) == COLUMNS
    once = ["experiment", "model", "loss", "precision", "split_hash", "seed", "commit"]
    assert not runs.duplicated(once).any()
    assert runs["commit"].str.fullmatch("[0-9a-f]{12}").all(), "published from a clean checkout"
    needed = ["val_age_mae", "val_gender_acc", "wall_minutes", "images_per_s", "data_digest"]
    assert runs[needed].notna().all(axis=None)
    # far from the trivial guess (14.6 years, 53 %): a figure of a broken run would stand out
    # than which only the short folds are weaker, and the very short trials of a sweep
    kind = runs["split"].where(runs["split"] == "kfold", runs["experiment"])
    worst = {"kfold": (9, 0.8), "backbones": (10.5, 0.65), "losses": (10, 0.75)}
    bars = pd.DataFrame([worst.get(name, (8, 0.85)) for name in kind], index=runs.index)
    assert (runs["val_age_mae"] < bars[0]).all()
    assert (runs["val_gender_acc"] > bars[1]).all()
