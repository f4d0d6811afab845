"""Whether probabilities of gender mean what they say, and a temperature that makes them."""

import numpy as np
import numpy.typing as npt
import pandas as pd

Values = npt.NDArray[np.float64]
BINS = 15  # Guo et al. 2017
CERTAIN = 1e-6  # predictions.csv keeps six decimals: nothing is nearer to 0 or 1 than this
RANGE = (0.05, 20.0)  # temperatures that are looked at


def fit_temperature(p_female: npt.ArrayLike, gender: npt.ArrayLike) -> float:
    """The temperature with the least binary cross-entropy (Guo et al. 2017, arXiv:1706.04599).

    Args:
        p_female: (N,) from 0 to 1.
        gender: (N,) 0 or 1.

    Returns:
        What logits are to be divided by: above 1 if the network is too sure of itself. 1 if there
        is one gender only, which says nothing about probabilities.
    """
    logit, female = _logit(p_female), np.asarray(gender, dtype=np.float64)
    if len(np.unique(female)) < 2:
        return 1.0
    low, high = 1 / RANGE[1], 1 / RANGE[0]
    for _ in range(60):  # the loss is convex in 1 / T, so its slope has one root
        middle = (low + high) / 2
        slope = (logit * (_sigmoid(middle * logit) - female)).sum()
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(2 / (low + high))


def with_temperature(p_female: npt.ArrayLike, temperature: float) -> Values:
    """Probabilities whose logits are divided by a temperature."""
    return _sigmoid(_logit(p_female) / temperature)


def reliability(p_female: npt.ArrayLike, gender: npt.ArrayLike, bins: int = BINS) -> pd.DataFrame:
    """A row a bin of equal width that has faces: low, high, n, said (mean probability), share."""
    p, female = np.asarray(p_female, dtype=np.float64), np.asarray(gender, dtype=np.float64)
    place = np.minimum((p * bins).astype(int), bins - 1)
    table = pd.DataFrame({"bin": place, "said": p, "share": female})
    found = table.groupby("bin").agg(
        n=("said", "size"), said=("said", "mean"), share=("share", "mean")
    )
    found.insert(0, "low", found.index / bins)
    found.insert(1, "high", (found.index + 1) / bins)
    return found.reset_index(drop=True)


def expected_error(table: pd.DataFrame) -> float:
    """Expected calibration error of a `reliability` table, 0 to 1.

    The mean over faces of how far the mean probability of being female and the share of annotated
    females are apart in the face's bin (Naeini et al. 2015, for two classes).
    """
    return float(((table["said"] - table["share"]).abs() * table["n"]).sum() / table["n"].sum())


def cross_entropy(p_female: npt.ArrayLike, gender: npt.ArrayLike) -> float:
    """Binary cross-entropy, nats."""
    p = np.clip(np.asarray(p_female, dtype=np.float64), CERTAIN, 1 - CERTAIN)
    female = np.asarray(gender, dtype=np.float64)
    return float(-(female * np.log(p) + (1 - female) * np.log(1 - p)).mean())


def _logit(p: npt.ArrayLike) -> Values:
    clipped = np.clip(np.asarray(p, dtype=np.float64), CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _sigmoid(x: Values) -> Values:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))
