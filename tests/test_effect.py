import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.effect import copies_effect
from agegender.errors import InputError


def run(folder: Path, predicted: list[float], copied: list[bool], **changes: object) -> Path:
    about = {"name": "copies", "seed": 1, "epochs": 10, "precision": "32", "data_digest": "d"}
    about |= {"split_hash": folder.name, **changes}
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps({"run": about}))
    n = len(predicted)
    split = pd.DataFrame({"part": ["train"] * (7 + sum(copied)) + ["test"] * n})
    split.to_csv(folder / "split.csv")
    table = pd.DataFrame({"file": [f"{i}.jpg" for i in range(n)], "part": "test"})
    table = table.assign(group_id=table["file"], copy_in_train=copied, age_years=30.0, gender=1)
    table = table.assign(age_pred=predicted, p_female=np.linspace(0.2, 0.9, n))
    pd.concat([table, table.assign(part="val")]).to_csv(folder / "predictions.csv", index=False)
    return folder


def test_the_effect_is_that_of_the_copied_faces_alone(tmp_path: Path):
    given = run(tmp_path / "a", [31, 32, 40, 20], [True, True, False, False])
    removed = run(tmp_path / "b", [34, 26, 39, 30], [False] * 4)
    row = copies_effect(given, removed)
    assert (row["faces"], row["copied"]) == (4, 2)
    assert (row["train_given"], row["train_removed"]) == (9, 7)
    assert (row["copied_mae_given"], row["copied_mae_removed"]) == (1.5, 4.0)
    assert (row["other_mae_given"], row["other_mae_removed"]) == (10.0, 4.5)
    assert row["copied_mae_change"] == 2.5
    assert row["other_mae_change"] == -5.5
    assert row["change_low"] == 2.0
    assert row["change_high"] == 3.0
    assert row["other_acc_given"] == 1.0
    assert row["copied_acc_given"] == 0.0


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path):
    given = run(tmp_path / "a", [31, 32], [True, False])
    clean = run(tmp_path / "b", [31, 32], [False, False], seed=2)
    with pytest.raises(InputError, match="differ in seed"):
        copies_effect(given, clean)
    with pytest.raises(InputError, match="has to have copies"):
        copies_effect(given, given)
    fewer = run(tmp_path / "c", [31], [False])
    with pytest.raises(InputError, match="not tested on the same faces"):
        copies_effect(given, fewer)
