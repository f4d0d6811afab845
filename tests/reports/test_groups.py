"""Tables behind the report, where the known-answer report does not reach."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from agegender.bootstrap import once, resample
from agegender.reports.coverage import recut
from agegender.reports.groups import by_group, slope
from agegender.reports.operating import decision_rates, operating_points, selective


@pytest.fixture(scope="module")
def faces() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 1200
    age = rng.integers(0, 100, n).astype(float)
    sd = rng.uniform(1, 12, n)
    gender = rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "file": np.arange(n).astype(str),
            "group_id": np.arange(n) // 2,
            "age_years": age,
            "age_pred": 6 + 0.8 * age + sd * rng.normal(size=n),
            "age_sd": sd,
            "gender": gender,
            "p_female": np.clip(0.5 + (gender - 0.5) * rng.uniform(-0.3, 1, n), 0, 1),
            "race": np.where(rng.random(n) < 0.5, 2.0, np.nan),
        }
    )


def test_the_slope_is_scipys(faces: pd.DataFrame):
    wanted = stats.linregress(faces["age_years"], faces["age_pred"])
    assert slope(faces, once(len(faces)))[0] == pytest.approx(wanted.slope)
    draws = slope(faces, resample(faces["group_id"], 400))
    assert draws.std() == pytest.approx(wanted.stderr, rel=0.15)
    assert np.isnan(slope(faces.assign(age_years=30.0), once(len(faces)))[0])


def test_groups_are_pandas_groups(faces: pd.DataFrame):
    found = by_group(faces, resample(faces["group_id"], 50))
    off = (faces["age_pred"] - faces["age_years"]).abs()
    decade = (faces["age_years"] // 10).clip(upper=8)
    wanted = off.groupby([decade, faces["gender"]]).agg(["size", "mean"])
    mine = found[found["by"] == "age x gender"]
    # within a decade the table has female first
    assert sorted(zip(mine["n"], mine["age_mae"].round(9), strict=True)) == sorted(
        zip(wanted["size"], wanted["mean"].round(9), strict=True)
    )
    assert found[found["by"] == "age"]["group"].tolist()[0] == "0-9"
    assert found[found["by"] == "age"]["group"].tolist()[-1] == "80+"
    assert found[found["by"] == "race"]["group"].tolist() == ["Asian", "not said"]
    assert (found["age_mae_lo"] <= found["age_mae"]).mean() > 0.95
    without = by_group(faces.assign(race=np.nan), resample(faces["group_id"], 50))
    assert not without["by"].str.contains("race").any()


def test_recuts_keep_photographs_together_and_hold_the_level(faces: pd.DataFrame):
    val, test = faces.iloc[:600], faces.iloc[600:]
    found = recut(val, test, 0.9)
    assert len(found) == 40
    # 300 photographs of two faces each, whatever the cut
    assert (found["calibrated_on"] == 600).all()
    assert (found["checked_on"] == 600).all()
    means = found.groupby("intervals")["coverage"].mean()
    assert means.to_numpy() == pytest.approx([0.9, 0.9], abs=0.012)
    assert found.groupby("intervals")["coverage"].nunique().min() > 5


def test_decisions_by_counting(faces: pd.DataFrame):
    rates = decision_rates(faces, 18, np.array([21.0])).iloc[0]
    minors = faces[faces["age_years"] < 18]
    adults = faces[faces["age_years"] >= 18]
    assert rates["false_adult"] == (minors["age_pred"] >= 21).mean()
    assert rates["false_minor"] == (adults["age_pred"] < 21).mean()
    near = minors[minors["age_years"] >= 13]
    assert rates["near"] == (near["age_pred"] >= 21).mean()


def test_a_threshold_keeps_its_rate_where_it_was_chosen_and_no_lower_one_does(faces: pd.DataFrame):
    weights = resample(faces["group_id"], 50)
    points = operating_points(faces, faces, weights, 18)
    minors = faces.loc[faces["age_years"] < 18, "age_pred"]
    for row in points.itertuples():
        assert row.false_adult <= row.wanted
        assert row.false_adult_lo <= row.false_adult <= row.false_adult_hi
        assert (minors >= row.threshold - 0.1).mean() > row.wanted
        assert row.threshold == round(row.threshold, 1), "shown as it was meant"
    assert operating_points(faces[faces["age_years"] > 20], faces, weights, 18).empty


def test_the_surest_faces_are_answered_first(faces: pd.DataFrame):
    found = selective(faces, faces["age_sd"]).set_index("share")
    off = (faces["age_pred"] - faces["age_years"]).abs()
    half = faces["age_sd"].nsmallest(600).index
    assert found.loc[0.5, "age_mae"] == pytest.approx(off[half].mean())
    assert found.loc[0.1, "age_mae"] < found.loc[1.0, "age_mae"] == pytest.approx(off.mean())
    assert found.loc[0.2, "gender_acc"] > found.loc[1.0, "gender_acc"]
    assert "age_mae" not in selective(faces, None)
