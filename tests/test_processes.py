"""One network trained by two processes, which talk over gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agegender.data.batches import Deal, ShuffledBatches

from .conftest import ROOT, SMALL, refusal, run_script

# nothing is random but the order of the faces
PLAIN = (*SMALL, "data.drawn=194", "augment=none", "model.dropout=0", "trainer.precision=32-true")
TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


def test_every_process_gets_an_equal_share_of_each_batch():
    whole = list(ShuffledBatches(50, 8, seed=3))
    shares = [list(ShuffledBatches(50, 4, 3, deal=Deal(rank, 2))) for rank in (0, 1)]
    assert len(shares[0]) == len(shares[1]) == len(whole) == 7
    assert len(ShuffledBatches(50, 4, 3, deal=Deal(0, 2))) == 7
    for batch, one, other in zip(whole, *shares, strict=True):
        assert len(one) == len(other)
        assert sorted([*one, *other]) == sorted(batch)
    odd = [np.concatenate(list(ShuffledBatches(51, 4, 3, deal=Deal(r, 2)))) for r in (0, 1)]
    assert len(odd[0]) == len(odd[1]) == 25, "one is left out, so that both end together"
    assert len(set(np.concatenate(odd))) == 50


@pytest.mark.parametrize(("n", "sizes"), [(8, [4, 4]), (9, [4, 5]), (10, [4, 4, 2]), (1, [1])])
def test_no_batch_is_a_single_face_if_there_are_others(n: int, sizes: list[int]):
    batches = ShuffledBatches(n, 4, seed=0)
    assert [len(batch) for batch in batches] == sizes
    assert len(batches) == len(sizes)
    assert sorted(np.concatenate(list(batches))) == list(range(n))
    cut = ShuffledBatches(n, 4, seed=0, done=lambda: len(sizes) - 1)
    assert [len(batch) for batch in cut] == sizes[-1:]


def test_two_processes_end_like_one_with_the_same_batches(tmp_path: Path):
    # an even number of faces is trained on, so that every batch can be shared out; of validation
    # and test an odd one, so that a share is larger than the other
    one, two = tmp_path / "one", tmp_path / "two"
    done = run_script("train", *PLAIN, "data.batch_size=16", f"output_dir={one}")
    assert done.returncode == 0, done.stderr
    done = run_script("train", *PLAIN, *TWO, "data.batch_size=8", "output_dir=two", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run folder:") == 1, "only one of them speaks"
    assert done.stdout.count("epoch 1 of 2") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (one, two)]
    for part in ("val", "test"):
        assert metrics[0][part]["n"] == metrics[1][part]["n"]
        assert metrics[0][part]["n"] % 2 == 1
        for name, value in metrics[0][part].items():
            assert metrics[1][part][name] == pytest.approx(value, rel=1e-3), (part, name)
    histories = [pd.read_csv(folder / "history.csv") for folder in (one, two)]
    same = ["epoch", "step", "images", "train/age_mae", "train/loss", "val/age_mae", "val/loss"]
    np.testing.assert_allclose(histories[0][same], histories[1][same], rtol=1e-3)
    tables = [pd.read_csv(folder / "predictions.csv") for folder in (one, two)]
    assert tables[1]["file"].is_unique
    assert list(tables[0]["file"]) == list(tables[1]["file"])
    np.testing.assert_allclose(tables[0]["age_pred"], tables[1]["age_pred"], atol=0.05)


@pytest.mark.slow
def test_torchrun_starts_the_processes_too(tmp_path: Path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += [str(ROOT / "scripts/train.py"), *PLAIN, *TWO]
    done = subprocess.run(
        [*command, "output_dir=run"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run folder:") == 1
    assert (tmp_path / "run/metrics.json").is_file()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "give output_dir=FOLDER: each process would name a folder of its own" in done.stderr


@pytest.mark.parametrize("lost", ["first", "second"])
def test_a_killed_process_ends_the_run_with_a_sentence(lost: str, tmp_path: Path):
    said = tmp_path / "said"
    words = [*PLAIN, *TWO, "data.batch_size=2", "trainer.max_epochs=500", "output_dir=run"]
    command = [sys.executable, str(ROOT / "scripts/train.py"), *words]
    with (
        said.open("w") as out,
        subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out) as first,
    ):
        for _ in range(1200):
            if (tmp_path / "run/checkpoints/last.ckpt").exists() or first.poll() is not None:
                break
            time.sleep(0.05)
        [second] = started_by(first.pid)
        os.kill(first.pid if lost == "first" else second, signal.SIGKILL)
        ended = time.monotonic()
        while alive(first) or Path(f"/proc/{second}").exists():
            assert time.monotonic() < ended + 60, "it hangs"
            time.sleep(0.1)
    assert "another process of this training has ended early" in said.read_text()
    assert "output_dir=" in said.read_text()
    assert "Traceback" not in said.read_text()
    assert first.returncode != 0
    assert (tmp_path / "run/checkpoints/last.ckpt").is_file()


def started_by(pid: int) -> list[int]:
    """The Python processes below one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if b"train.py" in Path(f"/proc/{c}/cmdline").read_bytes()]


def alive(process: "subprocess.Popen[bytes]") -> bool:
    return process.poll() is None


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path):
    from agegender.data.files import held

    with held(tmp_path / "run"):
        said = refusal("train", *SMALL, "output_dir=run", cwd=tmp_path)
    assert "run is in use by another process" in said
    with held(tmp_path / "run"):  # and free again
        pass
