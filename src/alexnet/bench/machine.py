"""What the machine is, in facts that need no measuring."""

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import torch

from alexnet import native, precision


def describe() -> dict[str, Any]:
    """Gives the facts; sizes in bytes, None where the system does not say."""
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "bf16": precision.has_bf16(),
        "kernels": native.library() is not None,
        "memory": memory("MemTotal"),
        "shared_memory": shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "system": platform.platform(),
    }


def memory(which: str) -> int | None:
    """Gives one line of Linux's account of memory, `MemTotal` or `MemAvailable`."""
    lines = _lines("/proc/meminfo", which)
    return int(lines[0].split()[0]) * 1024 if lines else None


def _processor() -> str:
    names = _lines("/proc/cpuinfo", "model name")
    return names[0] if names else platform.processor() or platform.machine()


def _lines(path: str, name: str) -> list[str]:
    """Gives what stands after `name:` in a file, [] where there is no such file."""
    if not Path(path).is_file():
        return []
    lines = Path(path).read_text().splitlines()
    return [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
