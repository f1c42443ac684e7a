"""What the package needs of Python, torch, processor and C library; what is missing is said in one line.

Python 3.7 and newer can read this file, `__init__.py` and `__main__.py`.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST_PYTHON = (3, 11)
TORCH = "torch>=2.10,<3"
CPUINFO = Path("/proc/cpuinfo")


def problem() -> str | None:
    """Returns why the package cannot work here, with the remedy, or None where it can; torch is not imported."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        return "alexnet needs Python {}.{} or newer; this is Python {}.{}".format(*OLDEST_PYTHON, *sys.version_info)
    if not _has_sse42():
        return "this processor has no SSE4.2, without which torch and numpy crash; every x86-64 since 2011 has it"
    torch = _torch_version()
    if torch is None and sys.platform == "linux" and not _is_glibc():
        return (
            "torch has no wheels for this system's C library (musl?): run alexnet on a system with glibc, as Debian's"
        )
    if torch is None:
        return f"alexnet needs torch, which is not installed: pip install '{TORCH}'"
    if not (2, 10) <= torch < (3, 0):
        return f"this alexnet does not work with torch {torch[0]}.{torch[1]}: pip install '{TORCH}'"
    return None


def _torch_version() -> tuple[int, int] | None:
    """Returns major and minor number of the torch that an import would find, read from its file."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    version = re.search(r"__version__ = '(\d+)\.(\d+)", text)
    return (int(version[1]), int(version[2])) if version else (2, 10)  # a build of somebody's own


def _has_sse42() -> bool:
    """Returns False only where Linux lists the features of an x86 processor, and SSE4.2 is not among them."""
    if not CPUINFO.exists():
        return True
    with CPUINFO.open(encoding="utf-8", errors="replace") as file:
        flags = next((line for line in file if line.startswith("flags")), None)
    return flags is None or "sse4_2" in flags.split()


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (OSError, ValueError):  # this system does not know the name
        return False
