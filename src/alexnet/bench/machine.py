"""What the machine is, in facts that need no measuring."""

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
        "cores": precision.cores(),
        "threads": torch.get_num_threads(),
        "bf16": precision.has_bf16(),
        "kernels": native.library() is not None,
        "memory": precision.memory("MemTotal"),
        "shared_memory": shutil.disk_usage("/dev/shm").total if Path("/dev/shm").is_dir() else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "system": platform.platform(),
    }


def _processor() -> str:
    account = Path("/proc/cpuinfo")
    lines = account.read_text().splitlines() if account.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
