"""The weights that come with the package: what using a network takes, of a finished training."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from agegender import checkpoint
from agegender.command import for_anybody
from agegender.data.files import whole_file
from agegender.errors import InputError

LARGEST = 12_000_000  # bytes
PLACES = ("root", "archive", "csv", "split_file", "cache_dir")  # of the trainer's machine
NOTICE = (
    "Trained on UTKFace, whose pictures are for non-commercial research only: so are these weights."
    " They say apparent age and one of two genders, as annotators did, and must not decide anything"
    " about a person."
)
LABELS = {
    "age": "apparent age, years",
    "gender": ["male", "female"],
}
MEASURED = ("val", "test", "test_keep")  # parts


def ship(run: Path, to: Path = checkpoint.SHIPPED_FILE) -> dict[str, Any]:
    """Write a finished training's best weights as the file that the package brings.

    The network's own weights, those of layers in 16 bits, and what the checkpoint says of itself
    are kept (preprocessing, split hash, the digests of its training files, calibration); the
    optimizer and the rest of the training's state are not. Added are the run's metrics, where it
    comes from, what its labels mean, and the terms of its use.

    Args:
        run: the folder of the training.
        to: the file.

    Returns:
        What the file says of itself.

    Raises:
        InputError: if the run is not finished, its code was not committed, it was not calibrated,
            or its weights are larger than `LARGEST`.
    """
    metrics = _finished(run)
    about = metrics["run"]
    if str(about["commit"]).endswith("+"):
        raise InputError(f"{run} was trained by code that is in no commit: {about['commit']}")
    best = run / "checkpoints/best.ckpt"
    loaded = checkpoint.load(best)
    if "calibration" not in loaded.description:
        raise InputError(f"{best} has no calibration: the training was cut off before its end")
    command = for_anybody(about["command"])
    names = ("date", "commit", "cpu", "torch", "epochs", "best_epoch", "parameters")
    config = loaded.description["config"]
    elsewhere = {**config["data"], **dict.fromkeys(PLACES)}
    description = {
        **loaded.description,
        "config": {**config, "data": elsewhere},  # the data are where their user has them
        "notice": NOTICE,
        "labels": LABELS,
        "metrics": {part: metrics[part] for part in MEASURED if part in metrics},
        "made": {**{name: about[name] for name in names}, "command": command},
    }
    weights = {f"{checkpoint.PREFIX}{k}": _short(v) for k, v in loaded.net.state_dict().items()}
    with whole_file(to) as temporary:
        checkpoint.save({"state_dict": weights, checkpoint.KEY: description}, temporary)
        size = temporary.stat().st_size
        if size > LARGEST:
            raise InputError(f"{run} makes a file of {size:,} bytes: at most {LARGEST:,} are meant")
    return description


def _short(weight: Tensor) -> Tensor:
    """A layer's weights in half their bytes; norms, which are few and of any size, as they are.

    Loading makes them float32 again. Ages change by some thousandths of a year.
    """
    return weight.half() if weight.ndim > 1 else weight


def _finished(run: Path) -> dict[str, Any]:
    try:
        metrics: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{run} is no finished training: no metrics.json in it") from None
    if "best_epoch" not in metrics.get("run", {}):
        raise InputError(f"{run} is an evaluation: name the folder of the training")
    return metrics
