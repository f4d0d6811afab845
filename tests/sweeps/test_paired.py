"""Trials with predictions by hand, so that differences and spreads are known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.errors import InputError
from agegender.sweeps.paired import paired
from agegender.sweeps.records import Trial

FACES = 200


def trial(sweep: Path, loss: str, seed: int, off: float, wrong: int, **choices: str) -> None:
    folder = sweep / f"loss-{loss}_seed-{seed}"
    folder.mkdir(parents=True)
    rows = pd.DataFrame({"file": [f"{k:03d}.jpg" for k in range(FACES)], "group_id": range(FACES)})
    rows = rows.assign(part="val", age_years=30.0, age_pred=30.0 + off, gender=1, p_female=0.9)
    rows.loc[: wrong - 1, "p_female"] = 0.1
    tests = rows.assign(part="test", age_pred=99.0)  # never looked at
    shuffled = pd.concat([rows, tests]).sample(frac=1, random_state=seed)
    shuffled.to_csv(folder / "predictions.csv", index=False)
    val = {"age_mae": off, "gender_acc": 1 - wrong / FACES}
    metrics = {"val": val, "run": {"cpu_minutes": 2.0 + seed, "monitored": off}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    told = {"loss": loss, "seed": str(seed), **choices}
    Trial(folder, f"{loss}{seed}", told, "train", "val/age_mae", "min", "finished").save()


def test_values_are_compared_over_their_seeds_on_validation_faces(tmp_path: Path):
    for seed, off in ((1, 5.0), (2, 7.0)):
        trial(tmp_path, "l1", seed, off, wrong=20)
    for seed, off in ((1, 4.0), (2, 5.0), (3, 6.0)):
        trial(tmp_path, "dldl", seed, off, wrong=10)
    table = paired(tmp_path, "loss", "l1").set_index("loss")
    assert table.index.tolist() == ["dldl", "l1"]
    ours = table.loc["dldl"]
    assert (ours["seeds"], ours["age_mae"], ours["age_mae_sd"]) == (3, 5.0, 1.0)
    # every face is a year better: no resample can say anything else
    assert ours[["age_mae_change", "age_mae_lo", "age_mae_hi"]].tolist() == [-1.0, -1.0, -1.0]
    assert ours["gender_acc"] == pytest.approx(0.95)
    assert ours["gender_acc_change"] == pytest.approx(0.05)
    # ten of 200 faces differ: the binomial's spread of their share, over two tails
    spread = 1.96 * np.sqrt(0.05 * 0.95 / FACES)
    assert ours["gender_acc_lo"] == pytest.approx(0.05 - spread, abs=0.01)
    assert ours["gender_acc_hi"] == pytest.approx(0.05 + spread, abs=0.01)
    assert ours["cpu_minutes"] == 4.0
    assert table.loc["l1", ["age_mae_change", "age_mae_lo", "gender_acc_hi"]].tolist() == [0, 0, 0]


def test_what_cannot_be_compared_is_refused(tmp_path: Path):
    trial(tmp_path, "l1", 1, 5.0, wrong=0)
    with pytest.raises(InputError, match="no finished trial with loss=dldl"):
        paired(tmp_path, "loss", "dldl")
    trial(tmp_path, "dldl", 1, 5.0, wrong=0, model="cnn")
    with pytest.raises(InputError, match="loss and seed alone may vary"):
        paired(tmp_path, "loss", "l1")


def test_other_faces_are_refused(tmp_path: Path):
    trial(tmp_path, "l1", 1, 5.0, wrong=0)
    trial(tmp_path, "dldl", 1, 5.0, wrong=0)
    file = tmp_path / "loss-dldl_seed-1/predictions.csv"
    file.write_text(file.read_text().replace("007.jpg", "other.jpg"))
    with pytest.raises(InputError, match="of other faces"):
        paired(tmp_path, "loss", "l1")
