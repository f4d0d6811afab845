"""README's and CONTRIBUTING's recipes, followed literally in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from .conftest import ROOT, SMALL


def files_in(document: str) -> dict[str, str]:
    """Code blocks that begin with a comment naming their file."""
    blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", document, re.DOTALL)
    return dict(blocks)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("src", "conf", "scripts", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("document", "group"), [("README.md", "model"), ("CONTRIBUTING.md", "loss")]
)
def test_two_files_are_enough(document: str, group: str, project: Path):
    files = files_in((ROOT / document).read_text())
    assert len(files) == 2
    for name, text in files.items():
        path = project / name
        assert not path.exists()
        path.write_text(text)
    option = next(Path(name).stem for name in files if name.endswith(".yaml"))
    assert f"conf/{group}/{option}.yaml" in files

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, "PYTHONPATH": str(project / "src")}
        done = subprocess.run(
            [sys.executable, *command], cwd=project, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    words = [*SMALL, "trainer.max_epochs=1", "output_dir=run", f"{group}={option}"]
    run("scripts/train.py", *words)
    assert (pd.read_csv(project / "run/predictions.csv")["age_pred"].nunique()) > 1
    tests = ["tests/models/test_zoo.py", "tests/test_imports.py", "tests/test_config.py"]
    done = run("-m", "pytest", "-q", "-k", f"{option} or imports_follow or has_its_yaml", *tests)
    counted = re.search(r"(\d+) passed", done.stdout)
    assert counted is not None
    assert int(counted[1]) >= 8
