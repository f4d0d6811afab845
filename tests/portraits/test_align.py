import numpy as np
import pytest
from PIL import Image
from scipy.optimize import least_squares

from agegender.portraits.align import (
    CORNERS,
    SIDE,
    TEMPLATE,
    Place,
    crop,
    place_of,
    share_outside,
)
from agegender.portraits.faces import Face, of_box

PLACE = Place(140 + 60j, 1.7 * np.exp(0.3j))
CENTRES = np.stack(np.meshgrid(*[np.arange(SIDE) + 0.5] * 2), -1)


def of(points: np.ndarray) -> Face:
    return Face(np.zeros(4), points, 1.0)


def test_points_of_a_moved_turned_and_scaled_crop_give_its_place():
    found = place_of(of(PLACE.in_picture(TEMPLATE)))
    assert found.origin == pytest.approx(PLACE.origin)
    assert found.step == pytest.approx(PLACE.step)
    assert PLACE.scale == pytest.approx(1.7)
    np.testing.assert_allclose(PLACE.in_crop(PLACE.in_picture(CORNERS)), CORNERS, atol=1e-9)


def test_points_that_do_not_fit_give_what_an_optimiser_finds():
    points = PLACE.in_picture(TEMPLATE) + np.random.default_rng(0).normal(0, 6, (5, 2))

    def misses(v: np.ndarray) -> np.ndarray:  # x' = a x - b y + c, y' = b x + a y + d
        x, y = TEMPLATE.T
        return (
            np.concatenate([v[0] * x - v[1] * y + v[2], v[1] * x + v[0] * y + v[3]]) - points.T.flat
        )

    a, b, c, d = least_squares(misses, [1, 0, 0, 0]).x
    found = place_of(of(points))
    assert (found.step, found.origin) == (pytest.approx(a + b * 1j), pytest.approx(c + d * 1j))


@pytest.mark.parametrize("step", [0.4 * np.exp(-0.3j), 1.0 + 0j, 1.7 * np.exp(0.3j), 3.2 + 0.5j])
def test_every_pixel_of_a_crop_comes_from_its_place(step: complex):
    """In a picture whose brightness is a plane, both kinds of interpolation are exact."""
    y, x = np.mgrid[:900, :900] + 0.5
    picture = Image.fromarray((0.1 * x + 0.15 * y + 20).round().astype(np.uint8)).convert("RGB")
    place = Place(150 + 100j, step)
    at = place.in_picture(CENTRES)
    inside = ((at > 10) & (at < 890)).all(-1)
    apart = crop(picture, place)[..., 1] - (at @ (0.1, 0.15) + 20)
    assert inside.mean() > 0.9
    assert abs(apart[inside]).max() < 1.8  # two roundings
    assert abs(apart[inside].mean()) < 0.7


def test_a_crop_that_is_its_picture_stays_as_it_is():
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert (crop(Image.fromarray(pixels), Place(0j, 1 + 0j)) == pixels).all()


def test_fine_patterns_are_averaged_and_do_not_flicker():
    board = (np.indices((1200, 1200)).sum(0) % 2 * 255).astype(np.uint8)
    pixels = crop(Image.fromarray(board).convert("RGB"), Place(150 + 50j, 5 * np.exp(0.1j)))
    assert abs(pixels.astype(int) - 127).max() < 12  # by single pixels it would be 0 and 255


def test_outside_the_picture_is_black():
    white = Image.new("RGB", (300, 300), "white")
    place = Place(-100 + 50j, 1 + 0j)
    pixels = crop(white, place)
    assert (pixels[:, :99] == 0).all()
    assert (pixels[:, 101:] == 255).all()
    assert share_outside(white, place) == pytest.approx(0.5)
    assert share_outside(white, Place(20 + 20j, 1 + 0j)) == 0


def test_of_a_crop_far_beyond_its_picture_only_the_picture_is_read():
    """Against a picture that has the black around it already."""
    small = Image.effect_noise((90, 70), 60).convert("RGB")
    large = Image.new("RGB", (700, 700))
    large.paste(small, (301, 287))
    for step in (0.9 + 0j, 1.6 * np.exp(0.3j), 1.7 + 0.1j):
        place = Place(-150 - 130j, step)
        moved = Place(place.origin + 301 + 287j, step)
        apart = crop(small, place).astype(int) - crop(large, moved)
        assert abs(apart).max() <= 1
    pixels = crop(Image.new("RGB", (3000, 3000), "white"), Place(-6000 - 6000j, 74 + 0j))
    assert 1500 < (pixels[..., 0] > 127).sum() < 1800  # (3000 / 74) squared
    assert (crop(small, Place(1e19 + 0j, 1 + 0j)) == 0).all()


@pytest.mark.parametrize("step", [0j, 3j, complex("nan")])
def test_a_crop_that_cannot_be_is_refused(step: complex):
    with pytest.raises(ValueError, match="it must be above 0 and at most 500, 5 times the picture"):
        crop(Image.new("RGB", (100, 300)), Place(0j, step))


def test_a_box_alone_gives_an_upright_crop_around_its_middle():
    place = place_of(of_box(np.array([100, 100, 300, 340.0])))
    assert abs(place.step.imag) < 0.02
    middle = place.in_picture(np.array([100.0, 100.0]))
    assert abs(middle - (200, 220)).max() < 25
