import numpy as np
import pytest

from agegender.data.pictures import COLOURLESS, measure

SIDE = 12


def picture(red: object, green: object, blue: object) -> np.ndarray:
    blank = np.zeros((SIDE, SIDE), dtype=np.uint8)
    return np.stack([blank + np.asarray(c, dtype=np.uint8) for c in (red, green, blue)])


def test_measures_are_those_that_can_be_worked_out_by_hand():
    stripes = np.tile([0, 200], SIDE // 2)  # every other column
    pixels = np.stack([picture(90, 90, 90), picture(255, 0, 0), picture(stripes, stripes, stripes)])
    flat, red, striped = measure(pixels, np.array([0, 1, 2])).to_dict("records")
    assert flat == pytest.approx({"brightness": 90, "contrast": 0, "sharpness": 0, "colour": 0})
    assert red["brightness"] == pytest.approx(0.299 * 255, rel=1e-4)
    assert red["colour"] == 255 > COLOURLESS
    # the Laplacian of the stripes is 2 * 200 on the dark ones and -2 * 200 on the bright ones
    assert striped["sharpness"] == pytest.approx(400**2, rel=1e-3)
    assert striped["contrast"] == pytest.approx(100, rel=1e-3)


def test_rows_are_measured_in_the_order_that_was_asked_for():
    pixels = np.stack([picture(n, n, n) for n in (10, 20, 30)] * 100)
    rows = np.array([299, 0, 1, *range(260)])
    found = measure(pixels, rows)["brightness"]
    assert found.to_numpy() == pytest.approx(pixels[rows].mean((1, 2, 3)), rel=1e-3)
    grey = measure(pixels[:, :1], rows)
    assert grey["brightness"].to_numpy() == pytest.approx(found.to_numpy(), rel=1e-3)
    assert (grey["colour"] == 0).all()
