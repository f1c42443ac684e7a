"""What this process may use of the machine, and which types of numbers it computes in."""

import ctypes
import functools
import math
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from alexnet import native
from alexnet.errors import UsageError

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


@dataclass(frozen=True)
class Facts:
    """What the machine is, in facts that need no measuring."""

    cpu: str  # name of the processor
    cores: int  # that this process may use
    threads: int  # that PyTorch computes with
    bf16: bool  # whether bf16 is native where the arithmetic runs
    kernels: bool  # whether the compiled kernels are loaded
    memory: int | None  # bytes of main memory; None where the system does not report it
    shared_memory: int | None  # bytes of /dev/shm; None where there is none
    gpu: str | None
    torch: str  # version
    system: str  # name and version


def facts() -> Facts:
    """Returns the facts of this machine."""
    return Facts(
        cpu=_entry("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        cores=cores(),
        threads=torch.get_num_threads(),
        bf16=has_bf16(),
        kernels=native.library() is not None,
        memory=_main_memory("MemTotal"),
        shared_memory=shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else None,
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        torch=str(torch.__version__),
        system=platform.platform(),
    )


def device() -> torch.device:
    """Returns the GPU of this process, or the CPU where there is no GPU."""
    # The GPU carries its number, because another thread may have a different current device.
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def dtype(precision: str) -> torch.dtype:
    """Returns the type of activations and products for a `precision` setting: `auto`, `bf16` or `float32`.

    Raises:
        UsageError: The setting is bf16 and the processor would only emulate it.
    """
    if precision == "bf16" and not has_bf16():
        raise UsageError("this processor has no bf16 instructions; take precision=float32 (or auto, which does)")
    return torch.bfloat16 if precision != "float32" and has_bf16() else torch.float32


def has_bf16() -> bool:
    """Returns whether the processor or GPU has bf16 instructions."""
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):  # oneDNN says yes for AVX-512 alone, and emulates it slowly
        return _answers_yes(torch.cpu, "_is_avx512_bf16_supported")
    return _answers_yes(torch.ops.mkldnn, "_is_mkldnn_bf16_supported")


@functools.cache
def has_tiles() -> bool:
    """Returns whether the processor multiplies bf16 in tiles, as those with AMX do."""
    return has_bf16() and _answers_yes(torch.cpu, "_is_amx_tile_supported")


def _answers_yes(owner: object, question: str) -> bool:
    """Asks PyTorch a question that is not in its public interface; one that a version lacks is answered by no."""
    return bool(getattr(owner, question, lambda: False)())


def cores() -> int:
    """Returns the number of processor cores that this process may use; a container's quota is rounded up."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _limit("cpu.max")
    return max(1, min(usable, math.ceil(int(quota[0]) / int(quota[1])))) if quota else usable


def free_memory() -> int | None:
    """Returns the bytes still free on this process's GPU or else in main memory; None where they are not reported."""
    return torch.cuda.mem_get_info()[0] if device().type == "cuda" else free_host_memory()


def free_host_memory() -> int | None:
    """Returns the bytes of main memory still free to this process; None where the system does not report it.

    A container's limit counts. Processes that torchrun has started on one machine divide its memory evenly.
    """
    available = _main_memory("MemAvailable")
    if available is None:
        return None
    match _limit("memory.max"), _limit("memory.current"):
        case [most], [used]:
            statistics = dict(line.split()[:2] for line in _control("memory.stat").splitlines())
            cached = int(statistics.get("inactive_file", 0))  # the kernel gives these pages up on demand
            available = min(available, max(0, int(most) - int(used) + cached))
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return available // max(1, int(processes) if processes.isdecimal() else 1)


def keep_memory() -> None:
    """Lets the process keep the memory it frees, for the next step to use; without glibc this does nothing.

    A step on the CPU allocates and frees about a gigabyte of activations. By default glibc returns each large block
    to the system, which then clears every page anew: on the reference machine that costs more than the convolutions.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # PyTorch asks for huge pages: what clearing remains is cheap
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_TOP_PAD, 256 << 20)


def _limit(name: str) -> list[str] | None:
    """Returns the words of one limit of Linux's control group; None where there is no limit or no group."""
    words = _control(name).split()
    return None if words[:1] in ([], ["max"]) else words


def _control(name: str) -> str:
    """Returns the content of a file of this process's control group (version 2); empty where there is none."""
    try:
        group = Path("/proc/self/cgroup").read_text().partition("0::/")[2].partition("\n")[0]
        return (Path("/sys/fs/cgroup") / group / name).read_text()
    except OSError:
        return ""


def _main_memory(entry: str) -> int | None:
    """Returns the bytes of an entry of /proc/meminfo, such as `MemTotal`; None on other systems than Linux."""
    kilobytes = _entry("/proc/meminfo", entry)
    return 1024 * int(kilobytes.split()[0]) if kilobytes else None


def _entry(file: str, name: str) -> str | None:
    """Returns what the first line `name: ...` of a file says; None where there is no such line or file."""
    lines = Path(file).read_text().splitlines() if Path(file).exists() else []
    entries = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in entries if key.strip() == name), None)
