import pytest
import torch
from torch import nn
from torch.nn import functional as F

from agegender.losses.l1 import L1
from agegender.models.cnn import CNN
from agegender.models.heads import glorot
from agegender.models.net import Net


def seed_network() -> Net:
    return Net(CNN(in_channels=1, image_size=128), L1(relu=True))


def test_it_has_exactly_the_notebooks_parameters():
    convolutions = sum(3 * 3 * i * o + o for i, o in [(1, 32), (32, 64), (64, 128), (128, 256)])
    flat = 6 * 6 * 256  # 128 -> 126/2 -> 61/2 -> 28/2 -> 12/2
    branch = flat * 256 + 256 + 256 + 1
    assert convolutions + 2 * branch == 5_107_458
    assert sum(p.numel() for p in seed_network().parameters()) == 5_107_458


def test_pooling_before_relu_gives_what_relu_before_pooling_gives():
    net = seed_network().backbone
    image = torch.rand(2, 1, 128, 128)
    x = image
    for conv in (block for block in net.blocks if isinstance(block, nn.Conv2d)):
        x = F.max_pool2d(F.relu(conv(x)), 2)
    assert torch.equal(net(image), x.flatten(1))


def test_weights_are_glorot_uniform_and_biases_zero():
    for layer in (layer for layer in seed_network().modules() if isinstance(layer, nn.Linear)):
        limit = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert layer.weight.abs().max() <= limit
        assert layer.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.15)
        assert layer.bias.abs().max() == 0
    conv = glorot(nn.Conv2d(64, 128, 3))
    assert conv.weight.abs().max() <= (6 / (9 * 64 + 9 * 128)) ** 0.5


def test_dropout_works_in_training_only():
    net = seed_network()
    image = torch.rand(2, 1, 128, 128)
    net.train()
    assert not torch.equal(net(image).gender_logit, net(image).gender_logit)
    net.eval()
    assert torch.equal(net(image).gender_logit, net(image).gender_logit)


def test_a_picture_too_small_for_the_blocks_is_refused():
    with pytest.raises(ValueError, match="image_size=32 is too small for 4 blocks"):
        CNN(image_size=32)
