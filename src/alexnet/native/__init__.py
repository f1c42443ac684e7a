"""The compiled kernels, if the package was built with them; plain PyTorch serves where they are missing.

The kernels are a shared library without Python in it, called through ctypes, which releases the interpreter lock.
They share PyTorch's own OpenMP threads. On a GPU, `native.gpu` takes their place if Triton is installed and works.
Set `ALEXNET_NATIVE=0` to do without any of them.
"""

import ctypes
import functools
import importlib.util
import logging
import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SIGNATURE: dict[str, Any] = {
    "i": ctypes.c_int,
    "n": ctypes.c_int64,
    "f": ctypes.c_double,
    "p": ctypes.c_void_p,
}

_ARGUMENTS = {"alexnet_lrn": "ipppnnnifffi", "alexnet_augment": "ippnnpppnp", "alexnet_dot8": "ppppnnp"}

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float64: 3}
GPU_DTYPES = {torch.float32, torch.bfloat16, torch.float16}

_gpu_failures: list[Exception] = []  # why the GPU's kernel is out of use


@functools.cache
def library() -> ctypes.CDLL | None:
    """Loads the kernels once; None where they are missing or do not load, which is said once."""
    if os.environ.get("ALEXNET_NATIVE") == "0":
        return None
    spec = importlib.util.find_spec("alexnet._native")
    try:
        if spec is None or spec.origin is None:
            raise FileNotFoundError("they were not built")
        kernels = ctypes.CDLL(spec.origin)
        for name, letters in _ARGUMENTS.items():
            getattr(kernels, name).argtypes = [_SIGNATURE[letter] for letter in letters]
    except (OSError, AttributeError) as reason:  # AttributeError: a kernel of this version is not in there
        logging.getLogger(__name__).warning(
            "the compiled kernels are out of use (%s): training is slower. "
            "Reinstall alexnet with a C++ compiler at hand.",
            reason,
        )
        return None
    return kernels


def can_run(images: Tensor, size: int = 1) -> bool:
    """Says whether a kernel takes this tensor: not being exported or compiled, of a device and a type it knows.

    Args:
        images: (N, C, H, W).
        size: Channels in the window.
    """
    if torch.compiler.is_compiling():
        return False
    if on_gpu(images):
        is_small = images.shape[1] <= 1024 and size <= 33  # beyond this, Triton compiles for minutes
        return images.dtype in GPU_DTYPES and is_small and not _gpu_failures and os.environ.get("ALEXNET_NATIVE") != "0"
    return images.device.type == "cpu" and images.dtype in DTYPES and library() is not None


def on_gpu(images: Tensor) -> bool:
    """Says whether the tensor is for `native.gpu`."""
    return images.device.type == "cuda"


def dense(images: Tensor) -> Tensor:
    """Gives the tensor itself if it is contiguous in one of the two layouts, else a contiguous copy."""
    if images.is_contiguous(memory_format=torch.channels_last) or images.is_contiguous():
        return images
    return images.contiguous()


def like(gradient: Tensor, images: Tensor) -> Tensor:
    """Gives the gradient in the layout and type of the images."""
    layout = torch.contiguous_format if images.is_contiguous() else torch.channels_last
    return gradient.to(images.dtype).contiguous(memory_format=layout)


def lrn(
    images: Tensor,
    gradient: Tensor | None,
    size: int,
    alpha: float,
    beta: float,
    k: float,
    towers: int,
    rectify: bool,
) -> Tensor | None:
    """Runs the kernel: forwards without a gradient, backwards with one.

    Args:
        images: (N, C, H, W), `dense`.
        gradient: Same shape, type and layout, or None.
        size: This and the following as for `models.lrn.local_response_norm`.
        alpha: Factor of the sum of squares.
        beta: Exponent.
        k: Constant added to the sum.
        towers: Separate channel ranges.
        rectify: Normalise max(images, 0).

    Returns:
        The normalised images, or the gradient with respect to `images`; same type and layout. None where the
        GPU's kernel does not work.
    """
    out = torch.empty_like(images)
    if on_gpu(images):
        return out if _gpu_lrn(images, gradient, out, size, alpha, beta, k, towers, rectify) else None
    kernels = library()
    assert kernels is not None
    count, channels, height, width = images.shape
    planes = height * width
    outer, inner = (count, planes) if images.is_contiguous() else (count * planes, 1)
    kernels.alexnet_lrn(
        *[DTYPES[images.dtype], images.data_ptr(), None if gradient is None else gradient.data_ptr(), out.data_ptr()],
        *[outer * towers, channels // towers, inner, size // 2, k, alpha, beta, rectify],
    )
    return out


def _gpu_lrn(*arguments: Any) -> bool:
    """Runs `gpu.lrn`; False where it does not work, which is said once and not tried again."""
    if not _gpu_failures:
        try:
            from alexnet.native import gpu

            gpu.lrn(*arguments)
        except Exception as failure:  # no Triton, no compiler for it, a processor it does not know: anything at all
            _gpu_failures.append(failure)
            logging.getLogger(__name__).warning(
                "the GPU's kernel does not work here, plain PyTorch serves: the same numbers, slower. "
                "Install the Triton that belongs to this PyTorch, and a C compiler. The reason: %r",
                failure,
            )
    return not _gpu_failures


def augment(
    images: NDArray[np.uint8],
    crops: NDArray[np.void],
    shifts: NDArray[np.float32],
    gains: NDArray[np.float32],
    mean: NDArray[np.float32],
    size: int,
    dtype: torch.dtype,
) -> Tensor:
    """Runs the augmentation kernel; as `data.augment.augment`."""
    kernels = library()
    assert kernels is not None
    count, side = images.shape[:2]
    arrays = [np.ascontiguousarray(array) for array in (images, mean, crops, shifts, gains)]
    addresses = [array.ctypes.data for array in arrays]
    out = torch.empty((count, 3, size, size), dtype=dtype, memory_format=torch.channels_last)
    given = (*addresses[:2], count, side, *addresses[2:], size, out.data_ptr())
    if kernels.alexnet_augment(DTYPES[dtype], *given):
        raise TypeError(f"the kernel does not augment to {dtype}")
    return out


def dot8(weights: Tensor, scale: Tensor, bias: Tensor, units: Tensor) -> Tensor:
    """Runs a fully connected layer over 8-bit weights for one picture.

    Args:
        weights: (outputs, inputs) int8, contiguous.
        scale: (outputs,) float32, what each row's weights are multiplied by.
        bias: (outputs,) float32.
        units: (1, inputs) float32, contiguous.

    Returns:
        (1, outputs) float32.
    """
    kernels = library()
    assert kernels is not None
    outputs, inputs = weights.shape
    out = units.new_empty(1, outputs)
    addresses = [tensor.data_ptr() for tensor in (weights, scale, bias, units)]
    kernels.alexnet_dot8(*addresses, outputs, inputs, out.data_ptr())
    return out
