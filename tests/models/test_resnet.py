import pytest
import torch

from agegender.models.resnet import ResidualBlock, ResNet


def test_parameters_are_as_the_arithmetic_says():
    def block(i: int, o: int) -> int:
        shortcut = i * o + 2 * o if i != o else 0
        return 9 * i * o + 9 * o * o + 4 * o + shortcut

    net = ResNet(in_channels=3, width=8, depths=(1, 2))
    expected = 27 * 8 + 16 + block(8, 8) + block(8, 16) + block(16, 16)
    assert sum(p.numel() for p in net.parameters()) == expected
    assert net.features == 16


def test_a_block_adds_what_it_computes_to_its_input():
    block = ResidualBlock(4, 4, halve=False).eval()
    x = torch.rand(2, 4, 6, 6)
    with torch.no_grad():
        inner = block.second(block.first(x).relu())
        assert torch.allclose(block(x), (x + inner).relu())
        block.second[1].weight.zero_()
        assert torch.equal(block(x), x), "nothing computed, nothing changed"


@pytest.mark.parametrize("side", [17, 64, 96, 101])
def test_each_stage_halves_the_side_odd_ones_too(side: int):
    net = ResNet(in_channels=1, width=4, depths=(1, 1, 1)).eval()
    x = torch.rand(1, 1, side, side)
    with torch.no_grad():
        inner = net.layers(x)
        assert inner.shape == (1, 16, *[-(-side // 8)] * 2)
        assert torch.allclose(net(x), inner.mean((2, 3)))


@pytest.mark.parametrize("wrong", [{"width": 0}, {"depths": ()}, {"depths": (1, 0)}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match="at least one stage"):
        ResNet(**wrong)
