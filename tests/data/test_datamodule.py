import os
from pathlib import Path

import numpy as np
import pytest
import torch

from agegender.data.batches import age_chances
from agegender.data.datamodule import FaceData


def test_training_batches_are_shuffled_anew_each_epoch_and_hold_each_face_once(cache_dir: Path):
    data = FaceData(drawn=160, image_size=48, seed=3)
    data.setup("fit")
    loader = data.train_dataloader()
    orders = []
    for epoch in (0, 1, 0):
        loader.sampler.set_epoch(epoch)
        orders.append(torch.cat([batch.row for batch in loader]).tolist())
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == data.rows("train").tolist() != orders[0]
    batch = next(iter(data.val_dataloader()))
    frame = data.frame.iloc[batch.row.numpy()]
    assert (batch.age.numpy() == frame["age_years"]).all()
    assert (batch.gender.numpy() == frame["gender"]).all()
    assert (batch.image.numpy() == data.pixels[batch.row.numpy()]).all()
    assert batch.image.dtype == torch.uint8
    assert batch.age.dtype == batch.gender.dtype == torch.float32


def test_rare_ages_are_drawn_more_often_where_asked():
    age = np.array([30.0] * 90 + [70.0] * 10)
    assert age_chances(age, 0) is None
    for balance, old in ((1.0, 0.5), (0.5, 10**0.5 / (10**0.5 + 90**0.5))):
        chances = age_chances(age, balance)
        assert chances.sum() == pytest.approx(1)
        assert chances[age == 70].sum() == pytest.approx(old)
    # ages at most two years apart are as frequent as all of them
    near = age_chances(np.array([0.0, 2.0, 50.0]), 1.0)
    assert near.tolist() == pytest.approx([0.25, 0.25, 0.5])

    data = FaceData(drawn=160, image_size=48, balance=1.0, seed=3)
    data.setup("fit")
    loader = data.train_dataloader()
    drawn = []
    for epoch in range(100):
        loader.sampler.set_epoch(epoch)
        drawn.append(np.concatenate([batch.row.numpy() for batch in loader]))
    rows = data.rows("train")
    assert {len(epoch) for epoch in drawn} == {len(rows)}
    assert (drawn[0] != drawn[1]).any()
    often = np.bincount(np.concatenate(drawn), minlength=rows.max() + 1)[rows] / (100 * len(rows))
    expected = age_chances(data.frame["age_years"].to_numpy()[rows], 1.0)
    assert np.corrcoef(often, expected)[0, 1] > 0.9


def test_batches_are_pinned_where_asked():
    for pinned in (False, True):
        data = FaceData(drawn=160, image_size=48, pin_memory=pinned)
        data.setup("fit")
        assert data.train_dataloader().pin_memory == pinned


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (dict(root="a", archive="b"), "exclude each other"),
        (dict(image_size=8), "not within 16 to 512"),
        (dict(batch_size=0), "not at least 1"),
        (dict(balance=2), "data.balance=2 is not within 0 to 1"),
        (dict(split="best"), "not one of holdout, kfold, random, notebook, coral, file"),
        (dict(channels=2), "neither 1 .grey. nor 3"),
    ],
)
def test_the_data_module_says_what_it_does_not_take(arguments, said):
    with pytest.raises(ValueError, match=said):
        FaceData(**arguments)


def test_different_data_is_said(utkface, cache_dir: Path, tmp_path: Path, caplog):
    for name in utkface.frame["file"][:60]:
        os.symlink(utkface.folder / name, tmp_path / name)
    data = FaceData(root=str(tmp_path), image_size=48)
    data.setup("fit")
    assert "this is not the public UTKFace release: 60 of 23708 files match" in caplog.text
    assert np.isclose(data.frame["age_years"].iloc[0], utkface.frame["age_years"].iloc[0])
