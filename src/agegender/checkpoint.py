"""Checkpoints that describe themselves: network, preprocessing, split and training files."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

import agegender
from agegender.config import build, check_config
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.models.net import AgeLoss, Net

if TYPE_CHECKING:  # Lightning takes seconds to import, and predictions do without
    from agegender.data.datamodule import FaceData

log = logging.getLogger(__name__)
KEY = "agegender"  # where a checkpoint keeps what `describe` says
DIGEST = "agegender_digest"  # and where the digest of all else in it
# what of the trainer's settings decides about a step, and what each is if nothing is said
STEPS = {
    "accumulate_grad_batches": 1, "gradient_clip_val": None, "gradient_clip_algorithm": None,
    "limit_train_batches": 1.0,
}  # fmt: skip
SHIPPED = "shipped"  # what the weights that come with the package are called
SHIPPED_FILE = Path(__file__).parent / "weights/shipped.ckpt"
PREFIX = "net."
NETWORKS = ("agegender.models.", "agegender.losses.")  # all that a checkpoint may build


class Loaded(NamedTuple):
    """A network with its weights, and what its checkpoint says of itself."""

    net: Net
    loss: AgeLoss
    description: dict[str, Any]


def describe(config: dict[str, Any], data: "FaceData") -> dict[str, Any]:
    """What a checkpoint needs to be used without any config: plain values and one tensor."""
    names = (
        "name", "seed", "data", "model", "loss", "weighting", "gender_smoothing", "optimizer",
        "scheduler", "augment", "channels_last", "flip_average",
    )  # fmt: skip
    kept = {name: config[name] for name in names}
    kept["ema"] = config["callbacks"].get("ema")
    return {
        "version": agegender.__version__,
        "config": kept,
        "precision": str(config["trainer"]["precision"]),
        "max_epochs": config["trainer"]["max_epochs"],
        "steps": {
            name: given if (given := config["trainer"].get(name)) is not None else default
            for name, default in STEPS.items()
        },
        "split_hash": data.split_hash,
        "data_digest": data.faces.digest,
        "train_digests": _photographs(data, "train"),
        "val_digests": _photographs(data, "val"),
    }


def _photographs(data: "FaceData", part: str) -> Tensor:
    """What the files of a part are known by, and all copies of their photographs, used or not."""
    frame = data.frame
    groups = frame.loc[frame["part"] == part, "group_id"]
    return short_digests(frame.loc[frame["group_id"].isin(groups), "sha256"].tolist())


def keep_calibration(path: Path, calibration: dict[str, Any]) -> None:
    """Write what `agegender.intervals.calibrate` found into a checkpoint, beside all it holds.

    The file is replaced as a whole: cut off at any moment, the old or the new one is there.
    """
    content = read(path)
    content[KEY]["calibration"] = calibration
    save(content, path)


def save(content: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint with the digest of its content, whole or not at all."""
    kept = {name: value for name, value in content.items() if name != DIGEST}
    stream = BytesIO()  # torch's own writer makes an error without a reason of a full disk
    torch.save({**kept, DIGEST: digest(kept)}, stream)
    with whole_file(path) as temporary:
        temporary.write_bytes(stream.getvalue())


def read(path: Path) -> dict[str, Any]:
    """What `save` wrote, on the CPU.

    torch compares no checksum of what it reads: that is done here. A checkpoint without a digest,
    as earlier versions wrote them, is read with a warning.

    Raises:
        InputError: if the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"checkpoint={path} does not exist")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader lets any error of a malformed file through
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"checkpoint={path} cannot be read: {first}") from None
    if not isinstance(content, dict):
        raise InputError(f"checkpoint={path} was not made by agegender: it does not say what it is")
    written = content.pop(DIGEST, None)
    if written is None:
        _warn_unchecked(path)
    elif written != digest(content):
        raise InputError(
            f"checkpoint={path} is damaged: its content is not what its digest says. Take another"
            f" copy of it or another checkpoint"
        )
    return content


@cache
def _warn_unchecked(path: Path) -> None:
    log.warning("checkpoint=%s has no digest: whether it is damaged cannot be told", path)


def digest(content: object) -> str:
    """SHA-256 of plain values and tensors, nested in any way; the same after saving and loading."""
    sha = hashlib.sha256()
    for piece in _pieces(content):
        sha.update(piece)
    return sha.hexdigest()


def _pieces(value: object) -> Iterator[Any]:
    """The bytes that a digest is of, in an order and with names that leave nothing open."""
    if isinstance(value, Tensor):
        yield f"tensor {value.dtype} {tuple(value.shape)};".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    elif isinstance(value, Mapping):
        yield f"map {len(value)};".encode()
        for key, inner in value.items():
            yield from _pieces(key)
            yield from _pieces(inner)
    elif isinstance(value, list | tuple):
        yield f"list {len(value)};".encode()
        for inner in value:
            yield from _pieces(inner)
    else:
        told = repr(value).encode(errors="backslashreplace")
        yield f"{type(value).__name__} {len(told)} ".encode() + told


def short_digests(sha256: list[str]) -> Tensor:
    """Hex digests -> (N,) int64: the first 8 bytes of each."""
    whole = np.array([int(digest[:16], 16) for digest in sha256], dtype=np.uint64)
    return torch.from_numpy(whole.view(np.int64))


def named(checkpoint: str | Path) -> Path:
    """The file that is meant: a path, or `shipped` for the weights that come with the package."""
    return SHIPPED_FILE if str(checkpoint) == SHIPPED else Path(checkpoint).expanduser()


def load(path: Path) -> Loaded:
    """Rebuild the network of a checkpoint.

    Raises:
        InputError: if the file is missing, damaged, or not a checkpoint of this project.
    """
    content = read(path)
    if KEY not in content or "state_dict" not in content:
        raise InputError(f"checkpoint={path} was not made by agegender: it does not say what it is")
    description = content[KEY]
    try:
        loss, net = _built(description["config"])
    except InputError:
        raise
    except Exception as error:  # what a malformed description lets through
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"checkpoint={path} does not say what its network is: {first}") from None
    weights = {
        name.removeprefix(PREFIX): value
        for name, value in content["state_dict"].items()
        if name.startswith(PREFIX)
    }
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"checkpoint={path} does not fit its own network: {error}") from None
    return Loaded(net, loss, description)


def _built(kept: dict[str, Any]) -> tuple[AgeLoss, Net]:
    """A network without its weights, if what it was kept with can be used by all that load it."""
    config = OmegaConf.create({name: kept[name] for name in ("model", "loss")})
    check_config(config, NETWORKS)
    side, channels = kept["data"]["image_size"], kept["data"]["channels"]
    if type(side) is not int or not 16 <= side <= 512:
        raise ValueError(f"its data.image_size={side!r} is not within 16 to 512 pixels")
    if channels not in (1, 3) or config.model.backbone.get("in_channels", channels) != channels:
        raise ValueError(f"its data.channels={channels!r} is not what its network reads, 1 or 3")
    for name in ("channels_last", "flip_average"):
        if not isinstance(kept[name], bool):
            raise ValueError(f"its {name}={kept[name]!r} is neither true nor false")
    if "pretrained" in config.model.backbone:  # the weights are here
        config.model.backbone.pretrained = False
    loss = build(config.loss)
    net = build(config.model, decoder=loss)
    if not isinstance(net, Net):
        raise TypeError("its model has no _target_, or another than a network")
    return loss, net
