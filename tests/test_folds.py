"""Five folds trained by a real multirun, gathered by the real script."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from agegender.errors import InputError
from agegender.folds import gather

from .conftest import SMALL, run_here, run_script


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kfold")
    words = [*SMALL, "trainer.max_epochs=1", "data.split=kfold", "data.fold=0,1,2,3,4"]
    status, said = run_here("train", "-m", *words, f"hydra.sweep.dir={folder}")
    assert status == 0, said
    return folder


def test_every_face_is_predicted_once_by_a_network_that_has_not_seen_it(sweep: Path):
    status, said = run_here("folds", str(sweep))
    assert status == 0, said
    assert "mean ± sd of 5 folds" in said
    table = pd.read_csv(sweep / "out_of_fold.csv")
    assert len(table) == table["file"].nunique() == 160
    for fold, mine in table.groupby("fold"):
        run = pd.read_csv(sweep / f"data.fold-{fold}" / "split.csv")
        assert not set(mine["file"]) & set(run.loc[run["part"] == "train", "file"])
    # the pooled MAE, worked out by hand from what stands in the runs' own tables
    errors = pd.concat(
        [pd.read_csv(p).query("part == 'test'") for p in sweep.glob("*/predictions.csv")]
    ).eval("age_pred - age_years")
    pooled = said.splitlines()[6]
    assert f"{errors.abs().mean():.2f} y" in pooled
    folds = pd.read_csv(sweep / "folds.csv")
    assert folds["n"].sum() == 160
    assert folds["split_hash"].nunique() == 5


def test_folds_that_do_not_belong_together_are_refused(sweep: Path, tmp_path: Path):
    def spoilt(name: str, **changes: object) -> Path:
        folder = tmp_path / name
        shutil.copytree(sweep, folder, ignore=shutil.ignore_patterns("checkpoints", "f*"))
        path = folder / "data.fold-4/metrics.json"
        metrics = json.loads(path.read_text())
        metrics["run"].update(changes)
        path.write_text(json.dumps(metrics))
        return folder

    with pytest.raises(InputError, match=r"holds the folds \[0, 1, 2, 3, 3\]"):
        gather(spoilt("twice", fold=3))
    with pytest.raises(InputError, match="differ in max_epochs: 1, 2"):
        gather(spoilt("longer", max_epochs=2))
    gather(spoilt("stopped early", epochs=2))
    with pytest.raises(InputError, match="=holdout, not of kfold"):
        gather(spoilt("other", split="holdout"))
    with pytest.raises(InputError, match="holds no finished run"):
        gather(tmp_path)
    short = spoilt("short")
    shutil.rmtree(short / "data.fold-2")
    done = run_script("folds", str(short))
    assert done.returncode == 2
    assert "holds the folds [0, 1, 3, 4]: needed is each of 0 to 4" in done.stderr
    assert not (short / "folds.csv").exists()
