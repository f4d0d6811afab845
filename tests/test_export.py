import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import agegender
from agegender import export
from agegender.checkpoint import short_digests
from agegender.data import synthetic
from agegender.data.cache import prepare
from agegender.errors import InputError
from agegender.estimators import Answers, TorchEstimator, open_estimator
from agegender.exported import Exported
from agegender.losses.l1 import L1
from agegender.models.net import Net
from agegender.models.resnet import ResNet
from agegender.unseen import unseen_faces

from .conftest import ROOT, composed, run_here

pytest.importorskip("onnxruntime", reason="needs the extra export")


@pytest.fixture(scope="module")
def exported(checkpoint_file: Path, tmp_path_factory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("exported") / "out"
    words = (f"checkpoint={checkpoint_file}", f"output_dir={out}")
    status, said = run_here("export", *words, cwd=out.parent)
    assert status == 0, said
    return out, said


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [48, 64, 128, 200, 224])
def test_the_graph_prepares_crops_as_training_did(channels: int, side: int):
    rng = np.random.default_rng(side)
    drawn = [np.asarray(synthetic.portrait(5, i)[1]) for i in range(3)]
    noise = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)  # overshoots at both ends
    hard = (rng.random((200, 200, 1)) > 0.5).repeat(3, 2).astype(np.uint8) * 255
    crops = np.stack([*drawn, noise, hard])
    wanted = np.stack([prepare(Image.fromarray(crop), channels, side) for crop in crops])
    graph = Exported(Net(ResNet(channels, 4, (1,)), L1()), channels, side)
    np.testing.assert_array_equal(graph.prepared(torch.from_numpy(crops)).numpy(), wanted)


def test_both_forms_are_written_with_their_figures(exported):
    out, said = exported
    table = pd.read_csv(out / "export.csv")
    assert table["command"].str.contains("scripts/export.py checkpoint=").all()
    by_form = {row["form"]: row for row in table.to_dict("records")}
    assert by_form.keys() == {"torch", "fp32", "int8"}
    assert by_form["fp32"]["largest"] <= 0.01
    assert set(table["part"]) == {"test"}
    assert set(table["looks"]) == {1}
    assert by_form["fp32"]["age_mae"] == pytest.approx(by_form["torch"]["age_mae"], abs=0.01)
    assert by_form["int8"]["megabytes"] < by_form["fp32"]["megabytes"] / 2
    assert "largest difference" in said
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".log") == [
        "export.csv", "model.onnx", "model_int8.onnx",
    ]  # fmt: skip


@pytest.mark.parametrize("faces", [1, 2, 7])
def test_the_exported_file_predicts_as_the_checkpoint(exported, checkpoint_file, faces: int):
    crops = [synthetic.portrait(6, i)[1] for i in range(faces)]
    by_torch = agegender.load(checkpoint_file, "none").predict(crops)
    by_onnx = agegender.load(exported[0] / "model.onnx", "none").predict(crops)
    for name in ("age_pred", "age_sd"):
        np.testing.assert_allclose(by_onnx[name], by_torch[name], atol=0.01)
    np.testing.assert_allclose(by_onnx["p_female"], by_torch["p_female"], atol=1e-3)
    assert by_torch["age_pred"].notna().all()


def test_the_script_predicts_by_onnxruntime(exported, tmp_path: Path):
    synthetic.portrait(6, 0)[1].save(tmp_path / "a.png")
    words = ("input=a.png", f"checkpoint={exported[0] / 'model_int8.onnx'}", "detector=none")
    status, said = run_here("predict", *words, "output_dir=out", "runtime=onnx", cwd=tmp_path)
    assert status == 0, said


def test_the_file_works_with_onnxruntime_and_numpy_alone(exported, checkpoint_file, tmp_path):
    crops = [np.asarray(synthetic.portrait(7, i)[1]) for i in range(3)]
    np.save(tmp_path / "crops.npy", np.stack(crops))
    blocked = "import sys; sys.modules['torch'] = sys.modules['agegender'] = None; import runpy; "
    run = "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    words = [str(ROOT / "examples/onnx_alone.py"), str(exported[0] / "model.onnx"), "crops.npy"]
    done = subprocess.run(
        [sys.executable, "-c", blocked + run, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ages = [float(line.split()[0]) for line in done.stdout.splitlines()]
    wanted = agegender.load(checkpoint_file, "none").predict(crops)["age_pred"]
    np.testing.assert_allclose(ages, wanted, atol=0.02)


def test_looking_once_is_another_network_whose_intervals_are_not_known(
    checkpoint_file: Path, tmp_path: Path
):
    words = (f"checkpoint={checkpoint_file}", "smaller=false", "flip_average=true")
    status, said = run_here("export", *words, f"output_dir={tmp_path}", cwd=tmp_path)
    assert status == 0, said
    crops = [np.asarray(synthetic.portrait(5, i)[1]) for i in range(4)]
    mirrored = [crop[:, ::-1] for crop in crops]
    once = TorchEstimator(checkpoint_file)
    both = open_estimator(tmp_path / "model.onnx")
    assert not np.allclose(once(crops).age, once(mirrored).age, atol=0.01)
    mean = (once(crops).age + once(mirrored).age) / 2
    np.testing.assert_allclose(both(crops).age, mean, atol=0.01)
    assert once.calibration
    assert both.calibration is None


def test_the_file_says_what_it_is(exported, checkpoint_file):
    import onnx

    model = onnx.load(str(exported[0] / "model.onnx"))
    about = {prop.key: prop.value for prop in model.metadata_props}
    trained = TorchEstimator(checkpoint_file).description
    assert about["agegender"] == agegender.__version__
    assert about["split_hash"] == trained["split_hash"]
    assert (about["unit"], about["image_size"], about["channels"]) == ("years", "48", "3")
    assert "apparent age" in about["outputs"]
    assert "non-commercial" in about["licence"]
    (crops,) = model.graph.input
    shape = crops.type.tensor_type.shape.dim
    assert shape[0].dim_param
    assert [d.dim_value for d in shape[1:]] == [200, 200, 3]
    assert crops.type.tensor_type.elem_type == onnx.TensorProto.UINT8


@pytest.mark.parametrize(
    ("name", "off", "said"),
    [
        ("age", 0.0101, "an age differs from PyTorch's by 0.0101 years, at most 0.01 years"),
        ("age", np.nan, "an age differs"),
        ("age_sd", 0.0101, "a standard deviation of age differs"),
        ("age_sd", np.nan, "a standard deviation of age differs"),
        ("p_female", 0.0011, "a probability of female differs from PyTorch's by 0.0011, at most"),
    ],
)
def test_a_network_that_does_not_say_the_same_is_refused(name: str, off: float, said: str):
    by_torch = Answers(np.array([30.0, 40.0]), np.array([5.0, np.nan]), np.array([0.2, 0.7]))
    path = Path("best.ckpt")
    export.check_parity(by_torch, by_torch, path)
    wrong = by_torch._replace(**{name: getattr(by_torch, name) + np.array([off, 0])})
    with pytest.raises(InputError, match=rf"best\.ckpt was not exported: {said}"):
        export.check_parity(wrong, by_torch, path)
    small = by_torch._replace(**{name: getattr(by_torch, name) + 0.0009})
    export.check_parity(small, by_torch, path)


def test_without_a_test_part_faces_of_the_val_part_are_taken(checkpoint_file: Path):
    about = TorchEstimator(checkpoint_file).description
    cfg = composed(f"checkpoint={checkpoint_file}", "data.split=notebook", name="export")
    found = unseen_faces(cfg, about, 20, 200)
    trained = set(about["train_digests"].tolist())
    assert found.part == "val"
    assert set(found.frame["part"]) == {"val"}
    assert 0 < len(found.crops) == len(found.frame) < 20  # of another split: some were trained on
    assert not trained & set(short_digests(found.frame["sha256"].tolist()).tolist())
    everything = {**about, "train_digests": short_digests(found.data.frame["sha256"].tolist())}
    with pytest.raises(InputError, match="all of 20 faces of its val part are, or are copies of"):
        unseen_faces(cfg, everything, 20, 200)


def test_nothing_is_left_of_an_8_bit_form_that_fails(exported, tmp_path: Path):
    with pytest.raises(ValueError, match="No data is collected"):
        export.write_int8(exported[0] / "model.onnx", tmp_path / "small.onnx", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_no_file_is_left_of_a_network_that_is_refused(checkpoint_file, tmp_path, monkeypatch):
    monkeypatch.setitem(export.TOLERANCES, "age", ("an age", -1.0, " years"))
    words = (f"checkpoint={checkpoint_file}", f"output_dir={tmp_path / 'out'}", "faces=4")
    with pytest.raises(InputError, match=r"was not exported: an age differs from PyTorch's by"):
        export.export(composed(*words, name="export"))
    assert not (tmp_path / "out/model.onnx").exists()


def test_a_foreign_onnx_file_is_refused(tmp_path: Path):
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "abs.onnx"))
    with pytest.raises(InputError, match="was not exported by agegender"):
        agegender.load(tmp_path / "abs.onnx", "none")
