import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from agegender.metrics import FaceMetrics
from agegender.report import auroc, baseline, part_metrics, seconds_to
from agegender.types import Batch, Outputs


def predictions(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.integers(1, 100, n).astype(float)
    gender = rng.integers(0, 2, n)
    return pd.DataFrame(
        {
            "age_years": age,
            "age_pred": age + rng.normal(0, 6, n),
            "gender": gender,
            # few values, so that there are ties
            "p_female": (0.3 * gender + 0.7 * rng.random(n)).round(1),
        }
    )


def test_hand_worked_example():
    table = pd.DataFrame(
        {
            "age_years": [10, 20, 30, 40],
            "age_pred": [11, 17, 36, 35],  # errors 1, -3, 6, -5
            "gender": [0, 1, 1, 0],
            "p_female": [0.2, 0.9, 0.4, 0.4],
        }
    )
    assert part_metrics(table) == {
        "age_mae": 15 / 4,
        "age_rmse": (71 / 4) ** 0.5,
        "age_cs5": 3 / 4,
        "gender_acc": 3 / 4,
        "gender_auroc": 3.5 / 4,  # of the four pairs three are in order and one is tied
        "n": 4,
    }


def test_auroc_is_the_share_of_ordered_pairs():
    table = predictions(60, 0)
    female = table["gender"] == 1
    pairs = itertools.product(table["p_female"][female], table["p_female"][~female])
    expected = np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs])
    assert auroc(table["p_female"].to_numpy(), female.to_numpy()) == pytest.approx(expected)
    assert np.isnan(auroc(np.ones(3), np.ones(3, bool)))


def test_what_lightning_logs_is_what_the_report_says():
    table = predictions(333, 1)
    metrics = FaceMetrics()
    for rows in np.array_split(np.arange(len(table)), 7):
        part = table.iloc[rows]
        age, gender, age_pred, p = (
            torch.tensor(part[name].to_numpy(), dtype=torch.float32)
            for name in ("age_years", "gender", "age_pred", "p_female")
        )
        batch = Batch(torch.empty(0), age, gender, torch.tensor(rows))
        outputs = Outputs(age_pred, torch.logit(p, eps=1e-6), age_pred[:, None])
        metrics.update(outputs, batch, torch.stack([age.mean(), gender.mean(), p.mean()]))
    logged = {name: value.item() for name, value in metrics.compute().items()}
    said = part_metrics(table)
    assert said.pop("n") == 333
    # the mean over faces, though the batches are not of one size
    said |= {
        "loss": table["age_years"].mean(),
        "age_loss": table["gender"].mean(),
        "gender_loss": table["p_female"].mean(),
    }
    # a probability of one half is a tie that float32's sigmoid may break
    ties = (table["p_female"] == 0.5).mean()
    assert logged.pop("gender_acc") == pytest.approx(said.pop("gender_acc"), abs=ties + 1e-6)
    assert logged == pytest.approx(said, rel=1e-4)
    assert metrics.last.row.tolist() == list(range(333))
    metrics.reset()
    metrics.update(Outputs(age_pred, p, age_pred[:, None]), batch, torch.zeros(3))
    metrics.compute()
    assert len(metrics.last.row) == len(rows), "nothing is left of the epoch before"


def measured(age, age_pred, gender, p_female, sd=None, rows=None) -> FaceMetrics:
    """Metrics of one batch."""
    age, age_pred, gender, p = (torch.tensor(v).float() for v in (age, age_pred, gender, p_female))
    rows = torch.arange(len(age)) if rows is None else torch.tensor(rows)
    metrics = FaceMetrics()
    outputs = Outputs(age_pred, torch.logit(p), age_pred[:, None], sd)
    metrics.update(outputs, Batch(torch.empty(0), age, gender, rows), torch.tensor([3.0, 2, 1]))
    return metrics


def test_hand_worked_example_as_lightning_logs_it():
    # errors 1, -3, 6, -5; of the four pairs of a woman and a man three are in order, one is tied
    metrics = measured([10, 20, 30, 40], [11, 17, 36, 35], [0, 1, 1, 0], [0.2, 0.9, 0.4, 0.4])
    found = {name: value.item() for name, value in metrics.compute().items()}
    assert found == pytest.approx(
        {
            "age_mae": 15 / 4, "age_rmse": (71 / 4) ** 0.5, "age_cs5": 3 / 4, "gender_acc": 3 / 4,
            "gender_auroc": 3.5 / 4, "loss": 3, "age_loss": 2, "gender_loss": 1,
        }
    )  # fmt: skip


def test_five_years_off_count_for_cs5_and_more_do_not():
    metrics = measured([50, 50, 50, 50], [45, 55, 44.9, 55.1], [0, 1, 0, 1], [0.1, 0.9, 0.1, 0.9])
    assert metrics.compute()["age_cs5"] == 0.5


def test_what_was_said_of_each_face_is_kept_as_it_was():
    rows = [2**40 + 1, 7]  # above what float32 can tell apart
    metrics = measured([1, 2], [3.5, 4.5], [0, 1], [0.25, 0.75], torch.tensor([1.5, 2.5]), rows)
    metrics.compute()
    assert metrics.last.row.tolist() == rows
    assert metrics.last.age_pred.tolist() == [3.5, 4.5]
    assert metrics.last.age_sd.tolist() == [1.5, 2.5]
    assert metrics.last.p_female.tolist() == pytest.approx([0.25, 0.75])
    without = measured([1, 2], [3.5, 4.5], [0, 1], [0.25, 0.75])
    without.compute()
    assert without.last.age_sd.isnan().all(), "an age loss without a distribution"


def test_metrics_keep_no_graph():
    metrics = FaceMetrics()
    age = torch.ones(2, requires_grad=True)
    outputs = Outputs(2 * age, 3 * age, age[:, None], 4 * age)
    losses = torch.stack([age.sum()] * 3)
    metrics.update(outputs, Batch(age, torch.ones(2), torch.ones(2), torch.arange(2)), losses)
    assert not any(value.requires_grad for value in metrics.metric_state.values())


@pytest.mark.parametrize("gender", [0, 1])
def test_one_gender_alone_has_no_auroc(gender: int):
    found = measured([30, 40], [31, 42], [gender] * 2, [0.9, 0.8]).compute()
    assert found["gender_auroc"].isnan()
    assert found["gender_acc"] == gender


@pytest.mark.parametrize("gender", [[1, 0, 0], [0, 1, 1]])
def test_one_face_of_a_gender_is_enough_for_auroc(gender: list[int]):
    p_female = [0.9 if g else 0.2 for g in gender]
    assert measured([3, 4, 5], [3, 4, 5], gender, p_female).compute()["gender_auroc"] == 1


def test_baseline_says_the_median_and_the_majority_of_train():
    train = pd.DataFrame({"age_years": [20.0, 30, 70], "gender": [1, 1, 0]})
    part = pd.DataFrame({"age_years": [30.0, 40, 10], "gender": [1, 0, 0]})
    found = baseline(train, part)
    assert found["age_mae"] == 10  # |0| + |10| + |20| over 3
    assert found["gender_acc"] == 1 / 3


GROWTH = """
import torch
from agegender.callbacks import anonymous_mb
from agegender.metrics import FaceMetrics
from agegender.models.cnn import CNN
from agegender.types import Batch, Outputs

net, scores = CNN(), FaceMetrics()
images = torch.rand(32, 1, 128, 128)
sizes = []
with torch.no_grad():
    for step in range(16):
        age = net(images).float().mean(1)
        batch = Batch(images, torch.ones(32), torch.ones(32), torch.arange(32))
        scores.update(Outputs(age, age.clone(), age.clone()), batch, torch.zeros(3))
        sizes.append(anonymous_mb())
print(sizes[-1] - sizes[5])
"""


def test_what_is_kept_of_each_step_does_not_cut_the_heap_in_pieces():
    done = subprocess.run([sys.executable, "-c", GROWTH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 80, "MB more after 10 steps"


def test_a_bar_is_met_by_the_first_epoch_that_is_good_in_both():
    history = pd.DataFrame(
        {
            "val/age_mae": [6.0, 7.0, 6.4, 6.0],
            "val/gender_acc": [0.8, 0.95, 0.9, 0.9],
            "since_start": [10.0, 20.0, 30.0, 40.0],
        }
    )
    assert seconds_to(history, 6.4, 0.9) == 30.0
    assert seconds_to(history, 5.0, 0.9) is None
