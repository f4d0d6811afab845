"""Write a checkpoint's network as ONNX, and keep it only if it says what PyTorch says."""

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from omegaconf import DictConfig

import agegender
from agegender import checkpoint
from agegender.data.cache import Pixels
from agegender.data.files import whole_file
from agegender.errors import InputError
from agegender.estimators import KEY, Answers, OnnxEstimator, TorchEstimator
from agegender.evaluate import face_crops
from agegender.exported import NAMES, Exported
from agegender.portraits.align import SIDE
from agegender.provenance import made_by
from agegender.report import part_metrics
from agegender.unseen import unseen_faces

# between PyTorch and the exported network: what it is called, how much, and its unit
TOLERANCES = {
    "age": ("an age", 0.01, " years"),
    "age_sd": ("a standard deviation of age", 0.01, " years"),
    "p_female": ("a probability of female", 0.001, ""),
}
CALIBRATED_BY = 256  # faces of the val part that set the ranges of the int8 form
LICENCE = "code: MIT; weights: as their training data's, for UTKFace non-commercial research only"


def export(cfg: DictConfig) -> pd.DataFrame:
    """Write `model.onnx`, and `model_int8.onnx` if told, with their comparison in `export.csv`.

    Returns:
        One row a form: form (torch, fp32, int8), part (test; val if there is no test part), looks
        (2 where the mirror image is averaged in, or 1), n (the part's faces), age_mae (years),
        gender_acc (0 to 1), largest (difference of an age from PyTorch's, years), megabytes.

    Raises:
        InputError: if the checkpoint or its data cannot be used, or if an answer of the fp32 form
            differs from PyTorch's by more than `TOLERANCES`.
    """
    path, folder = checkpoint.named(cfg.checkpoint), Path(cfg.output_dir)
    estimator = TorchEstimator(path, cfg.flip_average)
    data, part, crops, frame = unseen_faces(cfg, estimator.description, cfg.faces, SIDE)
    said = estimator(crops)
    rows = [_row("torch", said, said, frame, path)]
    with whole_file(folder / "model.onnx") as whole:
        write_onnx(estimator, whole)
        by_onnx = OnnxEstimator(whole)(crops)
        check_parity(by_onnx, said, path)
        rows.append(_row("fp32", by_onnx, said, frame, whole))
    if cfg.smaller:
        with whole_file(folder / "model_int8.onnx") as small:
            write_int8(
                folder / "model.onnx", small, face_crops(data, "val", CALIBRATED_BY, SIDE)[0]
            )
            rows.append(_row("int8", OnnxEstimator(small)(crops), said, frame, small))
    table = pd.DataFrame(rows)
    table.insert(1, "part", part)
    table.insert(2, "looks", 1 + estimator.flip_average)
    table = table.assign(**made_by())
    with whole_file(folder / "export.csv") as temporary:
        table.to_csv(temporary, index=False)
    return table


def check_parity(said: Answers, by_torch: Answers, path: Path) -> None:
    """Refuse a network that does not say what PyTorch says.

    Raises:
        InputError: if an age, its standard deviation or a probability differs by more than
            `TOLERANCES`; a standard deviation may be missing in both.
    """
    for name, (called, most, unit) in TOLERANCES.items():
        mine, theirs = getattr(said, name), getattr(by_torch, name)
        missing = np.isnan(mine) & np.isnan(theirs) if name == "age_sd" else False
        largest = float(np.where(missing, 0.0, np.abs(mine - theirs)).max())
        if not largest <= most:
            raise InputError(
                f"checkpoint={path} was not exported: {called} differs from PyTorch's by"
                f" {largest:.4f}{unit}, at most {most}{unit} is allowed. Its network computes"
                f" something that ONNX does otherwise"
            )


def write_onnx(estimator: TorchEstimator, path: Path) -> None:
    """Write a network as ONNX, with all that happens to a crop before and after it.

    Raises:
        InputError: if the extra is not installed, or the network has a part without a counterpart.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError:
        raise InputError("export needs the extra export: pip install 'agegender[export]'") from None
    graph = Exported(estimator.net, estimator.channels, estimator.input_side).eval()
    example = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    for name in ("onnx_ir", "onnxscript"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's exporter about its own parts
        try:
            program = torch.onnx.export(
                *(graph, (example,)),
                dynamo=True,
                input_names=["crops"],
                output_names=list(NAMES),
                dynamic_shapes=({0: torch.export.Dim("faces")},),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(f"the network cannot be written as ONNX: {first}") from None
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(proto, metadata(estimator))
    onnx.save(proto, str(path))


def metadata(estimator: TorchEstimator) -> dict[str, str]:
    """What an exported file says of itself."""
    about = estimator.description
    return {
        KEY: agegender.__version__,
        "input": f"crops: (N, {SIDE}, {SIDE}, 3) uint8 RGB, faces as UTKFace's crops have them",
        "outputs": "age: apparent age; age_sd: its standard deviation, NaN if unknown;"
        " p_female: probability of the label female, the other one is male",
        "unit": "years",
        "preprocessing": "none: resizing and normalisation are in the graph",
        "image_size": str(estimator.input_side),
        "channels": str(estimator.channels),
        "flip_average": str(estimator.flip_average),
        "split": str(about["config"]["data"]["split"]),
        "split_hash": about["split_hash"],
        "data_digest": about["data_digest"],
        "calibration": json.dumps(estimator.calibration),
        "licence": LICENCE,
    }


def write_int8(whole: Path, path: Path, crops: Sequence[Pixels]) -> None:
    """Write a form whose convolutions compute in 8 bits; the rest stays in float32.

    Args:
        whole: the float32 form.
        path: of the new one.
        crops: faces that set the ranges of what the layers give.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = _batches(crops)

        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder:
        inferred = Path(folder) / "inferred.onnx"
        quant_pre_process(str(whole), str(inferred), skip_symbolic_shape=True)
        quantize_static(
            *(inferred, path, Reader()),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


def _batches(crops: Sequence[Pixels]) -> Iterator[dict[str, npt.NDArray[np.uint8]]]:
    for start in range(0, len(crops), 32):
        yield {"crops": np.stack(crops[start : start + 32])}


def _row(
    form: str, said: Answers, by_torch: Answers, frame: pd.DataFrame, path: Path
) -> dict[str, Any]:
    table = frame.assign(age_pred=said.age, p_female=said.p_female)
    metrics = part_metrics(table)
    return {
        "form": form,
        "n": len(table),
        "age_mae": metrics["age_mae"],
        "gender_acc": metrics["gender_acc"],
        "largest": float(np.abs(said.age - by_torch.age).max()),
        "megabytes": path.stat().st_size / 1e6,
    }


def table_lines(table: pd.DataFrame) -> str:
    """The comparison for the terminal."""
    lines = ["form    faces   age MAE  gender acc  largest difference      size"]
    for row in table.itertuples():
        lines.append(
            f"{row.form:<6} {row.n:>6} {row.age_mae:>7.3f} y {row.gender_acc:>10.2%}"
            f" {row.largest:>17.5f} y {row.megabytes:>6.1f} MB"
        )
    return "\n".join(lines)
