"""How the tests are tested, told by what coverage.py and mutmut say."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from agegender.errors import InputError
from agegender.tables.tests import coverage_table, mutants_table, survivors_table
from agegender.tested import coverage_rows, mutant_rows, survivor_rows

from .conftest import ROOT

RESULTS = """
    agegender.losses.ce.xǁCEǁforward__mutmut_1: killed
    agegender.losses.ce.xǁCEǁforward__mutmut_2: survived
    agegender.losses.ce.xǁCEǁ__init____mutmut_1: timeout
    agegender.data.splits.x__by_name__mutmut_12: no tests
    agegender.data.splits.x_crossings__mutmut_1: killed
"""
DIFFS = {
    "agegender.losses.ce.xǁCEǁforward__mutmut_2": "--- a\n+++ b\n@@ -1 +1 @@\n x\n-  a | b\n+  a",
    "agegender.data.splits.x__by_name__mutmut_12": "--- a\n+++ b\n@@ -1 +1 @@\n-  n = 1\n+  n = 2",
}


def test_mutants_are_counted_by_module_and_survivors_shown(tmp_path: Path):
    counts = mutant_rows(RESULTS)
    assert counts.to_dict("list") == {
        "module": ["agegender.data.splits", "agegender.losses.ce"],
        "mutants": [2, 3],
        "killed": [1, 1],
        "survived": [1, 1],
        "timeouts": [0, 1],
    }
    known = pd.DataFrame(
        [["agegender.losses.ce", "CE.forward", "a | b", "a", "b is nothing"]],
        columns=["module", "function", "was", "became", "equivalent"],
    )
    survivors = survivor_rows(RESULTS, DIFFS.__getitem__, known)
    assert survivors["function"].tolist() == ["CE.forward", "_by_name"]
    assert survivors["equivalent"].fillna("").tolist() == ["b is nothing", ""]
    counts.to_csv(tmp_path / "counts.csv", index=False)
    survivors.to_csv(tmp_path / "survivors.csv", index=False)
    table = mutants_table(tmp_path / "counts.csv", tmp_path / "survivors.csv")
    assert "| data.splits | 2 | 1 | 0 | 1 | 0 | 50% |" in table
    assert table.endswith("| **all** | 5 | 2 | 1 | 2 | 1 | 60% |"), "a mutant that hangs is seen"
    assert survivors_table(tmp_path / "survivors.csv").splitlines()[2:] == [
        "| data.splits | `_by_name` | `n = 1` | `n = 2` |"
    ]


def test_a_run_that_is_not_finished_is_no_result():
    with pytest.raises(InputError, match="'not checked' of agegender"):
        mutant_rows(f"{RESULTS}\n    agegender.b.x_c__mutmut_1: not checked")


BRANCHES = """
def sign(x):
    if x < 0:
        return -1
    return 1
"""


def test_coverage_counts_branches_and_what_runs_in_other_processes(tmp_path: Path):
    (tmp_path / "src").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "src/signs.py").write_text(BRANCHES)
    (tmp_path / "src/never.py").write_text("a = 1\nb = 2\n")
    place = str(tmp_path / "src")
    code = f"import sys; sys.path.insert(0, {place!r}); import signs; signs.sign(1)"
    (tmp_path / "both.py").write_text(
        f"import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {code!r}], cwd='elsewhere', check=True)\n"
    )
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["run"]
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    (tmp_path / "pyproject.toml").write_text(f"[tool.coverage.run]\n{lines}\n")
    for words in (["run", "both.py"], ["combine", "-q"], ["json", "-q"]):
        subprocess.run([sys.executable, "-m", "coverage", *words], cwd=tmp_path, check=True)
    rows = coverage_rows(tmp_path / "coverage.json")
    assert rows.to_dict("records") == [
        {"file": "src/never.py", "statements": 2, "missed": 2, "branches": 0, "partly": 0,
         "percent": 0.0},
        {"file": "src/signs.py", "statements": 4, "missed": 1, "branches": 2, "partly": 1,
         "percent": 66.67},
    ]  # fmt: skip
    rows.to_csv(tmp_path / "coverage.csv", index=False)
    table = coverage_table(tmp_path / "coverage.csv").splitlines()
    assert table[2] == "| **all 2 files** | 6 | 3 | 2 | 1 | 50.0% |"
    assert table[3] == "| src/never.py | 2 | 2 | 0 | 0 | 0.0% |"
