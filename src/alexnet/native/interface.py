"""The interface of the compiled kernels: what each is called, and the names and types of its arguments.

`tests/native/test_interface.py` compares it with the prototypes in C++.
"""

import ctypes
import functools
import logging
import os
import platform
import sys
from collections.abc import Callable
from ctypes import c_double, c_int, c_int64, c_void_p
from pathlib import Path
from typing import NamedTuple

import torch

FILE = Path(__file__).parents[1] / ("_native.pyd" if sys.platform == "win32" else "_native.so")
"""The library, which `setup.py` builds; no module of Python, so one file serves every Python."""

Kernel = Callable[..., int | None]
"""A compiled function; it takes its arguments by name."""


class Normalisation(NamedTuple):
    """The settings of `models.lrn.local_response_norm`, in its order; the kernels of processors and GPUs take them."""

    size: int
    alpha: float
    beta: float
    k: float
    towers: int
    rectify: bool


class Prototype(NamedTuple):
    """A function in C: its name, its arguments' names and types in order (pointers are addresses), and its result."""

    name: str
    arguments: dict[str, type]
    result: type | None


class Kernels(NamedTuple):
    """The functions of the loaded library; those with a result return 0, or 1 for a storage type they do not know."""

    lrn: Kernel
    augment: Kernel
    resize: Kernel
    dot8: Kernel
    max_pool: Kernel
    squares16: Kernel


LRN = Prototype("alexnet_lrn", {
    "dtype": c_int, "x": c_void_p, "gradient": c_void_p, "out": c_void_p,
    "outer": c_int64, "channels": c_int64, "inner": c_int64, "half": c_int,
    "k": c_double, "alpha": c_double, "beta": c_double, "rectify": c_int,
}, c_int)  # fmt: skip
AUGMENT = Prototype("alexnet_augment", {
    "dtype": c_int, "images": c_void_p, "mean": c_void_p, "count": c_int64, "side": c_int64,
    "crops": c_void_p, "shifts": c_void_p, "gains": c_void_p, "size": c_int64, "out": c_void_p,
}, c_int)  # fmt: skip
RESIZE = Prototype("alexnet_resize", {
    "image": c_void_p, "height": c_int64, "width": c_int64,
    "top": c_int64, "left": c_int64, "side": c_int64, "size": c_int64, "out": c_void_p,
}, None)  # fmt: skip
DOT8 = Prototype("alexnet_dot8", {
    "weights": c_void_p, "scale": c_void_p, "bias": c_void_p, "x": c_void_p,
    "outputs": c_int64, "inputs": c_int64, "out": c_void_p,
}, None)  # fmt: skip
MAX_POOL = Prototype("alexnet_max_pool", {
    "dtype": c_int, "x": c_void_p, "count": c_int64, "height": c_int64, "width": c_int64, "channels": c_int64,
    "window": c_int64, "stride": c_int64, "rows": c_int64, "columns": c_int64, "out": c_void_p,
}, c_int)  # fmt: skip
SQUARES16 = Prototype("alexnet_squares16", {
    "queries": c_void_p, "rows": c_void_p, "count": c_int64, "number": c_int64, "width": c_int64, "out": c_void_p,
}, None)  # fmt: skip
PROTOTYPES = LRN, AUGMENT, RESIZE, DOT8, MAX_POOL, SQUARES16
"""In the order of `Kernels`."""


@functools.cache
def library() -> Kernels | None:
    """Loads the kernels once; returns None, after a single warning, where they are missing or do not load.

    They work on every processor; one that is slow with them and with PyTorch is warned of, too.
    """
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT" and platform.machine().lower() in ("x86_64", "amd64"):
        logging.getLogger(__name__).warning("this processor has no AVX2: everything works, several times as slowly")
    if os.environ.get("ALEXNET_NATIVE") == "0":
        return None
    try:
        if not FILE.exists():
            raise FileNotFoundError("they were not built")
        return Kernels(*(_bind(prototype, ctypes.CDLL(str(FILE))) for prototype in PROTOTYPES))
    except (OSError, AttributeError) as reason:  # AttributeError: the library is of a version without that kernel
        logging.getLogger(__name__).warning(
            "the compiled kernels are out of use (%s): training is slower. "
            "Reinstall alexnet with a C++ compiler at hand.",
            reason,
        )
        return None


def _bind(prototype: Prototype, loaded: ctypes.CDLL) -> Kernel:
    kind = ctypes.CFUNCTYPE(prototype.result, *prototype.arguments.values())
    by_name = tuple((1, name) for name in prototype.arguments)  # 1: an argument that goes in
    return kind((prototype.name, loaded), by_name)
