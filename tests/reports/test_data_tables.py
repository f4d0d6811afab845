import numpy as np
import pandas as pd
import pytest

from agegender.data.table import Faces
from agegender.reports.data_figures import density, pictures
from agegender.reports.data_tables import age_counts, counts, labelled, parts, whipple


def faces(ages: list[float]) -> pd.DataFrame:
    n = len(ages)
    frame = pd.DataFrame({"age_years": ages, "gender": [0, 1] * (n // 2) + [0] * (n % 2)})
    return labelled(frame.assign(race=0.0))


def test_every_face_is_counted_once_in_its_decade():
    table = counts(faces([0, 9, 10, 79.5, 80, 116])).set_index("age (years)")
    assert table.loc[["0-9", "10-19", "70-79", "80+", "all"], "all"].tolist() == [2, 1, 1, 2, 6]
    assert table["White, male"]["all"] == table["White, female"]["all"] == 3


def test_real_counts_are_those_of_the_file_names(utkface: Faces):
    names = utkface.frame["file"].str.extract(r"^(\d+)_([01])_([0-4])_")
    mine = counts(labelled(utkface.frame)).set_index("age (years)")
    assert mine.loc["all", "all"] == 23708
    twenties = names[(names[0].astype(float) // 10 == 2) & (names[1] == "1") & (names[2] == "3")]
    assert mine.loc["20-29", "Indian, female"] == len(twenties) > 0
    ages = age_counts(labelled(utkface.frame))
    assert ages["age_years"][ages["n"].idxmax()] == 26
    assert ages["share"].max() == pytest.approx(0.0927, abs=1e-4)


def test_whipples_index_is_100_without_and_500_with_nothing_but_heaping():
    assert whipple(age_counts(faces([float(a) for a in range(0, 100)]))) == pytest.approx(100)
    assert whipple(age_counts(faces([25, 30, 60]))) == pytest.approx(500)
    assert np.isnan(whipple(age_counts(faces([1, 2]))))


def test_density_is_one_in_all_and_has_nothing_below_zero():
    at = np.arange(0, 130, 0.1)
    found = density(np.array([0.0, 1.0, 40.0, 80.5]), at)
    assert found.sum() * 0.1 == pytest.approx(1, abs=0.02)
    assert found[0] > found[100]


def test_parts_say_what_is_left_out():
    frame = faces([10, 20, 30, 40]).assign(
        part=["train", "train", "val", ""], photo_id=list("aabc")
    )
    table = parts(frame).set_index("part")
    assert table["faces"].to_dict() == {"train": 2, "val": 1, "left out": 1}
    assert table["photographs"]["train"] == 1
    assert table["share"]["left out"] == "25.0%"


def test_grey_pictures_leave_no_empty_panel():
    frame = faces([10, 20, 30, 40])
    frame = frame.assign(brightness=[1.0, 2, 3, 4], contrast=1.0, sharpness=2.0, colour=0.0)
    assert [axes.axison for axes in pictures(frame, colour=False).axes] == [True] * 3 + [False]
    assert all(axes.axison for axes in pictures(frame, colour=True).axes)
