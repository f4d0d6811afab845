"""Published figures: finished runs gathered in one CSV, and tables made from it."""

import json
import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from agegender.data.files import whole_file
from agegender.errors import InputError

COLUMNS = [
    "date", "commit", "command", "experiment", "model", "loss", "split", "fold", "duplicates",
    "split_hash", "data_digest", "seed", "epochs", "best_epoch", "precision", "val_age_mae",
    "val_gender_acc", "val_best_age_mae", "val_best_gender_acc", "test_age_mae",
    "test_gender_acc", "test_keep_age_mae", "test_keep_gender_acc", "test_clean_age_mae",
    "test_clean_gender_acc", "wall_minutes", "cpu_minutes", "images_per_s", "peak_rss_mb",
    "peak_anonymous_mb", "threads", "cpu", "torch", "lightning",
]  # fmt: skip

# words of a command that only say where a run lay and how often it was cut
OF_ONE_RUN = ("output_dir=", "ckpt_path=")

# The Kaggle notebook's own log, Keras: its last epoch, and its best epoch of each metric.
NOTEBOOK = {"last": (6.447, 0.8897), "best": (6.40, 0.894)}


def row_of(run: Path) -> dict[str, Any]:
    """One row from a finished run's `metrics.json`.

    `val_*` are those of the last epoch, `val_best_*` and `test_*` those of the best checkpoint;
    test columns are empty where the split has no such part.

    Raises:
        InputError: if the run is not finished.
    """
    path = run / "metrics.json"
    try:
        metrics = json.loads(path.read_text())
        about, last, best = metrics["run"], metrics["val_last"], metrics["val"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run} is not a finished run: {path}: {error}") from None
    tests = {
        f"{part}_{name}": metrics.get(part, {}).get(name)
        for part in ("test", "test_keep", "test_clean")
        for name in ("age_mae", "gender_acc")
    }
    words = shlex.split(about["command"])
    row = {
        **about,
        "command": shlex.join(word for word in words if not word.startswith(OF_ONE_RUN)),
        "experiment": about["name"],
        "val_age_mae": last["age_mae"],
        "val_gender_acc": last["gender_acc"],
        "val_best_age_mae": best["age_mae"],
        "val_best_gender_acc": best["gender_acc"],
        **tests,
    }
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
    return {name: rounded.get(name) for name in COLUMNS}


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
        pd.concat([before, rows[new]])[COLUMNS].to_csv(temporary, index=False)
    return sum(new)


def reproduction_table(table: Path, control: Path) -> str:
    """The seed notebook's figures, ours, and those of Keras on our split, as Markdown.

    Args:
        table: `runs.csv`.
        control: what `scripts/keras_control.py` writes: one seed, a row an epoch.
    """
    runs = pd.read_csv(table)
    same = (runs["experiment"] == "notebook") & (runs["split"] == "notebook")
    runs = runs[same & (runs["epochs"] == 30)].sort_values("seed")
    if runs.empty:
        raise InputError(f"{table} has no finished run of experiment=notebook")
    lines = [
        "| 80/20, 30 epochs, all of UTKFace | val age MAE (years) | val gender accuracy |",
        "|---|---|---|",
        "| the notebook (Keras), last epoch | {:.2f} | {:.2%} |".format(*NOTEBOOK["last"]),
    ]
    for run in runs.to_dict("records"):
        lines.append(
            f"| `experiment=notebook`, seed {run['seed']}, last epoch | {run['val_age_mae']:.2f}"
            f" | {run['val_gender_acc']:.2%} |"
        )
    keras = pd.read_csv(control)
    if set(keras["split_hash"]) != set(runs["split_hash"]):
        raise InputError(f"{control} is of another split than the runs in {table}")
    last, best = keras.iloc[-1], keras.iloc[keras["val_age_mae"].argmin()]
    lines += [
        _spread("ours, last epoch", runs, "val_"),
        _control("the notebook's network in Keras on our split, last epoch", last),
        "| the notebook, its best epochs | {:.2f} | {:.2%} |".format(*NOTEBOOK["best"]),
        _spread("ours, best checkpoint by val MAE", runs, "val_best_"),
        _control("Keras on our split, best epoch by val MAE", best),
    ]
    return "\n".join(lines)


def _control(name: str, epoch: pd.Series) -> str:
    mae, accuracy = epoch["val_age_mae"], epoch["val_gender_acc"]
    return f"| {name}, a single seed | {mae:.2f} | {accuracy:.2%} |"


def _spread(name: str, runs: pd.DataFrame, prefix: str) -> str:
    """Mean and standard deviation over seeds; a single seed is called one."""
    mae, accuracy = runs[f"{prefix}age_mae"], runs[f"{prefix}gender_acc"]
    if len(runs) == 1:
        return f"| {name}, a single seed | {mae.iloc[0]:.2f} | {accuracy.iloc[0]:.2%} |"
    return (
        f"| **{name}**, mean ± sd of {len(runs)} seeds | **{mae.mean():.2f}** ± {mae.std():.2f}"
        f" | **{accuracy.mean():.2%}** ± {accuracy.std():.2%} |"
    )


def put_table(document: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME:start -->` and `<!-- NAME:end -->`.

    Raises:
        InputError: if the document has no such place.
    """
    before, start, rest = document.read_text().partition(f"<!-- {name}:start -->")
    _, end, after = rest.partition(f"<!-- {name}:end -->")
    if not end:
        raise InputError(f"{document} has no place for a table: <!-- {name}:start --> and :end")
    with whole_file(document) as temporary:
        temporary.write_text(f"{before}{start}\n{text}\n{end}{after}")
