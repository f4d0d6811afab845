"""What tests share: real data where it is, a small drawn data set, the scripts as users do."""

import contextlib
import os
import runpy
import subprocess
import sys
from io import StringIO
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: tests share their cores
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from agegender import config
from agegender.data import synthetic
from agegender.data.files import in_turn
from agegender.data.table import Faces, read_table

TORCHS_OWN = "_remote_module_non_scriptable.py"  # torch 2.9 keeps it in a temporary folder
ROOT = Path(__file__).parents[1]
ARCHIVES = (
    Path(os.environ.get("AGEGENDER_UTKFACE", "UTKFace.tar.gz")),
    ROOT.parent / "shared/data/UTKFace.tar.gz",
)
DRAWN = 160
# the smallest picture that four blocks of the seed network can take, and few of them; figures of
# a report take longer than such a training
SMALL = (
    "data=synthetic", f"data.drawn={DRAWN}", "data.image_size=48", "trainer.max_epochs=2",
    "report=false",
)  # fmt: skip

config.register()


def run_script(name: str, *words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """`python scripts/NAME.py WORDS`, as a user would."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


def run_here(name: str, *words: str, cwd: Path = ROOT) -> tuple[int, str]:
    """The same script without the start of a new Python: its exit status, and all it says."""
    said, status = StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(said),
    ):
        patch.chdir(cwd)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr(sys, "argv", [f"{name}.py", *words])
        try:
            runpy.run_path(str(ROOT / "scripts" / f"{name}.py"), run_name="__main__")
        except SystemExit as end:
            status = int(end.code or 0)
    return status, said.getvalue()


def refusal(name: str, *words: str, cwd: Path) -> str:
    """What a script says when it refuses its words."""
    status, said = run_here(name, *words, cwd=cwd)
    assert status == 2
    assert "error: " in said
    assert "Traceback" not in said
    return said


def composed(*overrides: str, name: str = "train") -> DictConfig:
    """A config as Hydra composes it, without its main function."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(name, list(overrides))


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole session, so that pictures are drawn and decoded once."""
    place = tmp_path_factory.getbasetemp() / "cache"
    if "PYTEST_XDIST_WORKER" in os.environ:  # one for all workers: it can take that
        place = place.parents[1] / "cache"
    place.mkdir(exist_ok=True)
    os.environ["AGEGENDER_DATA"] = str(place)
    return place


@pytest.fixture(scope="session")
def drawn(cache_dir: Path) -> Faces:
    """A table of drawn portraits."""
    with in_turn(cache_dir):
        return read_table(synthetic.draw_folder(cache_dir, DRAWN, 0), cache_dir)


@pytest.fixture(scope="session")
def checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of one epoch on drawn portraits, in colour, with a distribution over ages."""
    from agegender.train import fit

    folder = tmp_path_factory.mktemp("trained")
    words = ("model=resnet", "loss=dldl", "data.channels=3", "trainer.max_epochs=1")
    fit(composed(*SMALL, *words, f"output_dir={folder}"))
    return folder / "checkpoints/best.ckpt"


@pytest.fixture(scope="session")
def utkface_archive() -> Path:
    for place in ARCHIVES:
        if place.is_file():
            return place.resolve()
    pytest.skip("real UTKFace is not here: name it with AGEGENDER_UTKFACE=UTKFace.tar.gz")


@pytest.fixture(scope="session")
def utkface(utkface_archive: Path, cache_dir: Path) -> Faces:
    """The table of all of real UTKFace."""
    from agegender.data.source import extract

    with in_turn(cache_dir):
        return read_table(extract(utkface_archive, cache_dir), cache_dir)
