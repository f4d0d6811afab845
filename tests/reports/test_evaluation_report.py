"""The report of predictions made by a formula, whose figures are worked out by hand."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender import intervals
from agegender.reports import trust_sections
from agegender.reports.evaluation_report import evaluation_of
from agegender.reports.predictions import read_predictions
from tests.conftest import ROOT, refusal, run_here

PRIVATE = 'src="data:image/jpeg'


def formula(part: str, off: np.ndarray, p_female: np.ndarray, female: np.ndarray) -> pd.DataFrame:
    """Ages of 0 to 79, each as often, and predictions that are off by given years."""
    n = len(off)
    age = np.arange(n) % 80
    return pd.DataFrame(
        {
            "file": [f"{part}_{k}.jpg" for k in range(n)],
            "part": part,
            "age_years": age,
            "age_pred": age + off,
            "gender": female,
            "p_female": p_female,
            "race": np.arange(n) // 80 % 5,
        }
    )


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    """99 validation faces and 800 test faces.

    Validation: off by 0.1 to 9.9 years, so that the plain 90 % interval reaches 9.0 years each way.
    Test: at each age five are 2 years over and five are 4 under; men of 20 to 29 are 11 under.
    """
    val = formula("val", np.arange(1, 100) / 10, np.full(99, 0.8), (np.arange(99) % 5 < 3) * 1)
    low = np.arange(800) // 80 % 2 == 0
    female = (np.arange(800) // 80 < 5) * 1
    off = np.where(low, 2.0, -4.0)
    age = np.arange(800) % 80
    off[(female == 0) & (age >= 20) & (age < 30)] = -11
    # said to be female with 0.8: of those 400 are women, 160 men; the other 240 men 0.1
    p_female = np.where(female == 1, 0.8, np.where(age < 32, 0.8, 0.1))
    return pd.concat([val, formula("test", off, p_female, female)], ignore_index=True)


@pytest.fixture(scope="module")
def report(predictions: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    predictions.to_csv(folder / "own.csv", index=False)
    status, said = run_here(
        "evaluate", f"predictions={folder}/own.csv", f"output_dir={folder}/out", cwd=folder
    )
    assert status == 0, said
    assert "test, trivial guess" in said
    return folder / "out"


def read(report: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(report / "report" / f"{name}.csv", keep_default_na=False, na_values=["nan"])


def test_headline_by_hand(report: Path):
    # 750 faces: half 2 over, half 4 under, but of the 5 x 10 men in their twenties all 11 under
    found = read(report, "headline").set_index("metric")
    men = {"2": 20, "4": 30}  # of the 50, how many would have been 2 over and 4 under
    mae = ((400 - men["2"]) * 2 + (400 - men["4"]) * 4 + 50 * 11) / 800
    bias = ((400 - men["2"]) * 2 - (400 - men["4"]) * 4 - 50 * 11) / 800
    rms = np.sqrt(((400 - men["2"]) * 4 + (400 - men["4"]) * 16 + 50 * 121) / 800)
    wanted = {
        "age_mae": mae,
        "age_bias": bias,
        "age_rmse": rms,
        "age_median": 4,
        "age_cs5": 750 / 800,
        "gender_acc": 640 / 800,
        "gender_balanced": (1 + 240 / 400) / 2,
        "gender_auroc": 0.6 + 0.4 / 2,  # 160 of 400 men tie with the women
        "gender_f1": 2 * 400 / (400 + 560),
    }
    assert found["value"].to_dict() == pytest.approx(wanted, abs=1e-6)
    assert (found["lo"] <= found["value"]).all()
    assert (found["value"] <= found["hi"]).all()
    # of a mean over 800 faces the interval is near 2 x 1.96 standard errors
    sd = np.sqrt(rms**2 - mae**2)
    width = found.loc["age_mae", "hi"] - found.loc["age_mae", "lo"]
    assert width == pytest.approx(2 * 1.96 * sd / np.sqrt(800), rel=0.1)
    scores = read(report, "cumulative").set_index("k")["share"]
    assert scores[[1, 2, 3, 4, 10, 11]].tolist() == pytest.approx(
        [0, 380 / 800, 380 / 800, 750 / 800, 750 / 800, 1]
    )
    # the trivial guess: the validation part's median age of 39 (0..79, 0..18), and female
    trivial = read(report, "headline").set_index("metric")["trivial"]
    val_median = np.median(np.arange(99) % 80)
    ages = np.tile(np.arange(80), 10)
    assert trivial["age_mae"] == pytest.approx(np.abs(ages - val_median).mean(), abs=1e-6)
    assert trivial["gender_acc"] == 0.5


def test_groups_by_hand(report: Path):
    found = read(report, "groups")
    worst = found[found["judged"].astype(str) == "True"].sort_values("age_mae").iloc[-1]
    assert (worst["group"], worst["n"]) == ("20-29, male", 50)
    assert (worst["age_mae"], worst["age_bias"]) == (11, -11)
    men = found.query("by == 'gender' and group == 'male'").iloc[0]
    assert men["gender_acc"] == pytest.approx(0.6)
    assert found.query("by == 'age'")["n"].tolist() == [100] * 8
    few = found.query("by == 'age x gender x race'")
    assert (few["n"] == 10).all()
    assert (few["judged"].astype(str) == "False").all()
    gap = read(report, "gaps").query("by == 'gender' and metric == 'gender_acc'").iloc[0]
    assert (gap["best"], gap["worst"], gap["gap"]) == ("female", "male", pytest.approx(-0.4))
    curve = read(report, "bias").set_index("age")
    assert curve.loc[2.5, ["n", "bias", "mae"]].tolist() == [50, -1, 3]


def test_intervals_by_hand(report: Path):
    whole = read(report, "coverage").iloc[0]
    # plain intervals reach 9.0 years each way; adapted ones, of one bin of 99 faces whose scale is
    # learnt from four folds of five, nearly so
    assert whole["coverage"] == pytest.approx(750 / 800, abs=1e-6)
    levels = read(report, "levels")
    at_90 = levels[levels["level"] == 0.9]
    assert at_90["coverage"].tolist() == pytest.approx([750 / 800] * 2)
    twenties = read(report, "coverage").query("by == 'age' and group == '20-29'").iloc[0]
    assert (twenties["coverage"], twenties["above"]) == (0.5, 0.5)
    assert str(twenties["misses"]) == "True"
    bounded = pd.read_csv(report / "predictions.csv").query("part == 'test'")
    high = bounded["age_hi"] - bounded["age_pred"]
    assert high.to_numpy() == pytest.approx(np.full(800, 9.0), abs=0.4)
    # 18 years wide, but for the cut at 0
    plain = at_90[at_90["intervals"] == "plain"].iloc[0]
    said = bounded["age_pred"].to_numpy()
    assert plain["mean_width"] == pytest.approx(np.minimum(18, said + 9).mean(), abs=1e-5)
    assert (bounded["age_lo"] >= 0).all()
    assert len(read(report, "recuts")) == 40


def test_probabilities_and_decisions_by_hand(report: Path):
    table = read(report, "temperature")
    # 560 faces at 0.8 of which 400 are women, 240 at 0.1 of which none is
    assert table["ece"][0] == pytest.approx((560 * (0.8 - 400 / 560) + 240 * 0.1) / 800, abs=1e-6)
    # of the validation faces at 0.8, 60 of 99 are women
    assert table["temperature"][1] == pytest.approx(np.log(4) / np.log(60 / 39), abs=1e-5)
    rates = read(report, "decision_rates").set_index("threshold")
    # of 180 minors those of 16 and 17 that are 2 over reach 18; of adults 18 to 21 that are 4
    # under do not, nor do men of 20 to 28 that are 11 under
    assert rates.loc[18, "false_adult"] == pytest.approx(2 * 5 / 180, abs=1e-6)
    ages = np.tile(np.arange(80), 10)
    off = pd.read_csv(report / "predictions.csv").query("part == 'test'")["age_pred"] - ages
    late = ((ages >= 18) & (ages + off < 18)).sum()
    assert rates.loc[18, "false_minor"] == pytest.approx(late / 620, abs=1e-6)
    points = read(report, "operating_points")
    # 1 of the 37 validation minors may pass at 5 %, none at 2 %; predictions are tenths of a year,
    # and so are thresholds: one above
    val = pd.read_csv(report / "predictions.csv").query("part == 'val' and age_years < 18")
    ranked = val["age_pred"].sort_values().to_numpy()
    assert points["threshold"].tolist() == pytest.approx(ranked[[-4, -2, -1, -1]] + 0.1)
    surest = read(report, "selective")
    assert surest["gender_acc"].iloc[0] == 0.8
    # 0.1 is surer than 0.8, and always right here
    assert surest.set_index("share").loc[0.3, "gender_acc"] == 1


def test_the_page_is_whole_small_and_needs_no_network(report: Path):
    html = (report / "report.html").read_text()
    assert len(html) < 5e6
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert "http" not in re.sub(r"data:image[^\"]*", "", html)
    assert PRIVATE not in html
    for heading in (
        "Figures",
        "Groups",
        "Intervals of age",
        "Probabilities of gender",
        "Decisions",
    ):
        assert f"<h2>{heading}</h2>" in html
    assert "20-29, male (n = 50): 11.00 (11.00 to 11.00) years on average" in html
    assert "promised are 90%" in html
    pictures = {path.stem for path in (report / "report").glob("*.png")}
    assert {"cumulative", "groups_age_mae", "bias", "coverage", "recuts", "reliability"} <= pictures


def reported(table: pd.DataFrame, tmp_path: Path, *words: str) -> str:
    table.to_csv(tmp_path / "t.csv", index=False)
    out = tmp_path / "out"
    status, said = run_here(
        "evaluate", f"predictions={tmp_path}/t.csv", f"output_dir={out}", *words, cwd=ROOT
    )
    assert status == 0, said
    return (out / "report.html").read_text()


def test_what_another_system_does_not_say_is_left_out_in_words(
    predictions: pd.DataFrame, tmp_path: Path
):
    test = predictions[predictions["part"] == "test"].head(200)
    men = test.assign(gender=0).drop(columns=["race", "part"])
    men.loc[men.index[:20], "age_pred"] = np.nan
    html = reported(men, tmp_path)
    for told in (
        "20 faces of the test part have no prediction",
        "There is one gender only",
        "Race is not annotated",
        "there are no validation faces beside this part to calibrate on",
        "the surest ages are not known",
    ):
        assert told in html, told
    assert "180 faces" in html


def test_few_faces_children_alone_and_ones_own_intervals(predictions: pd.DataFrame, tmp_path: Path):
    html = reported(predictions.query("part == 'test' and age_years < 10").head(12), tmp_path)
    assert "No group has 30 faces, so none is judged." in html
    assert "No face is annotated so that it belongs to the adults" in html
    own = predictions.query("part == 'test'").head(120)
    own = own.assign(age_lo=own["age_pred"] - 3, age_hi=own["age_pred"] + 3)
    html = reported(own, tmp_path, "level=0.6")
    assert "promised are 60%" in html
    assert "They were given with the predictions" in html


def test_one_judged_group_of_each_kind_has_no_gaps(predictions: pd.DataFrame, tmp_path: Path):
    men = predictions.query("part == 'test' and gender == 0 and 30 <= age_years < 40").head(40)
    html = reported(men.assign(race=0), tmp_path)
    assert "Between the best and the worst group" not in html
    assert (tmp_path / "out/report/gaps.csv").read_text().startswith("by,metric,best")
    # and nothing of this report is taken for one of the next
    reported(predictions.query("part == 'test'").head(40).drop(columns="race"), tmp_path)
    assert not (tmp_path / "out/report/age_by_race.png").exists()


def test_a_face_without_a_group_is_one_of_its_own(predictions: pd.DataFrame, tmp_path: Path):
    table = predictions.head(4).assign(group_id=[7, 7, np.nan, np.nan])
    table.to_csv(tmp_path / "p.csv", index=False)
    groups = read_predictions(tmp_path / "p.csv")["group_id"]
    assert groups.nunique() == 3
    assert groups[0] == groups[1]


def test_copies_may_be_said_in_any_way(predictions: pd.DataFrame, tmp_path: Path):
    for said in (["True", "False", np.nan], [1, 0, 0], [1.0, 0.0, np.nan]):
        predictions.head(3).assign(copy_in_train=said).to_csv(tmp_path / "p.csv", index=False)
        assert read_predictions(tmp_path / "p.csv")["copy_in_train"].tolist() == [
            True,
            False,
            False,
        ]


def test_too_few_validation_faces_are_told(predictions: pd.DataFrame):
    table = predictions.groupby("part").head(4).assign(age_sd=np.nan, group_id=range(8))
    calibration = intervals.calibrate(table[table["part"] == "val"])
    bounded = intervals.with_bounds(table, calibration)
    words = ("calibrated on 4 faces", 0.9, 18.0, (30.0, 1.0), "some faces")
    section = trust_sections.intervals(evaluation_of(bounded, "test", calibration, *words))
    assert "Too few validation faces for a level of 90%: calibrated on 4 faces" in section.body


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p_female": 1.2}, r"line 2: p_female=1.2 is not a number from 0 to 1"),
        ({"gender": 2}, r"line 2: gender=2 is not a number from 0 to 1"),
        ({"age_years": None}, r"line 2: age_years=nan is not a number from 0 to 150"),
        ({"age_pred": "old"}, r"line 2: age_pred=old is not a number"),
        ({"file": "same.jpg"}, r"has 'same.jpg' twice in one part"),
        ({"age_sd": "wide"}, r"line 2: age_sd=wide is not a number from 0"),
        ({"race": "White"}, r"line 2: race=White is not a number from 0 to 4"),
        ({"race": 1.5}, r"line 2: race=1.5 is not 0, 1, 2, 3 or 4"),
        ({"copy_in_train": "perhaps"}, r"line 2: copy_in_train=perhaps is not true or false"),
        ({"part": "dev"}, r"has no predicted face in its test part"),
    ],
)
def test_bad_tables_are_told(predictions: pd.DataFrame, tmp_path: Path, change, said):
    predictions.tail(5).assign(**change).to_csv(tmp_path / "bad.csv", index=False)
    told = refusal("evaluate", f"predictions={tmp_path}/bad.csv", "output_dir=out", cwd=tmp_path)
    assert re.search(said, told), told
    assert not list((tmp_path / "out").glob("*.[hcj]*"))


def test_bad_words_are_told(predictions: pd.DataFrame, tmp_path: Path):
    predictions.drop(columns="p_female").to_csv(tmp_path / "p.csv", index=False)
    path = f"predictions={tmp_path}/p.csv"
    for words, said in (
        ([path], "lacks the column p_female"),
        ([], "give either checkpoint="),
        ([path, "checkpoint=x"], "give either checkpoint="),
        ([path, "level=1"], "level=1.0: must be above 0 and at most 0.995"),
        ([path, "robustness=true"], "robustness=true needs a network"),
        (["predictions=nowhere.csv"], "cannot read predictions=nowhere.csv"),
    ):
        assert said in refusal("evaluate", *words, "output_dir=out", cwd=tmp_path)
