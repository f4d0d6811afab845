import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from agegender.augment import Augment

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
        expected = np.asarray(blob.rotate(angle, Image.Resampling.BILINEAR)) / 255
        assert np.abs(face[0].numpy() - expected).max() < 0.06


def test_brightness_scales_and_keeps_the_range():
    bright = Augment(brightness=0.5)(images(), drawn(1))
    gain = 1 + 0.5 * (torch.rand(8, generator=drawn(1)) * 2 - 1)
    assert torch.allclose(bright, (images() * gain[:, None, None, None]).clamp(0, 1))


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
