"""Published figures: finished runs gathered in one CSV."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.command import for_anybody
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.sweeps.paired import paired
from agegender.sweeps.records import read_trials
from agegender.sweeps.summary import summary_figure, trials_table, varied_keys

COLUMNS = [
    "date", "commit", "command", "experiment", "model", "loss", "split", "fold", "duplicates",
    "split_hash", "data_digest", "seed", "epochs", "best_epoch", "precision", "val_age_mae",
    "val_gender_acc", "val_best_age_mae", "val_best_gender_acc", "test_age_mae",
    "test_gender_acc", "test_age_mae_lo", "test_age_mae_hi", "test_gender_acc_lo",
    "test_gender_acc_hi", "test_keep_age_mae", "test_keep_gender_acc", "test_clean_age_mae",
    "test_clean_gender_acc", "wall_minutes", "cpu_minutes", "images_per_s", "seconds_to_notebook",
    "peak_rss_mb", "peak_anonymous_mb", "threads", "cpu", "torch", "lightning",
]  # fmt: skip


def row_of(run: Path) -> dict[str, Any]:
    """One row from a finished run's `metrics.json`.

    `val_*` are those of the last epoch, `val_best_*` and `test_*` those of the best checkpoint;
    test columns are empty where the split has no such part, and their 95 % intervals (`_lo`, `_hi`;
    bootstrap over photographs) where the run has no report.

    Raises:
        InputError: if the run is not finished.
    """
    path = run / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        about, last, best = metrics["run"], metrics["val_last"], metrics["val"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run} is not a finished run: {path}: {error}") from None
    tests = {
        f"{part}_{name}": metrics.get(part, {}).get(name)
        for part in ("test", "test_keep", "test_clean")
        for name in ("age_mae", "gender_acc")
    }
    row = {
        **about,
        "command": for_anybody(about["command"]),
        "experiment": about["name"],
        "val_age_mae": last["age_mae"],
        "val_gender_acc": last["gender_acc"],
        "val_best_age_mae": best["age_mae"],
        "val_best_gender_acc": best["gender_acc"],
        **tests,
        **(_intervals(run / "report/headline.csv") if about.get("part") == "test" else {}),
    }
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
    return {name: rounded.get(name) for name in COLUMNS}


def _intervals(headline: Path) -> dict[str, float]:
    if not headline.is_file():
        return {}
    table = pd.read_csv(headline).set_index("metric")
    return {
        f"test_{name}_{end}": float(table.loc[name, end])  # type: ignore[arg-type]
        for name in ("age_mae", "gender_acc")
        for end in ("lo", "hi")
    }


def record_trials(sweep: Path, name: str, results: Path) -> None:
    """Publish what came of each trial of a sweep: `NAME.csv` and `NAME.png`.

    Raises:
        InputError: if the folder holds no trials.
    """
    trials = read_trials(sweep)
    table = trials_table(trials)
    with whole_file(results / f"{name}.csv") as temporary:
        table.round(4).to_csv(temporary, index=False)
    with whole_file(results / f"{name}.png") as temporary:
        summary_figure(table, varied_keys(trials)).savefig(temporary, format="png", dpi=120)


def record_paired(sweep: Path, name: str, choice: str, results: Path) -> None:
    """Publish how the values of a choice compare, as `NAME_paired.csv`.

    Args:
        sweep: its folder.
        name: of the file.
        choice: KEY=VALUE, what varies and the value that the others are compared with.
        results: the folder `docs/results`.

    Raises:
        InputError: if the sweep's trials cannot be compared so.
    """
    key, equals, reference = choice.partition("=")
    if not equals:
        raise InputError(f"--paired {choice}: say KEY=VALUE, such as loss=l1")
    table = paired(sweep, key, reference)
    with whole_file(results / f"{name}_paired.csv") as temporary:
        table.round(5).to_csv(temporary, index=False)


def record(runs: list[Path], table: Path) -> int:
    """Add finished runs to the CSV; one that stands there already is not added again.

    Returns:
        How many rows were added.

    Raises:
        InputError: if a run is not finished; the CSV is then left as it was.
    """
    unique = list(dict.fromkeys(run.resolve() for run in runs))
    rows = pd.DataFrame([row_of(run) for run in unique], columns=COLUMNS).astype(object)
    before = pd.read_csv(table, dtype=object) if table.is_file() else rows.iloc[:0]
    known = set(zip(before["date"], before["command"], strict=True))
    new = [(r["date"], r["command"]) not in known for _, r in rows.iterrows()]
    with whole_file(table) as temporary:
        # a table of an earlier version may lack columns; theirs stay empty
        pd.concat([before, rows.loc[new]]).reindex(columns=COLUMNS).to_csv(temporary, index=False)
    return sum(new)
