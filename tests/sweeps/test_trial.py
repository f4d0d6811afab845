"""Hydra multiruns, as a user starts, breaks, kills and continues them."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from agegender.errors import InputError, Pruned
from agegender.sweeps.records import read_trials
from agegender.sweeps.trial import attempt, folder_name, varied

from ..conftest import ROOT, SMALL, composed, run_here, run_script
from ..test_train import assert_same_run

PRESETS = sorted(path.stem for path in (ROOT / "conf/sweep").glob("*.yaml"))
QUICK = (*SMALL, "trainer.max_epochs=1")


def test_what_varies_is_what_was_given_several_values():
    words = ["model=cnn,resnet", "data.fold=range(0,3)", "seed=1", "optimizer.lr=1e-3"]
    assert varied(words, {"loss": "glob(*)", "seed": "1,2,3"}) == ["loss", "model", "data.fold"]
    assert varied(["data.archive='a,b.tar.gz'"], {}) == []


def test_folders_are_named_by_what_varies():
    assert folder_name({"model": "cnn", "optimizer.lr": "1e-3"}) == "model-cnn_optimizer.lr-1e-3"
    assert folder_name({"data.root": "/a b/c", "w": "[1,2]"}) == "data.root--a-b-c_w--1-2-"
    long = [folder_name({"data.root": "x" * 300 + end}) for end in "ab"]
    assert len(set(long)) == 2
    assert max(map(len, long)) <= 120


def test_a_failing_trial_is_recorded_and_the_others_go_on(tmp_path: Path):
    words = ("-m", *QUICK, "optimizer.lr=1e-3,-1,1e30", "seed=1,2", f"hydra.sweep.dir={tmp_path}")
    done = run_script("train", *words)
    assert done.returncode == 1, done.stderr
    assert "error: 4 trials failed" in done.stderr
    assert "Traceback" not in done.stderr
    found = {trial.folder.name: trial for trial in read_trials(tmp_path)}
    assert len(found) == 6
    for seed in (1, 2):
        good = found[f"optimizer.lr-0.001_seed-{seed}"]
        assert good.status == "finished"
        assert yaml.safe_load((good.folder / "config.yaml").read_text())["seed"] == seed
        assert "epoch 1 of 1" in (good.folder / "train.log").read_text()
        bad = found[f"optimizer.lr--1_seed-{seed}"]
        assert (bad.status, bad.reason) == ("failed", "Invalid learning rate: -1")
        assert "the train loss is" in found[f"optimizer.lr-1e+30_seed-{seed}"].reason
    assert "failed: optimizer.lr--1_seed-1: Invalid learning rate: -1" in done.stdout
    table = pd.read_csv(tmp_path / "trials.csv")
    assert table["status"].value_counts().to_dict() == {"failed": 4, "finished": 2}
    again = run_script("train", *words)
    assert again.returncode == 1
    assert again.stdout.count("finished already") == 2, "the failed ones are tried again"


def slow(name: object) -> object:
    return pytest.param(name, marks=pytest.mark.slow)


def heed_interrupts() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGKILL, slow(signal.SIGINT), slow(signal.SIGTERM)])
def test_a_sweep_that_was_cut_goes_on_where_it_was(how: signal.Signals, tmp_path: Path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    # enough steps an epoch to be caught in the middle of the second trial
    words = ["-m", *SMALL, "trainer.max_epochs=4", "data.batch_size=2", "seed=1,2,3"]
    assert run_script("train", *words, f"hydra.sweep.dir={whole}").returncode == 0
    command = [sys.executable, str(ROOT / "scripts/train.py"), *words, f"hydra.sweep.dir={cut}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, preexec_fn=heed_interrupts, **quiet) as process:
        waited_for = cut / "seed-2/checkpoints/last.ckpt"
        for _ in range(1200):
            if waited_for.exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(how)
    assert process.returncode == {signal.SIGKILL: -9}.get(how, 130)
    assert not (cut / "seed-2/metrics.json").exists()
    assert not (cut / "seed-3").exists(), "the next trial was begun"
    finished = (cut / "seed-1/metrics.json").stat().st_mtime_ns
    done = run_script("train", *words, f"hydra.sweep.dir={cut}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished already") == 1
    assert done.stdout.count("continuing from") == 1
    assert (cut / "seed-1/metrics.json").stat().st_mtime_ns == finished
    for seed in (1, 2, 3):
        assert_same_run(whole / f"seed-{seed}", cut / f"seed-{seed}")


def test_another_config_does_not_go_into_a_sweeps_folders(tmp_path: Path):
    words = ("-m", *QUICK, "seed=1,2", f"hydra.sweep.dir={tmp_path}")
    assert run_here("train", *words)[0] == 0
    before = (tmp_path / "seed-1/metrics.json").read_bytes()
    for _ in range(2):  # being refused leaves nothing behind that would change the next answer
        status, said = run_here("train", *words, "optimizer.lr=1e-4")
        assert status == 2
        assert "holds a trial of another config" in said
    assert (tmp_path / "seed-1/metrics.json").read_bytes() == before


def test_whatever_a_trial_does_the_sweep_goes_on_but_for_its_user(tmp_path: Path):
    def trial(error: BaseException) -> str:
        name = type(error).__name__
        # a trial is known by its config, so each gets one of its own
        cfg = composed(*SMALL, f"name={name}", f"output_dir={tmp_path}/{name}")

        def train(*_: object, **__: object) -> dict:
            raise error

        attempt(cfg, tmp_path, {}, "python scripts/train.py", train)
        [record] = Path(cfg.output_dir).glob("trial_*.json")
        found = json.loads(record.read_text())
        return f"{found['status']}: {found['reason']}"

    assert trial(InputError("a sentence")) == "failed: a sentence"
    assert trial(SystemExit(3)) == "failed: SystemExit: 3"  # a library's, say
    assert trial(MemoryError("full")) == "failed: MemoryError: full"
    with pytest.raises(KeyboardInterrupt):
        trial(KeyboardInterrupt())
    with pytest.raises(Pruned):
        trial(Pruned("hopeless"))


def test_nothing_is_left_of_a_trial(tmp_path: Path):
    def flags() -> tuple:
        return (
            torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(),
            torch.get_default_dtype(), torch.is_grad_enabled(),
            torch.get_float32_matmul_precision(),
        )  # fmt: skip

    words = ["-m", *QUICK, f"hydra.sweep.dir={tmp_path}"]
    assert run_here("train", *words, "seed=11,12")[0] == 0  # libraries are loaded, once
    before = flags()
    assert run_here("train", *words, "seed=13")[0] == 0
    assert flags() == before


@pytest.mark.slow
def test_ten_trials_need_no_more_memory_than_two(tmp_path: Path):
    done = run_script("train", "-m", *QUICK, "seed=range(1,11)", f"hydra.sweep.dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    used = [
        pd.read_csv(tmp_path / f"seed-{seed}/history.csv")["anonymous_mb"].max()
        for seed in range(1, 11)
    ]
    assert used[9] <= 1.1 * used[1], used


def test_more_than_one_device_a_trial_is_refused(tmp_path: Path):
    words = ("trainer=ddp", "trainer.accelerator=cpu", "seed=1,2", f"hydra.sweep.dir={tmp_path}")
    status, said = run_here("train", "-m", *QUICK, *words)
    assert status == 1
    assert (
        said.count("trials of a sweep take one device each, not 2") == 4
    )  # as told, and summed up


def test_all_presets_are_known():
    assert {"seeds", "lr_batch", "losses", "folds", "backbones", "search"} <= set(PRESETS)


@pytest.mark.parametrize(
    "preset",
    [
        slow(name) if name in ("losses", "folds", "ablation", "backbones") else name
        for name in PRESETS
        if not name.startswith("search")
    ],
)
def test_every_preset_runs_shrunk(preset: str, tmp_path: Path):
    words = [*QUICK, "seed=1", "data.batch_size=32", f"hydra.sweep.dir={tmp_path}"]
    status, said = run_here("train", f"sweep={preset}", *words)
    assert status == 0, said
    trials = read_trials(tmp_path)
    least = {"seeds": 1, "lr_batch": 3, "losses": 10, "folds": 5, "backbones": 6}
    least |= {"ablation": 10, "sizes": 1}
    assert len(trials) >= least[preset]
    assert all(trial.status == "finished" for trial in trials)
    if preset == "losses":
        names = {path.stem for path in (ROOT / "conf/loss").glob("*.yaml")}
        assert {trial.choices["loss"] for trial in trials} == names


@pytest.mark.parametrize("launcher", ["joblib", slow("submitit")])
def test_a_launcher_runs_trials_in_processes_of_their_own(
    launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # which tests set beside each other
    words = ("-m", *QUICK, f"launcher={launcher}", "seed=1,2", f"hydra.sweep.dir={tmp_path}")
    done = run_script("train", *words)
    assert done.returncode == 0, done.stderr
    for trial, seed in zip(read_trials(tmp_path), (1, 2), strict=True):
        assert trial.command.startswith("python scripts/train.py data=synthetic")
        metrics = json.loads((tmp_path / f"seed-{seed}/metrics.json").read_text())
        assert metrics["run"]["seed"] == seed
        assert metrics["run"]["threads"] == 1, "two at once share two cores"
    assert (tmp_path / "trials.csv").is_file()
    broken = run_script("train", *words, "optimizer.lr=-1", f"hydra.sweep.dir={tmp_path}/broken")
    assert broken.returncode == 1
    assert "error: 2 trials failed" in broken.stderr


def test_the_slurm_launcher_is_submitits(tmp_path: Path):
    said = run_here("train", *QUICK, "launcher=slurm", "--cfg", "hydra", "-p", "hydra.launcher")[1]
    node = yaml.safe_load(said)
    assert node["_target_"].endswith("submitit_launcher.submitit_launcher.SlurmLauncher")
    assert node["mem_gb"] == 8
