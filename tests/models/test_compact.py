import pytest
import torch

from agegender.models.compact import Compact, CompactBlock


def test_parameters_are_as_the_arithmetic_says():
    def block(i: int, o: int) -> int:
        shortcut = i * o + 2 * o if i != o else 0
        return 9 * i * o + 9 * o * o + 4 * o + shortcut

    weights = 16 * 24 + 16 + 16 * 24 + 24  # squeezed to no fewer than 16
    net = Compact(in_channels=3, widths=(8, 24), depths=(1, 2), weighed=1)
    expected = 27 * 8 + 16 + block(8, 8) + block(8, 24) + block(24, 24) + 2 * weights
    assert sum(p.numel() for p in net.parameters()) == expected
    assert net.features == 24


def test_a_block_weighs_what_it_computes_and_adds_it_to_its_input():
    block = CompactBlock(4, 4, halve=False, weigh=True).eval()
    x = torch.rand(2, 4, 6, 6)
    silu = torch.nn.functional.silu
    with torch.no_grad():
        inner = block.second(silu(block.first(x)))
        mean = inner.flatten(2).mean(2)
        weights = torch.sigmoid(block.weights.excite(silu(block.weights.squeeze(mean))))
        assert torch.allclose(block(x), silu(x + torch.einsum("bchw,bc->bchw", inner, weights)))
        block.weights.excite.weight.zero_()
        block.weights.excite.bias.fill_(-100)  # every weight 0: nothing of it is left
        assert torch.equal(block(x), silu(x))


@pytest.mark.parametrize("side", [17, 64, 101])
def test_each_stage_halves_the_side_odd_ones_too(side: int):
    net = Compact(in_channels=1, widths=(4, 6, 8), depths=(1, 1, 2)).eval()
    x = torch.rand(1, 1, side, side)
    with torch.no_grad():
        inner = net.layers(x)
        assert inner.shape == (1, 8, *[-(-side // 8)] * 2)
        assert torch.allclose(net(x), inner.mean((2, 3)))


@pytest.mark.parametrize(
    "wrong", [{"widths": ()}, {"depths": (1, 2)}, {"widths": (8, 0), "depths": (1, 1)}]
)
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match="one depth for each width"):
        Compact(**wrong)
