"""Disturbances do what they say, and the network's eye is found where it is."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from agegender import explain, robustness
from agegender.portraits.align import TEMPLATE
from agegender.robustness import DISTURBANCES
from agegender.types import Outputs


class Brightness(nn.Module):
    """Says the mean brightness, times 100, for age, of a window; female if it is over a half."""

    def __init__(self, rows: slice = slice(None), columns: slice = slice(None)) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        self.scale = nn.Parameter(torch.tensor(100.0))

    def forward(self, image: Tensor) -> Outputs:
        mean = image[:, :, self.rows, self.columns].mean((1, 2, 3))
        return Outputs(age=self.scale * mean, gender_logit=mean - 0.5, age_raw=mean[:, None])


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, pd.DataFrame]:
    pixels = np.random.default_rng(0).integers(60, 200, (40, 3, 32, 32), dtype=np.uint8)
    ages = 100 * pixels.mean((1, 2, 3)) / 255
    return pixels, pd.DataFrame({"age_years": ages, "gender": (ages > 50).astype(int)})


@pytest.mark.parametrize("way", DISTURBANCES, ids=lambda way: way.name)
def test_each_disturbance_changes_faces_except_at_its_clean_strength(way, faces):
    images = torch.from_numpy(faces[0])
    # natural pictures are smooth; noise would make the check of JPEG strict for nothing
    images = robustness.blur(images, 8)
    assert way.clean in way.strengths
    assert len(set(way.strengths)) == len(way.strengths) >= 4
    before = images.clone()
    off = []
    for strength in sorted(way.strengths, key=lambda s: abs(s - way.clean)):
        changed = way.change(images, strength)
        assert changed.shape == images.shape
        assert changed.dtype == torch.uint8
        off.append((changed.float() - before.float()).abs().mean().item())
    assert torch.equal(images, before)
    assert off[0] < 1.5, "at the clean strength"
    assert off[-1] > max(off[0], 0.2)


def test_measured_against_a_network_whose_answer_is_known(faces):
    pixels, rows = faces
    found = robustness.measure(Brightness(), pixels, rows, progress=False)
    clean = found[found["clean"]]
    assert set(clean["disturbance"]) == {way.name for way in DISTURBANCES}
    assert clean["age_mae"].max() < 1e-3
    assert (clean["gender_acc"] == 1).all()
    by_light = found[found["disturbance"] == "brightness"].set_index("strength")
    half = 0.5 * rows["age_years"].mean()
    assert by_light.loc[0.5, "age_mae"] == pytest.approx(half, abs=0.5)
    assert by_light.loc[0.5, "age_bias"] == pytest.approx(-half, abs=0.5)
    # rotated corners are black
    turned = found[found["disturbance"] == "rotation"].set_index("strength")
    assert turned.loc[45, "age_bias"] < turned.loc[7, "age_bias"] < 0
    few = robustness.measure(Brightness(), pixels[:, :1], rows, most=7, progress=False)
    assert (few["n"] == 7).all()
    assert "colour" not in set(few["disturbance"])


def test_the_bars_hide_eyes_and_mouth():
    white = torch.full((1, 3, 100, 100), 255, dtype=torch.uint8)
    rows_of = {"eyes hidden": TEMPLATE[:2], "mouth hidden": TEMPLATE[3:]}
    for name, points in rows_of.items():
        [way] = [d for d in DISTURBANCES if d.name == name]
        for strength in way.strengths[1:]:
            hidden = way.change(white, strength)[0, 0] == 128
            for x, y in points / 2:  # of 200 pixels a side there, and 100 here
                assert hidden[round(y), round(x)], (name, strength)
        whole = hidden.nonzero()
        assert (whole[:, 1].min(), whole[:, 1].max()) == (15, 84)
        assert whole[:, 0].max() - whole[:, 0].min() < 20
        nose = TEMPLATE[2] / 2
        assert not hidden[round(nose[1]), round(nose[0])]


def test_occlusion_finds_the_window_that_the_network_looks_at():
    pytest.importorskip("captum")
    pixels = np.full((2, 3, 32, 32), 255, dtype=np.uint8)
    net = Brightness(slice(4, 12), slice(20, 28))
    [(shown, years), _] = explain.looked_at(net, pixels, np.array([0, 1]))
    maps = explain.occlusion(net, torch.ones(1, 3, 32, 32))[0]
    inside = maps[4:12, 20:28].mean()
    maps[2:14, 18:30] = 0
    assert inside > 5
    assert maps.abs().max() < 1e-4
    # white in the window speaks for age: orange; elsewhere the face's own grey
    assert shown.shape == (3, 32, 32)
    assert shown[0, 8, 24] > shown[2, 8, 24] + 50
    assert (shown[:, 28, 4] == 255).all()
    assert years > 5
