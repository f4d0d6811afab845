"""A run from its config to its folder, on drawn portraits."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agegender import checkpoint, intervals
from agegender.errors import InputError, TrainingDiverged
from agegender.evaluate import evaluate
from agegender.module import step_seed
from agegender.train import build_module, fit

from .conftest import ROOT, SMALL, composed, run_here, run_script

# all that is random or has a state is on, so that continuing has something to get wrong
CONTINUED = (
    *SMALL, "augment=strong", "augment.mixup=0.2", "augment.start_size=32", "data.balance=0.5",
    "model=resnet", "model.backbone.width=8", "model.dropout=0.3", "scheduler=onecycle",
    "weighting=uncertainty", "callbacks=ema", "seed=7",
)  # fmt: skip
PARTS = {"train", "val", "test"}


def small_run(folder: Path, *more: str) -> dict:
    return fit(composed(*SMALL, f"output_dir={folder}", *more))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    small_run(folder, "report=true")
    return folder


def scores_of(folder: Path) -> dict:
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["run"]
    return metrics


def weights_of(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    path = folder / "checkpoints" / f"{name}.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def assert_same_run(one: Path, other: Path) -> None:
    assert scores_of(one) == scores_of(other)
    first, second = weights_of(one), weights_of(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    histories = [pd.read_csv(folder / "history.csv") for folder in (one, other)]
    costs = ["since_start", "seconds", "train_seconds", "cpu_seconds", "anonymous_mb"]
    pd.testing.assert_frame_equal(*(table.drop(columns=costs) for table in histories))


def test_the_run_folder_is_complete(run: Path):
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "config.yaml", "split.csv", "rejects.csv", "history.csv", "predictions.csv",
        "metrics.json", "checkpoints", "tensorboard", "figures", "report.html", "report",
    }  # fmt: skip
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    for name in ("curves", "age", "gender", "faces", "worst_age"):
        with Image.open(run / "figures" / f"{name}.png") as picture:
            width, height = picture.size
        assert width > 400
        assert height > 400


def test_metrics_say_what_was_measured_on_what(run: Path):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics.keys() == {"val", "test", "baseline", "val_last", "run"}
    table = pd.read_csv(run / "predictions.csv")
    for part in ("val", "test"):
        rows = table[table["part"] == part]
        assert metrics[part]["n"] == len(rows) > 5
        error = (rows["age_pred"] - rows["age_years"]).abs()
        assert metrics[part]["age_mae"] == pytest.approx(error.mean(), abs=1e-5)
        assert metrics[part]["age_cs5"] == pytest.approx((error <= 5).mean())
        right = (rows["p_female"] > 0.5) == (rows["gender"] == 1)
        assert metrics[part]["gender_acc"] == pytest.approx(right.mean())
        assert metrics["baseline"][part]["n"] == len(rows)
    about = metrics["run"]
    assert about["epochs"] == 2
    assert about["val_copies_in_train"] == about["test_copies_in_train"] == 0
    for name in ("commit", "data_digest", "split_hash", "cpu", "torch", "lightning", "command"):
        assert about[name], name
    for name in ("wall_minutes", "cpu_minutes", "images_per_s", "peak_rss_mb"):
        assert about[name] > 0, name


def test_best_is_the_best_epoch_and_last_the_last(run: Path):
    metrics = json.loads((run / "metrics.json").read_text())
    history = pd.read_csv(run / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    best = history["val/age_mae"].min()
    assert metrics["val"]["age_mae"] == pytest.approx(best, abs=1e-3)
    assert metrics["run"]["best_epoch"] == history["val/age_mae"].argmin() + 1
    assert metrics["val_last"]["age_mae"] == pytest.approx(history["val/age_mae"].iloc[-1])
    epochs = {
        name: torch.load(run / f"checkpoints/{name}.ckpt", weights_only=True)["epoch"]
        for name in ("best", "last")
    }
    assert epochs == {"best": history["val/age_mae"].argmin(), "last": 1}


def test_predictions_and_split_name_every_face_once(run: Path):
    split = pd.read_csv(run / "split.csv")
    assert split.columns.tolist() == ["file", "part", "group_id"]
    assert split["file"].is_unique
    assert set(split["part"]) == PARTS
    predictions = pd.read_csv(run / "predictions.csv")
    assert predictions.columns.tolist() == [
        "file", "part", "group_id", "copy_in_train", "age_years", "age_pred", "age_sd", "age_lo",
        "age_hi", "gender", "p_female", "race",
    ]  # fmt: skip
    scored = split[split["part"] != "train"]
    merged = predictions.merge(scored, on=["file", "part", "group_id"], how="outer", indicator=True)
    assert (merged["_merge"] == "both").all()
    labels = predictions["file"].str.split("_", expand=True)
    assert (labels[0].astype(float) == predictions["age_years"]).all()
    assert (labels[1].astype(int) == predictions["gender"]).all()


def test_tensorboard_shows_scalars_figures_and_hyperparameters(run: Path):
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    tags = events.Tags()
    metrics = ("age_mae", "age_rmse", "age_cs5", "gender_acc", "gender_auroc")
    losses = ("loss", "age_loss", "gender_loss")
    for part in ("train", "val"):
        for name in (*metrics, *losses):
            assert len(events.Scalars(f"{part}/{name}")) == 2, f"{part}/{name}"
    for name in metrics:
        assert len(events.Scalars(f"test/{name}")) == 1
    assert set(tags["images"]) >= {
        f"figures/{name}" for name in ("curves", "age", "gender", "faces", "worst_age")
    }
    drawn = {f"report/{path.stem}" for path in (run / "report").glob("*.png")}
    assert len(drawn) > 10
    assert set(tags["images"]) >= drawn
    [result] = events.Tensors("result/text_summary")
    assert b"test, trivial guess" in result.tensor_proto.string_val[0]
    final = json.loads((run / "metrics.json").read_text())
    assert events.Scalars("hp/test/age_mae")[-1].value == pytest.approx(final["test"]["age_mae"])
    assert "_hparams_/session_start_info" in events.summary_metadata
    assert any(tag.startswith("lr-") for tag in tags["scalars"])


def test_two_runs_with_one_seed_are_identical_and_another_seed_is_not(run: Path, tmp_path: Path):
    small_run(tmp_path / "again")
    assert_same_run(run, tmp_path / "again")
    small_run(tmp_path / "other", "seed=2")
    assert scores_of(tmp_path / "other") != scores_of(run)


def test_the_second_job_of_a_multirun_equals_the_same_job_alone(run: Path, tmp_path: Path):
    words = ["-m", *SMALL, "seed=2,1", f"hydra.sweep.dir={tmp_path}"]  # the fixture's seed is 1
    status, said = run_here("train", *words)
    assert status == 0, said
    assert_same_run(run, tmp_path / "seed-1")
    assert scores_of(tmp_path / "seed-2") != scores_of(run)


def test_a_run_folder_is_enough_to_repeat_it(run: Path, tmp_path: Path):
    new = tmp_path / "new"
    done = run_script(
        "train", "--config-dir", str(run), "--config-name", "config", f"output_dir={new}"
    )
    assert done.returncode == 0, done.stderr
    assert_same_run(run, new)
    assert (new / "config.yaml").read_text() == (run / "config.yaml").read_text()


def test_a_killed_run_continues_to_the_very_same_end(tmp_path: Path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    words = [*CONTINUED, "trainer.max_epochs=5"]
    assert run_script("train", *words, f"output_dir={whole}").returncode == 0
    command = [sys.executable, str(ROOT / "scripts/train.py"), *words, f"output_dir={cut}"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 300
        while not (cut / "checkpoints/last.ckpt").exists() or _rows(cut) < 2:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (cut / "metrics.json").exists()
    assert _rows(cut) < 5
    done = run_script("train", *words, f"output_dir={cut}", "ckpt_path=last")
    assert done.returncode == 0, done.stderr
    assert "continuing from" in done.stdout + done.stderr
    assert_same_run(whole, cut)


def _rows(folder: Path) -> int:
    path = folder / "history.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def test_a_new_run_does_not_mix_with_an_old_one(run: Path):
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != ".lock"}

    before = files()
    with pytest.raises(InputError, match="already holds a run: continue it with ckpt_path=last"):
        small_run(run)
    for word in ("model.hidden=8", "optimizer.lr=1e-2", "augment=none", "seed=2"):
        name = word.partition("=")[0].partition(".")[0]
        with pytest.raises(InputError, match=f"started with another {name}"):
            small_run(run, "ckpt_path=last", word)
    with pytest.raises(InputError, match=r"data\.batch_size=8: it was started with 32"):
        small_run(run, "ckpt_path=last", "data.batch_size=8")
    for step in ("+trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=1"):
        name = step.strip("+").partition("=")[0]
        with pytest.raises(InputError, match=f"{name}=[0-9.]+: it was started with"):
            small_run(run, "ckpt_path=last", step)
    assert before == files()


def test_a_moved_run_still_knows_its_best_epoch(tmp_path: Path):
    # nothing is learned, so no later epoch is better than the first
    still = ("optimizer.lr=1e-30", "model.dropout=0")
    small_run(tmp_path / "old", *still, "trainer.max_epochs=1")
    shutil.move(tmp_path / "old", tmp_path / "new")
    metrics = small_run(tmp_path / "new", *still, "trainer.max_epochs=3", "ckpt_path=last")
    assert metrics["run"]["best_epoch"] == 1
    best = torch.load(tmp_path / "new/checkpoints/best.ckpt", weights_only=True)
    assert best["epoch"] == 0


def test_a_run_continued_in_another_folder_takes_its_best_epoch_along(tmp_path: Path):
    still = ("optimizer.lr=1e-30", "model.dropout=0")
    small_run(tmp_path / "old", *still, "trainer.max_epochs=1")
    on = (*still, "trainer.max_epochs=2", f"ckpt_path={tmp_path}/old/checkpoints/last.ckpt")
    assert small_run(tmp_path / "new", *on)["run"]["best_epoch"] == 1
    assert checkpoint.read(tmp_path / "new/checkpoints/best.ckpt")["epoch"] == 0
    (tmp_path / "old/checkpoints/best.ckpt").unlink()
    small_run(tmp_path / "newer", *on)
    assert checkpoint.read(tmp_path / "newer/checkpoints/best.ckpt")["epoch"] == 1


def test_the_best_checkpoint_is_calibrated_and_can_still_be_continued(tmp_path: Path):
    words = ("callbacks=ema", "loss=dldl", "trainer.max_epochs=1")
    small_run(tmp_path / "run", *words)
    best, last = (
        torch.load(tmp_path / f"run/checkpoints/{name}.ckpt", weights_only=True)
        for name in ("best", "last")
    )
    calibration = best["agegender"].pop("calibration")
    val = pd.read_csv(tmp_path / "run/predictions.csv").query("part == 'val'")
    assert calibration == intervals.calibrate(val)
    assert best.keys() == last.keys()
    assert best["current_model_state"].keys() == last["current_model_state"].keys()
    assert best["callbacks"].keys() == last["callbacks"].keys()
    words = ("callbacks=ema", "loss=dldl", "trainer.max_epochs=2")
    path = tmp_path / "run/checkpoints/best.ckpt"
    small_run(tmp_path / "more", *words, f"ckpt_path={path}")
    other = tmp_path / "run/checkpoints/last.ckpt"
    content = checkpoint.read(other)
    content["callbacks"]["History"]["commits"] = ["0123456789ab"]  # as if other code had begun it
    checkpoint.save(content, other)
    small_run(tmp_path / "run", *words, "ckpt_path=last")
    assert_same_run(tmp_path / "run", tmp_path / "more")
    for name, began in (("run", ["0123456789ab"]), ("more", [])):
        about = json.loads((tmp_path / name / "metrics.json").read_text())["run"]
        assert about["commits"] == [*began, about["commit"]]


def test_a_calibration_that_cannot_be_written_leaves_the_checkpoint_as_it_was(
    run: Path, tmp_path: Path
):
    path = tmp_path / "best.ckpt"
    shutil.copy(run / "checkpoints/best.ckpt", path)
    before = path.read_bytes()
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        checkpoint.keep_calibration(path, {"n": lambda: 0})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["best.ckpt"]


def test_continuing_with_other_data_is_refused(run: Path):
    with pytest.raises(InputError, match="cannot be continued: its data_digest was"):
        small_run(run, "data.drawn=120", "trainer.max_epochs=3",
                  f"ckpt_path={run}/checkpoints/last.ckpt")  # fmt: skip


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_checkpoint(tmp_path: Path):
    small_run(tmp_path, "trainer.max_epochs=1")
    before = (tmp_path / "checkpoints/last.ckpt").read_bytes()
    content = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    content["state_dict"]["net.age_head.out.bias"].fill_(torch.inf)
    broken = tmp_path / "broken.ckpt"
    checkpoint.save(content, broken)
    cfg = composed(*SMALL, f"output_dir={tmp_path}", f"ckpt_path={broken}", "trainer.max_epochs=3")
    with pytest.raises(TrainingDiverged, match=r"the train loss is inf at epoch 2, step 1 "):
        fit(cfg)
    assert (tmp_path / "checkpoints/last.ckpt").read_bytes() == before
    done = run_script("train", *SMALL, "weighting.age=1e38", f"output_dir={tmp_path / 'new'}")
    assert done.returncode == 1
    assert "error: the train loss is inf at epoch 1, step 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_average_of_the_weights_is_validated_kept_and_tested(tmp_path: Path):
    words = ("callbacks=ema", "callbacks.ema.decay=0.9", "loss=dldl", "flip_average=true")
    metrics = small_run(tmp_path / "run", *words, "trainer.max_epochs=1")
    path = tmp_path / "run/checkpoints/best.ckpt"
    content = torch.load(path, weights_only=True)
    averaged, raw = content["state_dict"], content["current_model_state"]
    assert any(not torch.equal(averaged[name], raw[name]) for name in averaged)
    for part in ("val", "test"):
        said = [f"checkpoint={path}", f"part={part}", f"output_dir={tmp_path / part}"]
        again = evaluate(composed(*said, "report=false", name="evaluate"))
        assert again[part] == metrics[part]
        assert again["run"]["flip_average"]
    one_side = evaluate(composed(
        f"checkpoint={path}", "part=val", f"output_dir={tmp_path / 'one'}", "flip_average=false",
        "report=false", name="evaluate",
    ))  # fmt: skip
    # validated, while training, as it was kept; by the loss, since ages hardly differ so early
    assert one_side["val"]["age_mae"] == pytest.approx(metrics["val_last"]["age_mae"], abs=1e-3)
    assert one_side["val"]["age_mae"] != metrics["val"]["age_mae"]
    predictions = pd.read_csv(tmp_path / "run/predictions.csv")
    assert (predictions["age_sd"] > 1).all()
    with pytest.raises(InputError, match="started with another ema"):
        small_run(tmp_path / "run", *words[2:], "ckpt_path=last", "trainer.max_epochs=2")


@pytest.mark.parametrize(("decay", "kept"), [(0.999, 2 / 11), (0.1, 0.1)])
def test_the_average_is_the_formula_s(decay: float, kept: float, tmp_path: Path):
    # the first is the weights themselves; after one step the decay is 2 / 11 at most, and with
    # 0.1 asked for, 0.1
    words = ("augment=none", "callbacks=ema", f"callbacks.ema.decay={decay}", "data.batch_size=64")
    expected = None
    for steps in (1, 2):
        limit = f"+trainer.limit_train_batches={steps}"
        folder = tmp_path / str(steps)
        small_run(folder, *words, limit, "trainer.max_epochs=1")
        content = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
        raw = content["current_model_state"]["net.age_head.out.weight"]
        expected = raw if expected is None else kept * expected + (1 - kept) * raw
        found = content["state_dict"]["net.age_head.out.weight"]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_gradients_are_clipped_where_asked(tmp_path: Path):
    # what Adam does hangs on no gradient's length, but on their changes: the runs differ
    figures = [
        small_run(tmp_path / str(norm), f"trainer.gradient_clip_val={norm}")["val"]["age_mae"]
        for norm in ("null", 1e9, 1e-3)
    ]
    assert figures[0] == figures[1] != figures[2]


def test_early_stopping_is_an_option(tmp_path: Path):
    metrics = small_run(
        tmp_path, "callbacks=early_stopping", "callbacks.early_stopping.patience=1",
        "trainer.max_epochs=9", "optimizer.lr=1e-30",
    )  # fmt: skip
    assert metrics["run"]["epochs"] == 2
    assert metrics["run"]["max_epochs"] == 9
    (tmp_path / "metrics.json").unlink()  # as if it had been cut off while it was scored
    words = ("callbacks=early_stopping", "callbacks.early_stopping.patience=1")
    again = small_run(
        tmp_path, *words, "trainer.max_epochs=9", "optimizer.lr=1e-30", "ckpt_path=last"
    )
    assert again["run"]["epochs"] == 2, "what had stopped early stays so"
    assert again["test"] == metrics["test"]


def test_a_run_whose_images_grow_cannot_be_made_longer(tmp_path: Path):
    words = (
        "model=resnet", "model.backbone.width=8", "augment=strong", "augment.start_size=32",
        "data.channels=3",
    )  # fmt: skip
    small_run(tmp_path, *words, "trainer.max_epochs=1")
    with pytest.raises(InputError, match="its images' growth, was planned for 1 epochs"):
        small_run(tmp_path, *words, "trainer.max_epochs=2", "ckpt_path=last")
    with pytest.raises(InputError, match="max_epochs: give a number"):
        small_run(tmp_path / "endless", "trainer.max_epochs=-1")


EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml"))
assert len(EXPERIMENTS) >= 2


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_shrunk(name: str, tmp_path: Path):
    header = (ROOT / f"conf/experiment/{name}.yaml").read_text()
    assert f"python scripts/train.py experiment={name}" in header
    assert "Expected:" in header
    words = [*SMALL, "trainer.max_epochs=1", f"output_dir={tmp_path}"]
    if name.startswith("best"):  # and the split of best_coral is a table of real faces
        words += ["data.split=random", "augment.start_size=32"]
    metrics = fit(composed(f"experiment={name}", *words))
    assert metrics["run"]["name"] == name
    assert metrics["val"]["n"] > 5


def test_a_step_s_randomness_hangs_on_seed_epoch_and_step():
    seeds = {step_seed(s, e, k) for s in range(3) for e in range(5) for k in range(50)}
    assert len(seeds) == 750
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_clock_of_a_run_starts_with_its_process(tmp_path: Path):
    began = time.monotonic()
    done = run_script("train", *SMALL, f"output_dir={tmp_path}", "data.split=notebook")
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    history = pd.read_csv(tmp_path / "history.csv")
    first, last = history["since_start"]
    assert history["seconds"].iloc[0] + 1 < first < last < took  # importing alone takes longer
    assert last - first >= history["seconds"].iloc[1] * 0.9
    about = json.loads((tmp_path / "metrics.json").read_text())["run"]
    assert about["seconds_to_notebook"] is None  # nobody gets there with two epochs on drawings


@pytest.mark.parametrize(("accuracy", "epochs"), [(0.0, 1), (1.1, 2)])
def test_a_run_ends_when_it_is_as_good_as_asked(accuracy: float, epochs: int, tmp_path: Path):
    bars = ("callbacks.until.age_mae=100", f"callbacks.until.gender_acc={accuracy}")
    metrics = small_run(tmp_path, "callbacks=until", *bars)
    assert metrics["run"]["epochs"] == epochs


def test_layout_and_compiling_leave_the_network_as_it_is():
    images = torch.rand(4, 1, 48, 48)
    outputs, names = [], []
    for words in ("channels_last=true", "channels_last=false", "compile=true"):
        torch.manual_seed(0)
        module = build_module(composed(*SMALL, words, "output_dir=out")).eval()
        weights = next(p for p in module.net.parameters() if p.ndim == 4 and p.shape[1] > 1)
        last = weights.is_contiguous(memory_format=torch.channels_last)
        assert last == (words != "channels_last=false")
        names.append(list(module.state_dict()))
        if words != "compile=true":  # compiling takes longer than all the rest
            outputs.append(module(images).age)
    torch.testing.assert_close(*outputs)
    assert names[0] == names[1] == names[2]
    assert module.net._compiled_call_impl is not None


def test_a_callback_or_logger_can_be_set_to_null(tmp_path: Path):
    off = ("callbacks.progress=null", "callbacks.learning_rate=null", "logger.tensorboard=null")
    small_run(tmp_path / "run", *off)
    assert (tmp_path / "run/metrics.json").is_file()
    assert not (tmp_path / "run/tensorboard").exists()
