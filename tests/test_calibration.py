"""Probabilities: a temperature and an error worked out by hand, and by scipy."""

import numpy as np
import pytest
from scipy import optimize

from agegender.calibration import (
    cross_entropy,
    expected_error,
    fit_temperature,
    reliability,
    with_temperature,
)


def test_temperature_and_error_by_hand():
    # of those said to be female with 0.8, 6 of 10 are; of those with 0.2, 4 of 10
    p = np.repeat([0.8, 0.2], 10)
    female = np.array([1] * 6 + [0] * 4 + [1] * 4 + [0] * 6)
    temperature = np.log(0.8 / 0.2) / np.log(0.6 / 0.4)
    assert fit_temperature(p, female) == pytest.approx(temperature, rel=1e-9)
    assert with_temperature(p, temperature) == pytest.approx(np.repeat([0.6, 0.4], 10))
    table = reliability(p, female)
    assert table[["n", "said", "share"]].to_numpy().tolist() == [
        [10, pytest.approx(0.2), 0.4],
        [10, pytest.approx(0.8), 0.6],
    ]
    assert expected_error(table) == pytest.approx(0.2)
    assert expected_error(reliability(with_temperature(p, temperature), female)) < 1e-9


def test_the_temperature_is_scipys():
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 3, 2000)
    p = 1 / (1 + np.exp(-logit))
    female = rng.random(2000) < 1 / (1 + np.exp(-logit / 2.3))
    found = optimize.minimize_scalar(
        lambda t: cross_entropy(with_temperature(p, t), female), bounds=(0.1, 10), method="bounded"
    )
    assert fit_temperature(p, female) == pytest.approx(found.x, abs=1e-3)
    assert found.x == pytest.approx(2.3, abs=0.25)


def test_error_by_brute_force():
    rng = np.random.default_rng(1)
    p, female = rng.random(500), rng.random(500) < 0.4
    total = 0.0
    for k in range(15):
        mine = (p >= k / 15) & (p < (k + 1) / 15)
        if mine.any():
            total += mine.sum() / 500 * abs(p[mine].mean() - female[mine].mean())
    assert expected_error(reliability(p, female)) == pytest.approx(total)


def test_certain_and_one_sided_labels():
    assert fit_temperature([0.0, 1.0, 0.4], [1, 1, 1]) == 1.0
    assert np.isfinite(fit_temperature([0.0, 1.0, 1.0], [0, 1, 0]))
    assert with_temperature([0.0, 1.0], 1.0) == pytest.approx([0, 1], abs=1e-5)
    assert reliability([1.0], [1])["n"].tolist() == [1]
