import shutil
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch

from agegender.errors import InputError
from agegender.portraits import mtcnn
from agegender.portraits.mtcnn import SHA256, load_nets, weight_folder

pytest.importorskip("lz4", reason="needs the extra portrait")


def by_hand(pixels: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A convolution as Keras writes it: (H, W, in), (kh, kw, in, out) -> (H', W', out)."""
    side = kernel.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (side, side), (0, 1))
    return np.einsum("hwcij,ijco->hwo", windows, kernel) + bias


def bent(values: np.ndarray, slope: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, values * slope.reshape(-1))


def test_the_first_network_computes_what_its_keras_layers_say():
    with (weight_folder() / "pnet.lz4").open("rb") as stream:
        w = joblib.load(stream)
    pixels = np.random.default_rng(0).uniform(-1, 1, (24, 20, 3))
    x = bent(by_hand(pixels, w[0], w[1]), w[2])  # (22, 18, 10)
    x = x.reshape(11, 2, 9, 2, 10).max((1, 3))
    x = bent(by_hand(x, w[3], w[4]), w[5])
    x = bent(by_hand(x, w[6], w[7]), w[8])
    box, face = by_hand(x, w[9], w[10]), np.exp(by_hand(x, w[11], w[12]))
    given = torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float()
    offsets, p = load_nets().propose(given)
    np.testing.assert_allclose(offsets[0].numpy().transpose(1, 2, 0), box, atol=1e-4)
    np.testing.assert_allclose(p[0].numpy(), face[..., 1] / face.sum(-1), atol=1e-5)


def test_the_others_take_what_the_paper_says():
    nets = load_nets()
    offsets, p = nets.refine(torch.zeros(2, 3, 24, 24))
    assert (offsets.shape, p.shape) == ((2, 4), (2,))
    offsets, points, p = nets.output(torch.zeros(2, 3, 48, 48))
    assert (offsets.shape, points.shape, p.shape) == ((2, 4), (2, 10), (2,))


class Evil:
    def __reduce__(self):
        return (print, ("code from a weight file ran",))


def test_other_weight_files_are_not_opened(tmp_path: Path, monkeypatch, capsys):
    folder = tmp_path / "weights"
    shutil.copytree(weight_folder(), folder)
    joblib.dump([Evil()], folder / "rnet.lz4")
    monkeypatch.setattr(mtcnn, "weight_folder", lambda: folder)
    with pytest.raises(
        InputError, match=r"rnet.lz4 is not the file of mtcnn 1\.0\.0, so it is not"
    ):
        load_nets()
    assert "ran" not in capsys.readouterr().out
    (folder / "pnet.lz4").unlink()
    with pytest.raises(InputError, match=r"pnet.lz4 cannot be read: No such file"):
        load_nets()
    assert len(set(SHA256.values())) == 3


def test_without_the_wheel_its_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"pip install 'agegender\[portrait\]'; or say detector=none"
    ):
        weight_folder()
