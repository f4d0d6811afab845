"""A trained network in use: crops of faces to age and gender, by PyTorch or onnxruntime."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from agegender import checkpoint
from agegender.data.cache import Pixels, prepare
from agegender.errors import InputError
from agegender.models.net import FlipAveraged, as_input
from agegender.portraits.align import SIDE

Values = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
BATCH = 64  # crops that the network reads at once
KEY = "agegender"  # of an exported file's metadata, which holds its version
RUNTIMES = ("torch", "onnx")


class Answers(NamedTuple):
    """What a network says of N crops.

    Attributes:
        age: (N,) years.
        age_sd: (N,) years, the spread of what it takes for possible; NaN if it says one age only.
        p_female: (N,) 0 to 1.
        age_p: (N, Y) the probability of each of the years 0, 1, ..., Y - 1; None if it says one
            age only, and from exported files, whose graphs do not give it.
    """

    age: Values
    age_sd: Values
    p_female: Values
    age_p: Values | None = None


class Estimator(Protocol):
    """Crops in, answers out.

    `input_side` is the side in pixels of what the network itself reads, and `calibration` what its
    checkpoint says of how sure it may be of an age, or None. `notice` is what its users should
    know, or empty.
    """

    input_side: int
    notice: str
    calibration: dict[str, Any] | None

    def __call__(self, crops: Sequence[Pixels]) -> Answers: ...


def open_estimator(path: Path, runtime: str | None = None) -> Estimator:
    """The network in a checkpoint, or in a file that `scripts/export.py` has written.

    Args:
        path: of the checkpoint or the `.onnx` file.
        runtime: torch or onnx; None: as the file's name ends.

    Raises:
        InputError: if the file cannot be used, or not by this runtime.
    """
    exported = path.suffix.lower() == ".onnx"
    if runtime is not None and runtime not in RUNTIMES:
        raise InputError(f"runtime={runtime} is not one of {', '.join(RUNTIMES)}")
    if runtime == "onnx" and not exported:
        raise InputError(
            f"runtime=onnx needs an exported file: python scripts/export.py checkpoint={path}"
        )
    if runtime == "torch" and exported:
        raise InputError(f"runtime=torch cannot read {path}: name the checkpoint itself")
    return OnnxEstimator(path) if exported else TorchEstimator(path)


class TorchEstimator:
    """The network of a checkpoint, in float32; preprocessing is the checkpoint's.

    Args:
        path: of the checkpoint.
        flip_average: whether it looks at each face and at its mirror image; None: as the checkpoint
            has it. Otherwise than the checkpoint has it, its intervals are not known.
    """

    def __init__(self, path: Path, flip_average: bool | None = None) -> None:
        net, _, about = checkpoint.load(path)
        config = about["config"]
        self.layout = torch.channels_last if config["channels_last"] else torch.contiguous_format
        calibrated = config["flip_average"]
        self.flip_average = calibrated if flip_average is None else flip_average
        whole = FlipAveraged(net) if self.flip_average else net
        self.net = whole.to(memory_format=self.layout).eval().requires_grad_(False)
        self.input_side, self.channels = config["data"]["image_size"], config["data"]["channels"]
        known = self.flip_average == calibrated
        self.calibration = about.get("calibration") if known else None
        self.description = about
        self.notice = about.get("notice", "")

    @torch.inference_mode()
    def __call__(self, crops: Sequence[Pixels]) -> Answers:
        """Crops of any size, (H, W, 3) uint8 each, as training would have read them."""
        found, age_p = [], []
        for start in range(0, len(crops), BATCH):
            few = [Image.fromarray(crop) for crop in crops[start : start + BATCH]]
            pixels = np.stack([prepare(crop, self.channels, self.input_side) for crop in few])
            said = self.net(as_input(torch.from_numpy(pixels), self.layout))
            sd = torch.full_like(said.age, torch.nan) if said.age_sd is None else said.age_sd
            found.append([said.age.numpy(), sd.numpy(), said.gender_logit.sigmoid().numpy()])
            if said.age_p is not None:
                age_p.append(said.age_p.numpy())
        return _joined(found, age_p)


class OnnxEstimator:
    """An exported network; preprocessing and averaging are in its graph.

    Args:
        path: of the `.onnx` file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"checkpoint={path} does not exist")
        try:
            import onnxruntime
        except ImportError:
            raise InputError(
                f"{path} needs the extra export: pip install 'agegender[export]'"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own errors have no common base
            first = str(error).splitlines()[0]
            raise InputError(f"checkpoint={path} cannot be read: {first}") from None
        about: Mapping[str, str] = self.session.get_modelmeta().custom_metadata_map
        if KEY not in about:
            raise InputError(f"checkpoint={path} was not exported by agegender: it does not say so")
        self.input_side = int(about["image_size"])
        self.calibration = json.loads(about["calibration"])
        self.notice = about.get("licence", "")

    def __call__(self, crops: Sequence[Pixels]) -> Answers:
        """Crops, (H, W, 3) uint8 each; those of another side than SIDE are resized to it."""
        found = []
        for start in range(0, len(crops), BATCH):
            few = [
                prepare(Image.fromarray(crop), 3, SIDE).transpose(1, 2, 0)
                for crop in crops[start : start + BATCH]
            ]
            said = self.session.run(["age", "age_sd", "p_female"], {"crops": np.stack(few)})
            found.append([np.asarray(values) for values in said])
        return _joined(found)


def _joined(found: Sequence[Sequence[Floats]], age_p: Sequence[Floats] = ()) -> Answers:
    if not found:
        return Answers(*(np.empty(0) for _ in range(3)))
    age, age_sd, p_female = (_whole(part) for part in zip(*found, strict=True))
    return Answers(age, age_sd, p_female, _whole(age_p) if age_p else None)


def _whole(batches: Sequence[Floats]) -> Values:
    return np.concatenate(batches).astype(np.float64)
