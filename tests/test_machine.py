import subprocess
import sys
from pathlib import Path

import pytest
import torch

from agegender.machine import fastest_precision, processor_flags

from .conftest import composed

# a training step's large buffers, again and again: the pages that the kernel has to give anew
STEPS = """
import resource, sys, torch
from agegender.machine import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for _ in range(20):
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own")
def test_freed_memory_is_kept_for_the_next_step():
    def page_faults(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    # 64 MB, more than glibc keeps by itself, are 15,625 pages of 4 kB; 19 of the 20 rounds need
    # none of them anew. Half of that is asked, for a kernel that gives larger pages
    assert page_faults("given back") - page_faults("kept") > 0.5 * 19 * 15_625


def test_the_processors_instructions_are_read_by_their_names(tmp_path: Path):
    x86, arm = tmp_path / "x86", tmp_path / "arm"
    x86.write_text("model name\t: A\nflags\t\t: fpu avx512_bf16\n\nflags\t\t: fpu\n")
    arm.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert processor_flags(x86) == {"fpu", "avx512_bf16"}
    assert processor_flags(arm) == {"fp", "asimd", "bf16"}
    assert processor_flags(tmp_path / "nothing") == set()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU decides")
@pytest.mark.parametrize(
    ("flags", "precision", "said"),
    [
        ({"fpu", "avx512_bf16"}, "bf16-mixed", "(avx512_bf16)"),
        ({"fpu", "avx512f"}, "32-true", "not known"),
    ],
)
def test_precision_follows_the_processor_and_can_be_overridden(flags, precision, said, monkeypatch):
    monkeypatch.setattr("agegender.machine.processor_flags", lambda: flags)
    chosen, why = fastest_precision()
    assert chosen == precision
    assert said in why
    assert composed("output_dir=out").trainer.precision == precision
    assert composed("output_dir=out", "trainer.precision=32-true").trainer.precision == "32-true"
