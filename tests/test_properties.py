"""What holds for any input: file names, tables, splits, metrics and configs."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from agegender.config import check_config, did_you_mean
from agegender.data.audit import group_table
from agegender.data.files import FORMULA, as_cell, as_cells
from agegender.data.own import read_labels
from agegender.data.splits import FOLDS, assign_parts, crossings, split_hash
from agegender.data.table import parse_name
from agegender.errors import InputError
from agegender.metrics import FaceMetrics
from agegender.reports.predictions import read_predictions
from agegender.types import Batch, Outputs

from .conftest import composed

# seeded, without a limit of time: a shared machine may stop for a second
any_input = settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
names = st.text(max_size=40)
cells = st.one_of(
    st.text(max_size=12), st.integers(-200, 200).map(str), st.floats().map(str),
    st.sampled_from(["", "0", "1", "NaN", "inf", "=1+1", '"', "a,b", "1e400", "\n"]),
)  # fmt: skip
rows = st.lists(st.tuples(cells, cells, cells), max_size=6)


def said(call: Callable[[], Any]) -> Any:
    """What a call gives, or the sentence that it refuses with."""
    try:
        return call()
    except (InputError, ValueError) as error:
        return str(error)


@any_input
@given(st.integers(0, 120), st.integers(0, 1), st.integers(0, 4), names)
def test_a_name_made_of_labels_says_them(age: int, gender: int, race: int, stamp: str):
    assert parse_name(f"{age}_{gender}_{race}_{stamp}.jpg") == (age, gender, race)


@any_input
@given(names)
def test_any_name_is_labels_or_a_reason(name: str):
    found = said(lambda: parse_name(name))
    if isinstance(found, str):
        assert found.startswith(("name is not", "age ", "gender "))
        return
    assert 0 <= found.age_years <= 120
    assert found.gender in (0, 1)
    assert found.race in (None, 0, 1, 2, 3, 4)


@any_input
@given(st.text(max_size=20))
def test_no_cell_is_computed_and_escaping_twice_changes_nothing(text: str):
    cell = as_cell(text)
    assert not cell.startswith(FORMULA)
    assert cell.removeprefix("'") == text.removeprefix("'")
    assert as_cell(cell) == cell
    table = as_cells(pd.DataFrame({text: [text, 1, None]}))
    assert not str(table.columns[0]).startswith(FORMULA)
    assert table.iloc[1, 0] == 1


@any_input
@given(rows)
def test_any_table_of_faces_is_labels_or_a_sentence(tmp_path: Path, rows):
    (tmp_path / "1.png").touch()
    table = pd.DataFrame([("1.png", "30", "0"), *rows], columns=["path", "age", "gender"])
    table.to_csv(tmp_path / "f.csv", index=False)
    labels = said(lambda: read_labels(tmp_path / "f.csv"))
    if isinstance(labels, str):
        assert labels.startswith(("data.csv=", "cannot read data.csv="))
        return
    assert labels["age_years"].between(0, 120).all()
    assert labels["gender"].isin([0, 1]).all()


@any_input
@given(st.binary(max_size=200))
def test_any_bytes_as_a_table_are_refused_in_words(tmp_path: Path, data: bytes):
    (tmp_path / "f.csv").write_bytes(data)
    for read in (read_labels, read_predictions):
        with pytest.raises(InputError, match=r"data\.csv=|predictions="):
            read(tmp_path / "f.csv")


@any_input
@given(rows)
def test_any_table_of_predictions_is_in_its_ranges_or_a_sentence(tmp_path: Path, rows):
    columns = ["age_years", "age_pred", "p_female"]
    table = pd.DataFrame([("30", "31", "0.5"), *rows], columns=columns)
    table = table.assign(file=[f"{i}.png" for i in range(len(table))], gender=1)
    table.to_csv(tmp_path / "p.csv", index=False)
    found = said(lambda: read_predictions(tmp_path / "p.csv"))
    if isinstance(found, str):
        assert "predictions=" in found
        return
    assert found["age_years"].between(0, 150).all()
    assert found["p_female"].dropna().between(0, 1).all()
    assert np.isfinite(found["age_pred"].dropna()).all()


def faces(groups: list[int]) -> pd.DataFrame:
    """Faces of photographs; the slice is the photograph's, as the audit gives it."""
    group = np.array(groups, dtype=int)
    return pd.DataFrame(
        {
            "file": [f"{i:03d}.jpg" for i in range(len(group))],
            "sha256": [f"{i:064x}" for i in range(len(group))],
            "group_id": [f"g{g}" for g in group],
            "slice": group % (2 * FOLDS),
            "age_years": (group % 100).astype(np.float32),
            "gender": group % 2,
            "race": group % 5,
        }
    )


@any_input
@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.integers(0, FOLDS - 1))
def test_each_face_has_one_part_and_no_photograph_crosses(groups: list[int], fold: int):
    frame = faces(groups)
    for split in ("holdout", "kfold", "random", "notebook"):
        parts = assign_parts(frame, split, fold=fold if split == "kfold" else 0)
        assert set(parts) <= {"train", "val", "test"}
        assert len(parts) == len(frame)
        if split in ("holdout", "kfold"):
            assert crossings(frame.assign(part=parts)) == {"val": 0, "test": 0}
            assert frame.assign(part=parts).groupby("group_id")["part"].nunique().max() == 1


@any_input
@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_a_split_does_not_depend_on_the_order_of_faces(groups: list[int], random):
    frame = faces(groups)
    order = list(range(len(frame)))
    random.shuffle(order)
    for split in ("holdout", "random", "notebook"):
        parts = assign_parts(frame, split)
        shuffled = assign_parts(frame.iloc[order].reset_index(drop=True), split)
        assert (shuffled == parts[order]).all()
        assert split_hash(frame["file"].iloc[order], shuffled) == split_hash(frame["file"], parts)


@any_input
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_each_face_is_tested_in_one_fold(groups: list[int]):
    frame = faces(groups)
    tested = np.stack([assign_parts(frame, "kfold", fold=k) == "test" for k in range(FOLDS)])
    assert (tested.sum(0) == 1).all()


@any_input
@given(st.lists(st.integers(0, 20), min_size=1, max_size=40))
def test_photographs_are_counted_whole(groups: list[int]):
    frame = faces(groups)
    counts = frame["group_id"].value_counts()
    table = group_table(frame.rename(columns={"group_id": "photo_id"}))
    assert set(table["photo_id"]) == set(counts[counts > 1].index)


ages = st.floats(0, 120, width=32)
face = st.tuples(ages, st.integers(0, 1), ages, st.floats(-8, 8, width=32))


@any_input
@given(st.lists(face, min_size=1, max_size=30), st.integers(1, 29))
def test_metrics_are_numpys_however_faces_come_in_batches(several, cut: int):
    age, gender, age_pred, logit = (torch.tensor(column) for column in zip(*several, strict=True))
    metric = FaceMetrics()
    for part in (slice(None, cut), slice(cut, None)):
        n = len(age[part])
        if n:
            metric.update(
                Outputs(age_pred[part], logit[part], age_pred[part, None]),
                Batch(torch.zeros(n), age[part], gender[part].float(), torch.arange(n)),
                torch.ones(3),
            )
    told = {name: float(value) for name, value in metric.compute().items()}
    off = np.abs(age.double().numpy() - age_pred.double().numpy())
    assert told["age_mae"] == pytest.approx(off.mean(), rel=1e-4, abs=1e-5)
    assert told["age_rmse"] == pytest.approx(math.sqrt((off**2).mean()), rel=1e-4, abs=1e-4)
    assert told["age_mae"] <= told["age_rmse"] + 1e-4
    assert abs(told["age_cs5"] - (off <= 5).mean()) <= (np.abs(off - 5) < 1e-4).mean() + 1e-6
    assert told["loss"] == pytest.approx(1)
    right = (logit.numpy() > 0) == (gender.numpy() == 1)
    assert abs(told["gender_acc"] - right.mean()) <= (np.abs(logit.numpy()) < 1e-6).mean() + 1e-6


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
)  # fmt: skip


@pytest.fixture(scope="module")
def config():
    return composed("data=synthetic", "output_dir=x")


@any_input
@given(st.sampled_from(["optimizer", "loss", "model.backbone", "data", "trainer"]), st.text(
    "abcdefghij_", min_size=1, max_size=12), values)  # fmt: skip
def test_a_key_that_nothing_takes_is_told_by_its_path(config, where: str, key: str, value):
    OmegaConf.set_struct(config, False)
    changed = config.copy()
    node = OmegaConf.select(changed, where)
    known = key in node or key.startswith("_")
    if isinstance(value, str) and "$" in value:
        value = "x"
    node[key] = value
    refused = said(lambda: check_config(changed))
    assert known if refused is None else f"{where}.{key}" in refused


@any_input
@given(st.text(max_size=30))
def test_no_target_beyond_the_allowed_is_built(target: str):
    node = OmegaConf.create({"a": {"_target_": target.replace("$", "")}})
    with pytest.raises(InputError, match=r"a\._target_="):
        check_config(node)


@any_input
@given(st.text(max_size=10), st.lists(st.text(max_size=10), max_size=5))
def test_what_is_meant_is_a_known_word(word: str, known: list[str]):
    hint = did_you_mean(word, known)
    assert hint == "" or any(hint == f"; did you mean {name!r}?" for name in known)
