"""How far figures move when faces are drawn again, with copies of a photograph kept together."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

RESAMPLES = 1000
Values = npt.NDArray[np.floating[Any]]
METRICS = {
    "age_mae": "age MAE (years)",
    "age_rmse": "age RMSE (years)",
    "age_median": "median age error (years)",
    "age_bias": "mean error, predicted - annotated (years)",
    "age_cs5": "CS@5 (at most 5 years off)",
    "gender_acc": "gender accuracy",
    "gender_balanced": "balanced gender accuracy",
    "gender_auroc": "gender AUROC",
    "gender_f1": "gender F1 (female)",
}
SHARES = {"age_cs5", "gender_acc", "gender_balanced", "gender_auroc", "gender_f1"}


def resample(groups: npt.ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> Values:
    """How often each face is drawn in each resample of whole groups.

    The cluster bootstrap (Davison & Hinkley 1997, section 3.8): as many groups as there are, drawn
    with replacement; faces of one group come and go together.

    Args:
        groups: (N,) the group of each face.
        resamples: R.
        seed: of the draws.

    Returns:
        (R, N) float32, whole numbers.
    """
    codes, names = pd.factorize(np.asarray(groups))
    drawn = np.random.default_rng(seed).integers(len(names), size=(resamples, len(names)))
    drawn += len(names) * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * len(names))
    return counts.reshape(resamples, len(names)).astype(np.float32)[:, codes]


def once(n: int) -> Values:
    """(1, N): each face once, for the figure itself."""
    return np.ones((1, n))


def interval(draws: Values, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of (R,) draws; NaN if none of them is a number."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean(values: npt.ArrayLike, weights: Values) -> Values:
    """Weighted means: (N,) or (N, K) values -> (R,) or (R, K); NaN where nothing was drawn."""
    numbers = np.asarray(values, dtype=weights.dtype)
    return ratio(weights @ numbers, weights.sum(axis=1).reshape(-1, *[1] * (numbers.ndim - 1)))


def ratio(above: Values, below: Values) -> Values:
    """Division that gives NaN where it divides by 0."""
    above, below = np.broadcast_arrays(above, below)
    nothing = np.full(above.shape, np.nan, dtype=above.dtype)
    return np.asarray(np.divide(above, below, out=nothing, where=below > 0))


def face_metrics(predictions: pd.DataFrame, weights: Values) -> pd.DataFrame:
    """All of `METRICS` under each row of weights.

    Args:
        predictions: N rows with age_years, age_pred, gender and p_female.
        weights: (R, N), as `resample` or `once` give them.

    Returns:
        R rows; a metric that needs both genders is NaN where one is not drawn.
    """
    error = (predictions["age_pred"] - predictions["age_years"]).to_numpy(np.float64)
    female = (predictions["gender"] == 1).to_numpy()
    p_female = predictions["p_female"].to_numpy(np.float64)
    said = p_female > 0.5
    n = weights.sum(axis=1)
    true_female, true_male = weights @ (said & female), weights @ (~said & ~female)
    females, called = weights @ female, weights @ said
    recalls = ratio(true_female, females), ratio(true_male, n - females)
    found = {
        "age_mae": mean(np.abs(error), weights),
        "age_rmse": np.sqrt(mean(error**2, weights)),
        "age_median": median(np.abs(error), weights),
        "age_bias": mean(error, weights),
        "age_cs5": mean(np.abs(error) <= 5, weights),
        "gender_acc": ratio(true_female + true_male, n),
        "gender_balanced": (recalls[0] + recalls[1]) / 2,
        "gender_auroc": auroc(p_female, female, weights),
        "gender_f1": ratio(2 * true_female, females + called),
    }
    assert found.keys() == METRICS.keys()
    return pd.DataFrame(found)


def median(values: Values, weights: Values) -> Values:
    """(N,) values, (R, N) whole weights -> (R,) medians, the mean of the middle two if even."""
    order = np.argsort(values, kind="stable")
    reached = weights[:, order].cumsum(axis=1)
    half = reached[:, -1:] / 2
    low, high = (reached >= half).argmax(axis=1), (reached > half).argmax(axis=1)
    ranked = values[order]
    return np.where(half[:, 0] > 0, (ranked[low] + ranked[high]) / 2, np.nan)


def auroc(score: Values, positive: npt.NDArray[np.bool_], weights: Values) -> Values:
    """(R,) areas under the ROC curve; ties count half, NaN where one class is not drawn."""
    order = np.argsort(score, kind="stable")
    ranked, positive, weights = score[order], positive[order], weights[:, order]
    negatives = np.zeros((len(weights), len(score) + 1))
    np.cumsum(weights * ~positive, axis=1, out=negatives[:, 1:])
    below = np.searchsorted(ranked, ranked, "left")
    up_to = np.searchsorted(ranked, ranked, "right")
    wins = (negatives[:, below] + negatives[:, up_to]) / 2
    won = (weights * positive * wins).sum(axis=1)
    return ratio(won, (weights @ positive) * negatives[:, -1])
