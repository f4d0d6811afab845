"""Tables from predictions; needs no torch, so it works on anybody's predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Values = npt.NDArray[np.float64]
# The Kaggle notebook's own log, Keras: its last epoch, and its best epoch of each metric.
NOTEBOOK = {"last": (6.447, 0.8897), "best": (6.40, 0.894)}


def part_metrics(predictions: pd.DataFrame) -> dict[str, float]:
    """Metrics of one part.

    Args:
        predictions: rows with age_years, age_pred, gender (0 or 1) and p_female (0 to 1).

    Returns:
        age_mae and age_rmse in years; age_cs5 (share at most 5 years off), gender_acc and
        gender_auroc from 0 to 1 (auroc is NaN if there is one gender only); n.
    """
    error = (predictions["age_pred"] - predictions["age_years"]).to_numpy(np.float64)
    female = predictions["gender"].to_numpy() == 1
    p_female = predictions["p_female"].to_numpy(np.float64)
    return {
        "age_mae": float(np.abs(error).mean()),
        "age_rmse": float(np.sqrt((error**2).mean())),
        "age_cs5": float((np.abs(error) <= 5).mean()),
        "gender_acc": float(((p_female > 0.5) == female).mean()),
        "gender_auroc": auroc(p_female, female),
        "n": len(predictions),
    }


def auroc(score: Values, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative), ties half.

    Mann & Whitney 1947, by ranks.
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    ranks = pd.Series(score).rank().to_numpy()
    u = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))


def trivial_guess(train: pd.DataFrame) -> tuple[float, float]:
    """The median age (years) and the majority gender (0 or 1) of some faces."""
    return float(train["age_years"].median()), float(train["gender"].mean() > 0.5)


def baseline(train: pd.DataFrame, part: pd.DataFrame) -> dict[str, float]:
    """Metrics of always saying the trivial guess of the train part."""
    age, p_female = trivial_guess(train)
    return part_metrics(part.assign(age_pred=age, p_female=p_female))


def seconds_to(history: pd.DataFrame, age_mae: float, gender_acc: float) -> float | None:
    """Seconds from the start of a training to the first epoch that validates so well.

    Args:
        history: `history.csv`.
        age_mae: at most so many years on the validation part.
        gender_acc: and at least this accuracy, 0 to 1, in the same epoch.

    Returns:
        None if no epoch does.
    """
    good = (history["val/age_mae"] <= age_mae) & (history["val/gender_acc"] >= gender_acc)
    return float(history["since_start"].iloc[int(good.argmax())]) if good.any() else None


def result_lines(metrics: dict[str, Any]) -> str:
    """A small table for the terminal from a `metrics.json` value."""
    rows = [(part, metrics[part]) for part in metrics["baseline"]]
    rows += [
        (f"{part}, trivial guess", row)
        for part, row in metrics["baseline"].items()
        if "_" not in part
    ]
    return "\n".join(metric_lines("part", rows))


def metric_lines(title: str, rows: Sequence[tuple[str, Mapping[Any, Any]]]) -> list[str]:
    """Named `part_metrics` in columns, below a line of headings."""
    head = f"{title:<22}{'faces':>7}{'age MAE':>10}{'CS@5':>8}{'gender acc':>12}"
    return [head] + [
        f"{name:<22}{row['n']:>7}{row['age_mae']:>8.2f} y{row['age_cs5']:>8.1%}"
        f"{row['gender_acc']:>12.1%}"
        for name, row in rows
    ]
