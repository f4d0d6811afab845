"""The three networks of MTCNN, and where their weights come from.

Zhang et al. 2016, arXiv:1604.02878, figure 2; the weights are those that the `mtcnn` 1.0.0 wheel
carries (MIT licence). The package is never imported, since that needs TensorFlow.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from agegender.errors import InputError

# joblib unpickles, so that only these very files are read
SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}
Arrays = Sequence[npt.NDArray[np.float32]]


class Nets(NamedTuple):
    """The three networks, ready to be asked."""

    propose: "Convolutional"
    refine: "Convolutional"
    output: "Convolutional"


class Convolutional(nn.Module):
    """Convolutions with PReLU and some max pooling, then one linear layer for each answer.

    Args:
        body: convolutions and what stands between them.
        answers: numbers of each answer; the last one is (not a face, a face).

    Shapes:
        (N, 3, H, W) float32 in -1..1 -> one (N, numbers, ...) for each answer, the last as the
        probability of a face, (N, ...).
    """

    def __init__(self, body: nn.Sequential, answers: nn.ModuleList) -> None:
        super().__init__()
        self.body, self.answers = body, answers

    def forward(self, pixels: Tensor) -> list[Tensor]:
        features = self.body(pixels)
        *others, face = [answer(features) for answer in self.answers]
        return [*others, face.softmax(1)[:, 1]]


class Columns(nn.Module):
    """(N, C, H, W) -> (N, W * H * C): the order in which the first dense layer was trained."""

    def forward(self, features: Tensor) -> Tensor:
        return features.permute(0, 3, 2, 1).flatten(1)


def _convolution(inputs: int, outputs: int, side: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, side), nn.PReLU(outputs)]


def _halve(side: int) -> nn.Module:
    return nn.MaxPool2d(side, 2, ceil_mode=True)


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [Columns(), nn.Linear(inputs, outputs), nn.PReLU(outputs)]


def proposer() -> Convolutional:
    """P-Net: looks at every 12 x 12 window, in steps of 2 pixels."""
    body = [*_convolution(3, 10, 3), _halve(2), *_convolution(10, 16, 3), *_convolution(16, 32, 3)]
    answers = nn.ModuleList([nn.Conv2d(32, 4, 1), nn.Conv2d(32, 2, 1)])
    return Convolutional(nn.Sequential(*body), answers)


def refiner() -> Convolutional:
    """R-Net: looks at 24 x 24."""
    body = [
        *_convolution(3, 28, 3), _halve(3), *_convolution(28, 48, 3), _halve(3),
        *_convolution(48, 64, 2), *_dense(576, 128),
    ]  # fmt: skip
    return Convolutional(
        nn.Sequential(*body), nn.ModuleList([nn.Linear(128, 4), nn.Linear(128, 2)])
    )


def outputter() -> Convolutional:
    """O-Net: looks at 48 x 48, and says where the five points are."""
    body = [
        *_convolution(3, 32, 3), _halve(3), *_convolution(32, 64, 3), _halve(3),
        *_convolution(64, 64, 3), _halve(2), *_convolution(64, 128, 2), *_dense(1152, 256),
    ]  # fmt: skip
    answers = nn.ModuleList([nn.Linear(256, 4), nn.Linear(256, 10), nn.Linear(256, 2)])
    return Convolutional(nn.Sequential(*body), answers)


def load_nets() -> Nets:
    """The networks with the weights of the `mtcnn` wheel.

    Raises:
        InputError: if it is not installed, or its files are not the ones known.
    """
    nets = Nets(proposer(), refiner(), outputter())
    for net, name in zip(nets, SHA256, strict=True):
        _fill(net, _arrays(weight_folder() / f"{name}.lz4", SHA256[name]))
        net.eval().requires_grad_(False)
    return nets


def weight_folder() -> Path:
    """Where the installed `mtcnn` wheel keeps its weights.

    Raises:
        InputError: if it is not installed.
    """
    found = importlib.util.find_spec("mtcnn")
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "detector=mtcnn needs the extra portrait: pip install 'agegender[portrait]'; or say"
            " detector=none for pictures that are face crops already, detector=boxes with a table"
        )
    return Path(found.submodule_search_locations[0]) / "assets/weights"


def _arrays(path: Path, sha256: str) -> Arrays:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(
            f"{path} is not the file of mtcnn 1.0.0, so it is not opened: install that version"
            f" again (pip install --force-reinstall mtcnn==1.0.0)"
        )
    import joblib  # comes with mtcnn

    arrays: Arrays = joblib.load(BytesIO(data))
    return arrays


def _fill(net: Convolutional, arrays: Arrays) -> None:
    """Copy Keras's arrays; its kernels are (H, W, in, out), its matrices (in, out)."""
    rest = iter(arrays)
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                weight = torch.from_numpy(next(rest))
                layer.weight.copy_(weight.permute(3, 2, 0, 1) if weight.ndim == 4 else weight.T)
                assert layer.bias is not None
                layer.bias.copy_(torch.from_numpy(next(rest)))
            elif isinstance(layer, nn.PReLU):
                layer.weight.copy_(torch.from_numpy(next(rest)).flatten())
    assert next(rest, None) is None, "every array has its layer"
