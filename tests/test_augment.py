import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from torch.nn import functional as F

from agegender.augment import Augment
from agegender.data import synthetic

from .conftest import composed


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 8) -> torch.Tensor:
    return torch.rand(n, 1, 40, 40, generator=drawn(9))


LIGHT = dict(flip=0.5, rotate=10.0, scale=0.1, shift=0.05, brightness=0.2)


def test_by_default_nothing_changes():
    assert torch.equal(Augment()(images(), drawn(0)), images())


def test_flip_is_a_mirror():
    assert torch.allclose(Augment(flip=1)(images(), drawn(0)), images().flip(3), atol=1e-5)
    some = Augment(flip=0.5)(images(400), drawn(0))
    flipped = (some - images(400).flip(3)).abs().amax((1, 2, 3)) < 1e-4
    assert 0.4 < flipped.float().mean() < 0.6


def test_each_face_is_turned_by_its_own_angle_as_pillow_would():
    blob = Image.new("L", (64, 64))
    ImageDraw.Draw(blob).ellipse((10, 20, 40, 34), fill=255)
    blob = blob.filter(ImageFilter.GaussianBlur(2))
    picture = torch.from_numpy(np.array(blob)).float().div(255).expand(4, 1, 64, 64)
    turned = Augment(rotate=90)(picture, drawn(3))
    generator = drawn(3)
    torch.rand(4, generator=generator)  # flips are drawn first
    for face, u in zip(turned, torch.rand(4, generator=generator), strict=True):
        angle = 90 * (2 * u.item() - 1)
        expected = np.asarray(blob.rotate(angle, Image.Resampling.BICUBIC)) / 255
        assert np.abs(face[0].numpy() - expected).max() < 0.06


def test_moved_faces_stay_as_sharp_as_those_that_are_validated():
    face = synthetic.portrait(5, 1)[1].resize((96, 96))
    noisy = np.asarray(face) + np.random.default_rng(0).normal(0, 8, (96, 96, 3))
    image = torch.from_numpy(noisy.clip(0, 255)).permute(2, 0, 1).float().expand(64, -1, -1, -1)
    image = F.avg_pool2d(image / 255, 2, stride=1)  # as sharp as pictures are

    def sharpness(of: torch.Tensor) -> float:
        return (of[..., 20:-20, 21:-20] - of[..., 20:-20, 20:-21]).square().mean().item()

    moved = Augment(shift=0.1)(image, drawn(1))
    assert 0.9 < sharpness(moved) / sharpness(image) < 1.1  # bilinear: 0.76


def test_brightness_scales_and_keeps_the_range():
    bright = Augment(brightness=0.5)(images(), drawn(1))
    gain = 1 + 0.5 * (torch.rand(8, generator=drawn(1)) * 2 - 1)
    assert torch.allclose(bright, (images() * gain[:, None, None, None]).clamp(0, 1))


def colours(n: int = 8) -> torch.Tensor:
    return torch.rand(n, 3, 40, 40, generator=drawn(8))


def u(seed: int, n: int = 8) -> torch.Tensor:
    """The first of the -1..1 numbers that the steps draw, one a face."""
    return torch.rand(n, generator=drawn(seed)) * 2 - 1


def test_contrast_and_saturation_are_pillows():
    picture = Image.fromarray((colours(1)[0] * 255).byte().permute(1, 2, 0).numpy())
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    coloured = Augment(colour=0.9)(image, drawn(1))[0]
    expected = np.asarray(ImageEnhance.Color(picture).enhance(1 + 0.9 * u(1, 1).item())) / 255
    assert np.abs(coloured.permute(1, 2, 0).numpy() - expected).max() < 0.02
    generator = drawn(2)
    torch.rand(1, generator=generator)  # brightness is drawn first
    factor = 1 + 0.9 * (torch.rand(1, generator=generator) * 2 - 1).item()
    contrasted = Augment(contrast=0.9)(image[:, :1], drawn(2))[0, 0]
    # Pillow's mean is a whole number
    expected = np.asarray(ImageEnhance.Contrast(picture.getchannel(0)).enhance(factor)) / 255
    assert np.abs(contrasted.numpy() - expected).max() < 0.02


def test_some_faces_turn_grey_and_grey_ones_stay():
    out = Augment(grey=0.5)(colours(200), drawn(3))
    grey = (out[:, 0] - out[:, 2]).abs().amax((1, 2)) < 1e-5
    assert 0.4 < grey.float().mean() < 0.6
    assert torch.allclose(out[~grey], colours(200)[~grey], atol=1e-6)
    assert torch.equal(Augment(grey=1.0, colour=1.0)(images(), drawn(3)), images())


def test_borders_are_black_on_one_side():
    white = torch.ones(300, 3, 40, 40)
    out = Augment(border=1.0)(white, drawn(4))
    black = out == 0
    assert (black | (out == 1)).all()
    share = black.float().mean((1, 2, 3))
    assert 0 <= share.min()
    assert 0.25 < share.max() < 0.4  # 0.4 of half the side is kept beyond the middle: 30 %
    edges = torch.stack([black[:, 0, 0], black[:, 0, -1], black[:, 0, :, 0], black[:, 0, :, -1]])
    whole = edges.float().mean(2) > 0.8  # (4, B): a border lies along this side
    assert (whole.sum(0) <= 1).all()
    assert (whole.float().mean(1) > 0.1).all(), "each side gets its share"
    some = Augment(border=0.3)(white, drawn(4)).amin((1, 2, 3)) == 0
    assert 0.15 < some.float().mean() < 0.4


def test_erasing_paints_one_rectangle():
    out = Augment(erase=1.0)(torch.full((300, 1, 50, 50), 2.0), drawn(5))
    painted = out[:, 0] != 2
    for face, mask in zip(out[:, 0], painted, strict=True):
        rows, columns = mask.any(1).sum(), mask.any(0).sum()
        assert mask.sum() == rows * columns, "a rectangle"
        assert len(face[mask].unique()) == 1, "of one colour"
    share = painted.float().mean((1, 2))
    assert 0.01 < share.min() < 0.04
    assert 0.17 < share.max() < 0.22


def test_sizes_change_by_a_factor_either_way():
    disc = torch.zeros(400, 1, 101, 101)
    x = torch.arange(101.0) - 50
    disc[:, :, (x[:, None] ** 2 + x**2).sqrt() < 20] = 1
    area = Augment(scale=0.4)(disc, drawn(6)).sum((1, 2, 3)) / disc[0].sum()
    assert area.max().item() == pytest.approx(1.4**2, rel=0.03)
    assert area.min().item() == pytest.approx(1.4**-2, rel=0.03)
    assert area.log().mean().item() == pytest.approx(0, abs=0.05)


def test_shift_moves_by_at_most_its_share():
    dot = torch.zeros(200, 1, 41, 41)
    dot[:, :, 20, 20] = 1
    moved = Augment(shift=0.1)(dot, drawn(2)).squeeze(1)
    places = moved.flatten(1).argmax(1)
    far = torch.stack([places // 41 - 20, places % 41 - 20]).abs()
    assert far.max() == 4, "a tenth of 41 pixels"
    assert far.float().mean() > 1


def test_the_generator_alone_decides():
    light = Augment(**LIGHT)
    assert torch.equal(light(images(), drawn(1)), light(images(), drawn(1)))
    assert not torch.equal(light(images(), drawn(1)), light(images(), drawn(2)))
    out = light(images(), drawn(1))
    assert out.shape == images().shape
    assert 0 <= out.min() <= out.max() <= 1


def test_everything_at_once_keeps_shape_range_and_generator():
    strong = dict(composed("augment=strong").augment)
    del strong["_target_"]
    everything = Augment(**strong)
    for given in (images(), colours()):
        out = everything(given, drawn(1))
        assert out.shape == given.shape
        assert 0 <= out.min() <= out.max() <= 1
        assert torch.equal(out, everything(given, drawn(1)))
        assert not torch.equal(out, everything(given, drawn(2)))
    turned_on = {name for name, value in strong.items() if value}
    assert turned_on == {*strong} - {"mixup", "start_size"}


def test_images_start_small_and_grow_to_their_own_side():
    grows = Augment(start_size=64, grown=0.8)
    image = torch.rand(2, 3, 128, 128)
    sides = [grows.resize(image, done / 10).shape[-1] for done in range(10)]
    assert sides == [64, 64, 80, 80, 96, 96, 112, 112, 128, 128]
    assert grows.resize(image, 0.8) is image
    assert Augment().resize(image, 0.0) is image
    assert grows.resize(image[..., :48, :48], 0.0).shape[-1] == 48  # never larger than it is
    # the mean over what a small pixel covers, as Pillow has it
    byte = torch.randint(256, (1, 128, 128, 3), dtype=torch.uint8)
    small = Image.fromarray(byte[0].numpy()).resize((64, 64), Image.Resampling.BILINEAR)
    ours = grows.resize(byte.permute(0, 3, 1, 2).float(), 0.0)[0].permute(1, 2, 0)
    assert np.abs(ours.numpy() - np.asarray(small)).max() <= 1


def test_out_of_range_is_a_sentence():
    with pytest.raises(ValueError, match=r"augment\.flip=1\.5: must be from 0 to 1"):
        Augment(flip=1.5)


def test_the_configs_say_what_they_are():
    assert composed("augment=none").augment.keys() == {"_target_"}
    light = dict(composed("augment=light").augment)
    del light["_target_"]
    assert light == LIGHT


def test_a_flip_alone_is_the_flip_among_others():
    image = torch.rand(16, 3, 8, 8)
    alone = Augment(flip=0.5)(image, torch.Generator().manual_seed(3))
    among = Augment(flip=0.5, rotate=1e-9)(image, torch.Generator().manual_seed(3))
    assert torch.allclose(alone, among, atol=1e-5)
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(alone, image, strict=True)]
    assert 0 < sum(flipped) < 16
    assert all(torch.equal(a, b) for a, b, f in zip(alone, image, flipped, strict=True) if not f)
