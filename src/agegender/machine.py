"""What this machine can do fast, and how its memory is kept."""

import ctypes
import platform
from pathlib import Path

import torch

# glibc's mallopt(3): from which size a block is mapped alone, and when the heap's end is given back
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# what Linux calls instructions that multiply bfloat16: x86, and Arm
BF16_FLAGS = {"amx_bf16", "avx512_bf16", "bf16", "svebf16"}


STARTED_WITH = torch.get_num_threads()


def fastest_precision() -> tuple[str, str]:
    """Lightning's name of the fastest precision that trains as well as float32, and why.

    bfloat16 where the GPU or the processor multiplies it in hardware; elsewhere it is emulated,
    and slower than float32.
    """
    if torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "the GPU multiplies bfloat16"
        return "32-true", "the GPU does not multiply bfloat16"
    found = sorted(BF16_FLAGS & processor_flags())
    if found:
        return "bf16-mixed", f"the processor multiplies bfloat16 ({', '.join(found)})"
    return "32-true", "this processor is not known to multiply bfloat16"


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """The processor's instruction sets by Linux's names; empty on other systems."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    said = (line.partition(":") for line in lines)
    return {flag for key, _, flags in said if key.strip() in ("flags", "Features")
            for flag in flags.split()}  # fmt: skip


def use_threads(threads: int | None) -> None:
    """Compute with so many processor threads; None: as many as torch started with."""
    wanted = threads or STARTED_WITH
    if wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)


def keep_freed_memory() -> bool:
    """Let glibc keep what a training step frees, for the next one to use.

    Its default gives blocks above 32 MB back to the kernel at once and gets them again, page by
    page filled with zeros, a step later. The seed network's first activations are such blocks.

    Returns:
        Whether it was done; False where the C library is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
