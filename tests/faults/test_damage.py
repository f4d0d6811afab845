"""Files with some bytes changed, lost or cut off: told and never used as if they were whole."""

import copy
import dataclasses
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from agegender import checkpoint
from agegender.data import synthetic
from agegender.data.audit import find_pairs
from agegender.data.cache import open_pixels
from agegender.data.files import check_sealed
from agegender.data.splits import assign_parts
from agegender.data.table import Faces, read_table
from agegender.errors import InputError
from agegender.train import fit

from ..conftest import SMALL, composed, run_here
from .recorder import recorded

KINDS = ("flip", "zeros", "noise", "cut", "lost", "twice", "more")
FEW, MANY = 14, 120  # mutations of a file by default, and in the slow tests


def mutated(data: bytes, seed: int, n: int) -> tuple[str, bytes]:
    """The mutation number `seed` of `n`: kinds take turns, places go from the start to the end."""
    rng = np.random.default_rng([seed, len(data)])
    kind = KINDS[seed % len(KINDS)]
    at = int((seed + rng.random()) / n * len(data))
    span = int(min(len(data) - at, rng.integers(1, 64)))
    if kind == "flip":
        byte = bytes([data[at] ^ (1 << int(rng.integers(8)))])
        return kind, data[:at] + byte + data[at + 1 :]
    noise = rng.bytes(span)
    put = {"zeros": bytes(span), "noise": noise, "cut": b"", "lost": b"", "more": noise}
    middle = data[at : at + span] * 2 if kind == "twice" else put[kind]
    rest = {"cut": b"", "more": data[at:]}.get(kind, data[at + span :])
    return kind, data[:at] + middle + rest


def damage(path: Path, use: Callable[[], str], n: int, name: str) -> list[str]:
    """Damage a file in `n` ways, one after another; what `use` makes of each is recorded."""
    whole, outcomes = path.read_bytes(), []
    for seed in range(n):
        kind, data = mutated(whole, seed, n)
        if data == whole:  # zeros where there were zeros
            continue
        path.write_bytes(data)
        outcomes.append(use())
        recorded(f"damage: {name}, {kind}", seed, outcomes[-1])
        if not path.is_file() or path.read_bytes() != whole:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(whole)
    assert outcomes
    return outcomes


def named(error: InputError, path: Path, words: str, other: str) -> str:
    """By what a file is refused; the sentence names the file."""
    assert str(path) in str(error)
    return WHY[words] if words in str(error) else other


WHY = {
    "its digest says": "its digest",
    "as its run wrote it": "its digest",
    "files that are not in the data": "a name that is not in the data",
}
counts = pytest.mark.parametrize("n", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


@pytest.fixture
def few(tmp_path: Path) -> Faces:
    """Twelve portraits, and all that is cached of them, in a folder of their own."""
    return read_table(synthetic.draw_folder(tmp_path, 12, 0), tmp_path)


@pytest.fixture(scope="session")
def run(checkpoint_file: Path) -> Path:
    """The folder of a short run, which stays as it is."""
    return checkpoint_file.parents[1]


@counts
def test_a_damaged_checkpoint_is_refused(n: int, run: Path, tmp_path: Path, caplog):
    path = tmp_path / "best.ckpt"
    shutil.copy(run / "checkpoints/best.ckpt", path)
    digest = checkpoint.digest(checkpoint.read(path))

    def use() -> str:
        caplog.clear()
        checkpoint._warn_unchecked.cache_clear()
        try:
            found = checkpoint.read(path)
        except InputError as error:
            return "refused: " + named(error, path, "its digest says", "by torch")
        if checkpoint.digest(found) == digest:
            return "harmless: the content is the same"
        # the one place whose damage leaves nothing to compare with is the digest's own name
        assert "has no digest" in caplog.text
        found = {k: v for k, v in found.items() if not k.startswith("agegender_d")}
        assert checkpoint.digest(found) == digest
        return "warned: its digest cannot be found, the content is the same"

    outcomes = damage(path, use, n, "checkpoint")
    assert sum(outcome.startswith("refused") for outcome in outcomes) > len(outcomes) / 2


def test_every_tensor_and_value_of_a_checkpoint_counts(run: Path, tmp_path: Path):
    path = tmp_path / "c.ckpt"
    content = checkpoint.read(run / "checkpoints/last.ckpt")
    digest = checkpoint.digest(content)
    checkpoint.save(content, path)
    assert checkpoint.digest(checkpoint.read(path)) == digest, "the same after saving and loading"

    def altered(change: Callable[[dict], None]) -> str:
        other = copy.deepcopy(content)
        change(other)
        return checkpoint.digest(other)

    def last_bit(tensor: torch.Tensor) -> None:
        last = tuple(size - 1 for size in tensor.shape)
        up = torch.tensor(torch.inf)
        tensor[last] = torch.nextafter(tensor[last], up) if tensor.is_floating_point() else 7

    optimizer = content["optimizer_states"][0]["state"]
    changes = [
        *(lambda c, k=k: last_bit(c["state_dict"][k]) for k in list(content["state_dict"])[::9]),
        lambda c: last_bit(c["optimizer_states"][0]["state"][len(optimizer) - 1]["exp_avg_sq"]),
        lambda c: last_bit(c["agegender"]["train_digests"]),
        lambda c: c["agegender"]["config"]["data"].update(channels=1),
        lambda c: c.update(epoch=True),
        lambda c: c.pop("lr_schedulers"),
    ]
    found = {altered(change) for change in changes}
    assert len(found | {digest}) == len(changes) + 1


def test_the_training_checks_what_it_goes_on_from(run: Path, tmp_path: Path, caplog):
    path = tmp_path / "last.ckpt"
    words = (*SMALL, "model=resnet", "loss=dldl", "data.channels=3", f"output_dir={tmp_path}/run")
    content = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    weight = content["state_dict"]["net.age_head.out.bias"].numpy().tobytes()
    data = (run / "checkpoints/last.ckpt").read_bytes()
    at = data.index(weight)
    path.write_bytes(data[:at] + bytes([weight[0] ^ 1]) + data[at + 1 :])
    torch.load(path, weights_only=True)  # which sees nothing
    with pytest.raises(InputError, match=r"last\.ckpt is damaged"):
        fit(composed(*words, f"ckpt_path={path}"))
    recorded("damage: a weight's bit, continued", 0, "refused: its digest")


def test_a_checkpoint_of_an_earlier_version_is_read_with_one_warning(
    run: Path, tmp_path: Path, caplog
):
    content = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    del content[checkpoint.DIGEST]
    path = tmp_path / "old.ckpt"
    torch.save(content, path)
    for _ in range(2):
        assert checkpoint.load(path).description["split_hash"]
    assert caplog.text.count("old.ckpt has no digest") == 1
    checkpoint.keep_calibration(path, {"n": 1})  # and what is written anew has one
    assert len(torch.load(path, weights_only=True)[checkpoint.DIGEST]) == 64
    assert checkpoint.read(path)["agegender"]["calibration"] == {"n": 1}


@counts
@pytest.mark.parametrize("name", ["manifest.json", "pixels.npy"])
def test_a_damaged_cache_is_made_again(name: str, n: int, few: Faces, tmp_path: Path, caplog):
    expected = np.array(open_pixels(few, tmp_path, 1, 24))
    [path] = tmp_path.glob(f"pixels/*/{name}")
    content = path.read_bytes()

    def use() -> str:
        caplog.clear()
        assert (open_pixels(few, tmp_path, 1, 24) == expected).all()
        return healed(path, content, caplog)

    outcomes = damage(path, use, n, name)
    assert sum(outcome.startswith("told") for outcome in outcomes) > len(outcomes) * 0.8


@counts
@pytest.mark.parametrize("name", ["faces.csv", "manifest.json"])
def test_a_damaged_table_is_made_again(name: str, n: int, few: Faces, tmp_path: Path, caplog):
    [path] = tmp_path.glob(f"tables/*/{name}")
    content = path.read_bytes()

    def use() -> str:
        caplog.clear()
        found = read_table(few.folder, tmp_path)
        assert found.frame.equals(few.frame)
        assert found.digest == few.digest
        return healed(path, content, caplog)

    outcomes = damage(path, use, n, f"table's {name}")
    assert sum(outcome.startswith("told") for outcome in outcomes) > len(outcomes) * 0.8


def test_damaged_pairs_are_found_again(few: Faces, tmp_path: Path, caplog):
    twice = dataclasses.replace(few, frame=few.frame, digest="another")
    expected = find_pairs(twice, tmp_path)
    [path] = tmp_path.glob("audit/*/pairs.csv")
    content = path.read_bytes()

    def use() -> str:
        caplog.clear()
        assert find_pairs(twice, tmp_path).equals(expected)
        return healed(path, content, caplog)

    assert set(damage(path, use, 7, "pairs.csv")) == {"told and made again"}


def healed(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> str:
    """Whether a damaged file of a cache was told and replaced, or means what it meant."""
    if "is damaged" in caplog.text:
        assert str(path.parent) in caplog.text
        assert path.read_bytes() == content
        return "told and made again"
    assert json.loads(path.read_bytes()) == json.loads(content)  # a blank more or less
    return "harmless: it says the same"


def test_what_earlier_versions_cached_is_made_again(few: Faces, tmp_path: Path, caplog):
    expected = np.array(open_pixels(few, tmp_path, 1, 24))
    [path] = tmp_path.glob("pixels/*/manifest.json")
    content = json.loads(path.read_text())
    del content["seal"], content["files"]
    path.write_text(json.dumps(content))
    assert (open_pixels(few, tmp_path, 1, 24) == expected).all()
    assert "is not one that this version writes" in caplog.text
    path.with_name("pixels.npy").unlink()
    assert (open_pixels(few, tmp_path, 1, 24) == expected).all()
    assert "pixels.npy: No such file" in caplog.text


@counts
def test_a_damaged_config_of_a_run_is_refused(n: int, run: Path, tmp_path: Path):
    path = tmp_path / "config.yaml"
    shutil.copy(run / "config.yaml", path)
    _, _, below = path.read_bytes().partition(b"\n")

    def use() -> str:
        try:
            check_sealed(path)
        except InputError as error:
            return "refused: " + named(error, path, "as its run wrote it", "otherwise")
        assert path.read_bytes().partition(b"\n")[2] == below
        return "harmless: only the digest's own line has changed"

    outcomes = damage(path, use, n, "config.yaml")
    assert outcomes.count("refused: its digest") > len(outcomes) * 0.8


def test_the_script_refuses_a_damaged_config_and_takes_an_edited_one(run: Path, tmp_path: Path):
    path = tmp_path / "config.yaml"
    text = (run / "config.yaml").read_text()
    words = ("--config-dir", str(tmp_path), "--config-name", "config", f"output_dir={tmp_path}/new")
    for damaged in (text.replace("seed: 1", "seed: 3"), text[:-30], text + "\n\0"):
        assert damaged != text
        path.write_text(damaged)
        status, said = run_here("train", *words)
        assert status == 2
        assert "config.yaml is not as its run wrote it: it is damaged, or was edited" in said
        assert "Traceback" not in said
    path.write_text(text.partition("\n")[2].replace("gender_smoothing: 0.0", "gender_smoothing: 2"))
    assert "gender_smoothing=2: must be" in run_here("train", *words)[1]


@counts
def test_a_damaged_split_file_is_refused_or_told(n: int, few: Faces, tmp_path: Path, caplog):
    path = tmp_path / "split.csv"
    parts = np.array(["train", "val", "test"] * 4)
    frame = few.frame
    table = frame.assign(part=parts)[["file", "part", "group_id"]]
    table.to_csv(path, index=False)

    def use() -> str:
        caplog.clear()
        try:
            found = assign_parts(frame, "file", path)
        except InputError as error:
            return "refused: " + named(error, path, "files that are not in the data", "otherwise")
        left = found == ""
        assert (found[~left] == parts[~left]).all()
        if not left.any():
            return "harmless: all faces are in their part"
        assert f"leaves out {left.sum()} of the 12 faces" in caplog.text
        return "told: faces are left out"

    with caplog.at_level(logging.WARNING):
        outcomes = damage(path, use, n, "split file")
    assert sum(outcome.startswith("refused") for outcome in outcomes) > len(outcomes) / 3
