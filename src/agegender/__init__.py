"""Age (years) and gender from face portraits: train, compare, trust and use."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agegender.reader import Model

__version__ = "0.1.0"


def load(
    checkpoint: str | Path = "shipped",
    detector: str = "mtcnn",
    boxes: str | Path | None = None,
    runtime: str | None = None,
    level: float = 0.9,
) -> "Model":
    """A trained network for pictures: `agegender.load().predict("portrait.jpg")`.

    Args:
        checkpoint: RUN/checkpoints/best.ckpt, a file that `scripts/export.py` has written, or
            shipped: the weights in the package (trained on UTKFace, for research only).
        detector: mtcnn finds faces in any picture; none takes each picture for a face crop in
            UTKFace's geometry; boxes takes the faces from a table.
        boxes: the table for detector="boxes": file, and a box or five points, in pixels.
        runtime: torch or onnx; None: as the checkpoint's name ends.
        level: the share of annotated ages that is to lie within age_lo and age_hi.

    Raises:
        agegender.errors.InputError: if something named cannot be used; its text says why.
    """
    from agegender.reader import open_model  # torch is heavy, and the version must be cheap to ask

    return open_model(checkpoint, detector, boxes, runtime, level)
