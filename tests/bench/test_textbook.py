"""The fast path changes nothing: plain files in a plain loop are the reference."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from agegender.bench.loops import Loop
from agegender.bench.textbook import TextbookFaces
from agegender.data.batches import ShuffledBatches
from agegender.data.datamodule import FaceData

from ..conftest import SMALL, composed, run_here

FACES = 320  # of real UTKFace; enough for ten batches, and quickly decoded


def same_batches(data: FaceData, epoch: int) -> int:
    """How many batches of an epoch are the textbook's; fails at the first that is not."""
    data.setup("fit")
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    order = ShuffledBatches(len(data.rows("train")), data.batch_size, data.seed)
    order.set_epoch(epoch)
    plain = DataLoader(TextbookFaces(data, data.rows("train")), batch_sampler=order)
    for ours, theirs in zip(loader, plain, strict=True):
        assert torch.equal(ours.image.float().div(255), theirs.image)
        assert torch.equal(ours.age, theirs.age)
        assert torch.equal(ours.gender, theirs.gender)
    return len(plain)


@pytest.mark.parametrize(("channels", "size"), [(1, 48), (3, 64), (3, 200)])
def test_batches_are_those_of_plain_files(channels: int, size: int):
    data = FaceData(drawn=160, image_size=size, channels=channels, seed=3)
    assert same_batches(data, epoch=0) == 4
    assert same_batches(data, epoch=1) == 4


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_of_real_faces_are_those_of_plain_files(utkface, channels: int, tmp_path: Path):
    for name in utkface.frame["file"][:: len(utkface.frame) // FACES]:
        (tmp_path / name).symlink_to(utkface.folder / name)
    data = FaceData(root=str(tmp_path), image_size=128, channels=channels, seed=1)
    assert same_batches(data, epoch=2) >= 7


def test_a_plain_loop_over_plain_files_ends_with_the_same_weights(tmp_path: Path):
    words = [*SMALL, "augment=none", "model.dropout=0", "trainer.precision=32-true"]
    assert run_here("train", *words, f"output_dir={tmp_path}")[0] == 0
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]

    # of the same memory layout: another sums in another order, which Adam makes larger
    cfg = composed(*words, "output_dir=unused")
    loop = Loop(cfg)
    before = {name: value.clone() for name, value in loop.module.state_dict().items()}
    data = FaceData(drawn=cfg.data.drawn, image_size=cfg.data.image_size, seed=cfg.seed)
    data.setup("fit")
    order = ShuffledBatches(len(data.rows("train")), data.batch_size, cfg.seed)
    plain = DataLoader(TextbookFaces(data, data.rows("train")), batch_sampler=order)
    for epoch in range(cfg.trainer.max_epochs):
        order.set_epoch(epoch)
        for faces in plain:
            loop.step(faces)
    weights = [name for name in before if name.startswith("net.")]
    assert len(weights) >= 12
    for name in weights:
        assert (before[name] - saved[name]).abs().max() > 1e-4, name
        torch.testing.assert_close(loop.module.state_dict()[name], saved[name], msg=name)
