"""The README's commands, run as they stand but smaller."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from .conftest import ROOT

README = (ROOT / "README.md").read_text()
# what makes a command small enough for a test; the last word wins
SMALLER = ["data=synthetic", "data.drawn=160", "data.image_size=48", "report=false"]


def everyday_commands() -> list[list[str]]:
    block = re.search(r"```bash\n(.*?)```", README, re.DOTALL)
    assert block is not None
    lines = [line for line in block[1].splitlines() if not line.startswith("#")]
    return [shlex.split(line) for line in lines]


def test_the_everyday_commands_run(tmp_path: Path):
    commands = everyday_commands()
    assert len(commands) == 5
    os.symlink(ROOT / "scripts", tmp_path / "scripts")
    for program, *words in commands:
        if program == "tensorboard":
            command = [sys.executable, "-m", "tensorboard.main", "--inspect", *words]
        else:
            epochs = {"12": "2"}.get(str(words).partition("max_epochs=")[2][:2], "1")
            words = [word for word in words if not word.startswith(("data.archive", "trainer.max"))]
            small = [*SMALLER, f"trainer.max_epochs={epochs}"] if "train" in words[0] else []
            command = [sys.executable, *words, *small]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        if program == "python":
            assert "part                    faces   age MAE    CS@5  gender acc" in done.stdout
            assert "test, trivial guess" in done.stdout
    assert len((tmp_path / "runs/try/history.csv").read_text().splitlines()) == 3


def test_the_readme_is_short_and_names_only_what_exists():
    assert len(README.splitlines()) <= 200
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 80
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for target in re.findall(r"^    make ([a-z-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def test_no_face_of_utkface_can_be_in_the_repository():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    files = listed.stdout.splitlines()
    pictures = {f for f in files if f.endswith((".jpg", ".jpeg", ".png", ".npy", ".ckpt", ".gz"))}
    drawn = {"docs/demo_faces.png", "docs/demo_data.png"}
    names = (
        "benchmark",
        "benchmark_costs",
        "sweep_backbones",
        "sweep_compact",
        "sweep_losses",
        "search",
        "frontier",
    )
    plots = {f"docs/results/{name}.png" for name in names}
    shown = {
        f for f in pictures if re.fullmatch(r"docs/(shipped|against_seed)/[A-Za-z_]+\.png", f)
    }  # no faces there
    assert pictures <= drawn | plots | shown | {"src/agegender/weights/shipped.ckpt"}
