"""Where and in which numbers the arithmetic runs."""

import ctypes
import math
import os
import platform
import sys
from pathlib import Path

import torch

from alexnet.errors import UsageError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def device() -> torch.device:
    """Gives this process's GPU, by its number, which other threads do not know; without one, the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


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
    """Says whether bf16 is native here; oneDNN, which takes AVX-512 without it for enough, would emulate it."""
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        return bool(torch.cpu._is_avx512_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def cores() -> int:
    """Gives the processor cores that this process may use, a container's share rounded up."""
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    match _limit("cpu.max"):
        case [quota, period]:
            return max(1, min(seen, math.ceil(int(quota) / int(period))))
    return seen


def free_memory() -> int | None:
    """Gives the bytes that this process can still have where the arithmetic runs; None where the system does not say.

    Each GPU has its own.
    """
    return torch.cuda.mem_get_info()[0] if device().type == "cuda" else free_host_memory()


def free_host_memory() -> int | None:
    """Gives the bytes of the machine's memory, or its container's, that can still be had; None where nobody says.

    Under torchrun, processes of one machine share it evenly.
    """
    available = memory("MemAvailable")
    if available is None:
        return None
    match _limit("memory.max"), _limit("memory.current"):
        case [most], [used]:
            kept = {line.split()[0]: line.split()[1] for line in _control("memory.stat").splitlines()}
            cached = int(kept.get("inactive_file", 0))  # given back as soon as it is asked for
            available = min(available, max(0, int(most) - int(used) + cached))
    sharing = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return available // max(1, int(sharing) if sharing.isdecimal() else 1)


def _limit(name: str) -> list[str] | None:
    """Gives the words of one of the limits of Linux's control group; None where there is none, or no group."""
    words = _control(name).split()
    return words if words and words[0] != "max" else None


def _control(name: str) -> str:
    """Gives a file of this process's control group (version 2); empty where there is none."""
    try:
        group = Path("/proc/self/cgroup").read_text().partition("0::/")[2].partition("\n")[0]
        return (Path("/sys/fs/cgroup") / group / name).read_text()
    except OSError:
        return ""


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
