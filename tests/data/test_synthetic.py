import numpy as np
import pytest

from agegender.data import synthetic
from agegender.data.cache import open_pixels
from agegender.data.files import in_turn
from agegender.data.table import Faces, read_table
from agegender.train import fit

from ..conftest import composed


def test_a_portrait_hangs_on_its_seed_and_number_alone():
    (name, image), (again, same) = synthetic.portrait(3, 5), synthetic.portrait(3, 5)
    assert name == again
    assert image.tobytes() == same.tobytes()
    assert synthetic.portrait(4, 5)[1].tobytes() != image.tobytes()
    assert image.size == (200, 200)


def test_drawn_portraits_are_named_and_spread_like_utkface(cache_dir):
    with in_turn(cache_dir):
        faces = read_table(synthetic.draw_folder(cache_dir, 400, 1), cache_dir)
    assert len(faces.frame) == 400
    assert faces.rejects.empty
    assert 0.4 < faces.frame["gender"].mean() < 0.6
    assert set(faces.frame["race"]) == {0, 1, 2, 3, 4}
    ages = faces.frame["age_years"]
    assert ages.min() < 5
    assert ages.max() > 75
    assert 28 < ages.median() < 45


def test_mean_brightness_tells_neither_age_nor_gender(drawn: Faces, cache_dir):
    with in_turn(cache_dir):
        brightness = open_pixels(drawn, cache_dir, 3, 48).mean(axis=(2, 3))
    design = np.c_[brightness, np.ones(len(brightness))]
    age = drawn.frame["age_years"].to_numpy(float)
    fit = design @ np.linalg.lstsq(design, age, rcond=None)[0]
    trivial = np.abs(age - np.median(age)).mean()
    assert np.abs(age - fit).mean() > 0.85 * trivial
    gender = drawn.frame["gender"].to_numpy(float)
    score = design @ np.linalg.lstsq(design, gender, rcond=None)[0]
    assert ((score > 0.5) == (gender > 0.5)).mean() < 0.68


@pytest.mark.slow
def test_the_seed_network_at_least_halves_the_trivial_error(tmp_path):
    cfg = composed("experiment=demo", "trainer.max_epochs=9", f"output_dir={tmp_path}")
    metrics = fit(cfg)
    assert metrics["test"]["age_mae"] < 0.5 * metrics["baseline"]["test"]["age_mae"]
    assert metrics["test"]["gender_acc"] > metrics["baseline"]["test"]["gender_acc"] + 0.1


@pytest.mark.slow
def test_the_demo_reaches_what_its_header_says(tmp_path):
    metrics = fit(composed("experiment=demo", f"output_dir={tmp_path}"))
    assert metrics["test"]["age_mae"] < 7
    assert metrics["test"]["gender_acc"] > 0.85
