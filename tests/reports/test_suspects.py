"""Planted mistakes are found, and the page shows them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.data.table import Faces
from agegender.errors import InputError
from agegender.reports.suspects import rank_suspects, read_predictions
from tests.conftest import DRAWN, refusal, run_here


def good_predictions(faces: Faces) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = faces.frame[["file", "age_years", "gender"]].reset_index(drop=True)
    right = rng.uniform(0.8, 0.99, len(frame))
    return frame.assign(
        age_pred=frame["age_years"] + rng.normal(0, 3, len(frame)),
        p_female=np.where(frame["gender"] == 1, right, 1 - right),
    )


def test_planted_mistakes_come_first(drawn: Faces):
    table = good_predictions(drawn)
    table.loc[[3, 50, 90], "gender"] = 1 - table.loc[[3, 50, 90], "gender"]
    old = table["age_pred"] > 40
    table.loc[[5, 60, 120], "age_years"] = np.where(old[[5, 60, 120]], 2, 90)
    planted = table["file"][[3, 50, 90, 5, 60, 120]]
    ranked = rank_suspects(table)
    assert set(ranked["file"].head(6)) == set(planted)
    assert ranked["label"].head(6).value_counts().to_dict() == {"age": 3, "gender": 3}
    assert ranked["rank"].tolist() == list(range(1, DRAWN + 1))
    assert ranked.loc[ranked["gender_issue"], "file"].isin(planted).all()
    # the gender score is the probability of the label
    given = np.where(ranked["gender"] == 1, ranked["p_female"], 1 - ranked["p_female"])
    assert ranked["gender_quality"].to_numpy() == pytest.approx(given, abs=1e-5)


def test_the_page_shows_the_first_and_the_table_has_all(drawn: Faces, tmp_path: Path):
    path = tmp_path / "out_of_fold.csv"
    good_predictions(drawn).to_csv(path, index=False)
    words = ["data=synthetic", f"data.drawn={DRAWN}", "data.image_size=48", "shown=7"]
    out = tmp_path / "out"
    status, said = run_here("suspects", *words, f"predictions={path}", f"output_dir={out}")
    assert status == 0, said
    html = (tmp_path / "out/index.html").read_text()
    assert html.count('class="card"') == 7 == html.count("data:image/jpeg")
    table = pd.read_csv(tmp_path / "out/suspects.csv")
    assert len(table) == DRAWN
    assert table["file"][6] in html
    assert table["file"][7] not in html

    assert "predictions" in refusal(
        "suspects", *words, f"output_dir={tmp_path / 'out2'}", cwd=tmp_path
    )


def test_predictions_that_cannot_be_used_are_told(drawn: Faces, tmp_path: Path):
    path, good = tmp_path / "p.csv", good_predictions(drawn)
    for table, sentence in (
        (good.drop(columns=["p_female"]), "lacks the column p_female"),
        (good.iloc[:0], "has no rows"),
        (good.assign(p_female=1.5), r"line 2: p_female=1.5 is not a number within 0 to 1"),
        (good.assign(age_pred=np.nan), "line 2: age_pred=nan is not a number$"),
        (pd.concat([good, good.iloc[:1]]), "twice: needed is one prediction a face"),
    ):
        table.to_csv(path, index=False)
        with pytest.raises(InputError, match=sentence):
            read_predictions(path)
    with pytest.raises(InputError, match="cannot read"):
        read_predictions(tmp_path / "nowhere.csv")
