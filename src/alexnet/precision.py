"""Where and in which numbers the arithmetic runs."""

import ctypes
import os
import sys
from pathlib import Path

import torch

from alexnet.errors import UsageError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def device() -> torch.device:
    """Gives the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dtype(precision: str) -> torch.dtype:
    """Gives the type of activations and products for a `precision` setting.

    Args:
        precision: `auto`, `bf16` or `float32`.

    Raises:
        UsageError: bf16 is asked for on a processor that would emulate it.
    """
    if precision == "float32":
        return torch.float32
    if has_bf16():
        return torch.bfloat16
    if precision == "bf16":
        raise UsageError("this processor has no bf16 instructions; take precision=float32 (or auto, which does)")
    return torch.float32


def has_bf16() -> bool:
    """Says whether bf16 is native here."""
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def cores() -> int:
    """Gives the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Gives the bytes that this process can still have where the arithmetic runs; None where the system does not say.

    Under torchrun, processes of one machine share its memory evenly; each GPU has its own.
    """
    if device().type == "cuda":
        return torch.cuda.mem_get_info()[0]
    available = memory("MemAvailable")
    return available // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if available is not None else None


def memory(which: str) -> int | None:
    """Gives the bytes of one line of Linux's account, such as `MemTotal`; None elsewhere."""
    account = Path("/proc/meminfo")
    lines = (line.split() for line in account.read_text().splitlines()) if account.exists() else ()
    return next((1024 * int(line[1]) for line in lines if line[0] == f"{which}:"), None)


def keep_memory() -> None:
    """Lets the process keep the memory it frees, for the next step to use.

    A step on the CPU allocates and frees about a gigabyte of activations. By default glibc returns each large block
    to the system, which then clears every page anew: on the reference machine that costs more than the convolutions.
    Huge pages, where the system offers them, make what clearing is left cheap. Elsewhere than on glibc nothing is done.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_TOP_PAD, 256 << 20)
