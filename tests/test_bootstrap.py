"""Resamples and weighted metrics, against numpy, scipy and scikit-learn on faces drawn singly."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from agegender.bootstrap import face_metrics, interval, mean, once, resample
from agegender.report import part_metrics


@pytest.fixture(scope="module")
def faces() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 90
    age = rng.integers(0, 90, n).astype(float)
    gender = rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "age_years": age,
            "age_pred": age + rng.normal(1, 7, n).round(1),
            "gender": gender,
            # one decimal: many ties
            "p_female": (0.35 * gender + 0.65 * rng.random(n)).round(1),
            "group_id": rng.integers(0, 40, n),
        }
    )


def brute(rows: pd.DataFrame) -> dict[str, float]:
    metrics = pytest.importorskip("sklearn.metrics")
    error = (rows["age_pred"] - rows["age_years"]).to_numpy()
    said, female = rows["p_female"] > 0.5, rows["gender"] == 1
    return {
        "age_mae": np.abs(error).mean(),
        "age_rmse": np.sqrt((error**2).mean()),
        "age_median": np.median(np.abs(error)),
        "age_bias": error.mean(),
        "age_cs5": (np.abs(error) <= 5).mean(),
        "gender_acc": (said == female).mean(),
        "gender_balanced": metrics.balanced_accuracy_score(female, said),
        "gender_auroc": metrics.roc_auc_score(female, rows["p_female"]),
        "gender_f1": metrics.f1_score(female, said),
    }


def test_each_resample_is_what_its_faces_drawn_one_by_one_give(faces: pd.DataFrame):
    weights = resample(faces["group_id"], 25, seed=1)
    found = face_metrics(faces, weights)
    for k, counts in enumerate(weights):
        drawn = faces.loc[faces.index.repeat(counts.astype(int))]
        assert found.loc[k].to_dict() == pytest.approx(brute(drawn), rel=1e-5)


def test_each_face_once_gives_the_figures_themselves(faces: pd.DataFrame):
    own = face_metrics(faces, once(len(faces))).iloc[0].to_dict()
    assert own == pytest.approx(brute(faces), rel=1e-12)
    plain = part_metrics(faces)
    assert {k: own[k] for k in plain.keys() & own.keys()} == pytest.approx(
        {k: plain[k] for k in plain.keys() & own.keys()}, rel=1e-12
    )


def test_copies_of_a_photograph_come_and_go_together(faces: pd.DataFrame):
    weights = resample(faces["group_id"], 50)
    for _, place in faces.groupby("group_id").indices.items():
        assert (weights[:, place] == weights[:, place[:1]]).all()
    groups = faces["group_id"].drop_duplicates().index
    assert (weights[:, groups].sum(axis=1) == len(groups)).all()
    assert len(np.unique(weights, axis=0)) == 50


def test_intervals_are_scipys(faces: pd.DataFrame):
    off = (faces["age_pred"] - faces["age_years"]).abs().to_numpy()
    weights = resample(np.arange(len(off)), 4000)
    mine = interval(mean(off, weights))
    rng = np.random.default_rng(5)
    found = stats.bootstrap((off,), np.mean, n_resamples=4000, method="percentile", rng=rng)
    assert mine == pytest.approx(tuple(found.confidence_interval), abs=0.12)
    # whole groups alike make the interval as much wider as there are fewer of them
    doubled = resample(np.repeat(np.arange(len(off)), 4), 4000)
    again = interval(mean(np.repeat(off, 4), doubled))
    assert again[1] - again[0] == pytest.approx(mine[1] - mine[0], rel=0.08)


def test_one_gender_and_nothing_drawn_give_nan_not_an_error(faces: pd.DataFrame):
    men = faces[faces["gender"] == 0].reset_index(drop=True)
    found = face_metrics(men, once(len(men))).iloc[0]
    assert found[["gender_auroc", "gender_balanced"]].isna().all()
    assert found["gender_acc"] == (men["p_female"] <= 0.5).mean()
    nothing = face_metrics(men, np.zeros((1, len(men)), dtype=np.float32)).iloc[0]
    assert nothing.isna().all()
    assert np.isnan(interval(np.array([np.nan]))).all()
