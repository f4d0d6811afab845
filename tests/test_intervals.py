"""Conformal intervals: by hand, by brute force, and by many draws."""

import json

import numpy as np
import pandas as pd
import pytest

from agegender.errors import InputError
from agegender.intervals import bounds, calibrate, with_bounds


def faces(n: int, seed: int, spread: bool) -> pd.DataFrame:
    """Errors grow with age; the spread says how much, if there is one."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(0, 80, n)
    sd = 1 + age / 8
    return pd.DataFrame(
        {
            "age_years": age,
            "age_pred": age + sd * rng.normal(size=n),
            "age_sd": sd if spread else np.nan,
            "gender": rng.integers(0, 2, n),
            "p_female": rng.random(n),
        }
    )


def test_the_plain_quantile_is_the_one_counted_by_hand():
    # errors of 1 to 99 years: of 100 (n + 1) ninety are the 90th
    val = faces(99, 0, spread=False)
    val["age_pred"] = val["age_years"] + np.arange(1, 100)
    found = calibrate(val)
    low, high = bounds([200.0, 20.0], None, found, 0.9, "plain")
    assert low.tolist() == pytest.approx([110.0, 0.0])
    assert high.tolist() == pytest.approx([290.0, 110.0])
    # 99 faces bear 99 %, and no more than that
    assert bounds([200.0], None, found, 0.99, "plain")[1].tolist() == pytest.approx([299.0])
    assert bounds([200.0], None, found, 0.995, "plain")[1].tolist() == [np.inf]
    # a level between two that are kept gets the higher one: 72 of 100 for 71.5 %
    assert bounds([200.0], None, found, 0.712, "plain")[1].tolist() == pytest.approx([272.0])


@pytest.mark.parametrize("level", [0, 0.999, 1, 90, -0.1])
def test_levels_that_no_quantile_is_kept_of_are_refused(level: float):
    with pytest.raises(InputError, match=r"must be above 0 and at most 0\.995"):
        bounds([20.0], None, calibrate(faces(2000, 0, spread=False)), level)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_quantiles_are_numpys(level: float):
    val = faces(2248, 1, spread=True)
    found = calibrate(val)
    off = (val["age_pred"] - val["age_years"]).abs().to_numpy()
    for method, scores in (("plain", off), ("adapted", off / (val["age_sd"].to_numpy() + 1))):
        wanted = np.quantile(scores, np.ceil(2249 * level) / 2248, method="inverted_cdf")
        _, high = bounds([50.0], [9.0], found, level, method)
        scale = 1 if method == "plain" else 10
        assert high[0] - 50 == pytest.approx(scale * wanted)


@pytest.mark.parametrize("spread", [True, False])
@pytest.mark.parametrize("method", ["adapted", "plain"])
def test_coverage_is_as_promised_over_many_draws(spread: bool, method):
    shares, young = [], []
    for seed in range(40):
        found = calibrate(faces(400, seed, spread))
        test = faces(400, 1000 + seed, spread)
        bounded = with_bounds(test, found, 0.8, method)
        inside = bounded["age_years"].between(bounded["age_lo"], bounded["age_hi"])
        shares.append(inside.mean())
        young.append(inside[test["age_pred"] < 20].mean())
    # 16,000 faces: three standard errors, between draws, are about 1 point
    assert np.mean(shares) == pytest.approx(0.8, abs=0.012)
    # the plain interval is far too wide for the young, the adapted one is not
    assert (np.mean(young) > 0.97) == (method == "plain")


def test_a_calibration_is_plain_small_and_the_same_after_json():
    for spread in (True, False):
        found = calibrate(faces(2248, 2, spread))
        text = json.dumps(found, allow_nan=False)
        assert len(text) < 12_000
        assert json.loads(text) == found
        assert found["scale"] == ("age_sd" if spread else "age_pred")
        assert set(found) == {"n", "scale", "at", "size", "plain", "adapted", "temperature"}


def test_missing_numbers_and_few_faces():
    val = faces(60, 3, spread=True)
    val.loc[:9, "age_pred"] = np.nan
    found = calibrate(val)
    assert found["n"] == 50
    low, high = bounds([30.0, np.nan], [3.0, 3.0], found)
    assert np.isfinite([low[0], high[0]]).all()
    assert np.isnan([low[1], high[1]]).all()
    alone = calibrate(faces(1, 4, spread=False))
    low, high = bounds([30.0], None, alone)
    assert (low[0], high[0]) == (0.0, np.inf)
    assert with_bounds(val, None)["age_lo"].isna().all()


def test_bad_input_is_told():
    val = faces(60, 5, spread=True)
    with pytest.raises(InputError, match="no validation face has a prediction"):
        calibrate(val.assign(age_pred=np.nan))
    with pytest.raises(InputError, match=r"level=1.5: must be above 0 and at most"):
        bounds([30.0], [1.0], calibrate(val), 1.5)
    with pytest.raises(InputError, match="calibrated with age_sd, which is missing"):
        bounds([30.0], None, calibrate(val))
