"""The compiled kernels, if the package was built with them; plain PyTorch serves where they are missing.

The kernels are a shared library without Python in it, called through ctypes, which releases the interpreter lock.
They share PyTorch's own OpenMP threads. On a GPU, `native.gpu` takes their place if Triton is installed and works.
Setting `ALEXNET_NATIVE=0` in the environment switches all of them off.
"""

import logging
import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.native.interface import Normalisation, library

__all__ = ["Normalisation", "augment", "can_run", "dot8", "library", "lrn", "max_pool", "on_gpu", "resize", "squares16"]

DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float64: 3}
GPU_DTYPES = {torch.float32, torch.bfloat16, torch.float16}

_gpu_failures: list[Exception] = []  # why the GPU's kernel is out of use


def can_run(images: Tensor, size: int = 1) -> bool:
    """Returns whether a kernel can take images (N, C, H, W) of this device and type, in a window of `size`."""
    if torch.compiler.is_compiling() or not images.numel():  # an export knows no kernels, and kernels no empty maps
        return False
    if on_gpu(images):
        is_small = images.shape[1] <= 1024 and size <= 33  # beyond this, Triton compiles for minutes
        return images.dtype in GPU_DTYPES and is_small and not _gpu_failures and os.environ.get("ALEXNET_NATIVE") != "0"
    return images.device.type == "cpu" and images.dtype in DTYPES and library() is not None


def on_gpu(images: Tensor) -> bool:
    """Returns whether `native.gpu` is the one to take the tensor."""
    return images.device.type == "cuda"


def lrn(images: Tensor, gradient: Tensor | None, settings: Normalisation) -> Tensor | None:
    """Returns normalised images or, given a gradient, the gradient with respect to `images`.

    Images are (N, C, H, W); the result has their type and layout. Returns None where the GPU's kernel does not work.
    """
    if not images.is_contiguous(memory_format=torch.channels_last):
        images = images.contiguous()
    layout = torch.contiguous_format if images.is_contiguous() else torch.channels_last
    if gradient is not None:
        gradient = gradient.to(images.dtype).contiguous(memory_format=layout)
    out = torch.empty_like(images)
    if on_gpu(images):
        return out if _gpu_lrn(images, gradient, out, settings) else None
    kernels = library()
    assert kernels is not None
    count, channels, height, width = images.shape
    outer, inner = (count, height * width) if images.is_contiguous() else (count * height * width, 1)
    kernels.lrn(
        dtype=DTYPES[images.dtype], x=images.data_ptr(),
        gradient=None if gradient is None else gradient.data_ptr(), out=out.data_ptr(),
        outer=outer * settings.towers, channels=channels // settings.towers, inner=inner, half=settings.size // 2,
        k=settings.k, alpha=settings.alpha, beta=settings.beta, rectify=settings.rectify,
    )  # fmt: skip
    return out


def _gpu_lrn(images: Tensor, gradient: Tensor | None, out: Tensor, settings: Normalisation) -> bool:
    """Runs `gpu.lrn` and returns whether it works; after a failure, which is logged once, it is not tried again."""
    if not _gpu_failures:
        try:
            from alexnet.native import gpu

            gpu.lrn(images, gradient, out, settings)
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
    """Runs the augmentation kernel; the result is that of `data.augment.augment`.

    Raises:
        TypeError: The kernel does not write this type.
        ValueError: The pictures or the crops have no pixels.
    """
    kernels = library()
    assert kernels is not None
    if min(size, *images.shape[1:]) < 1:
        raise ValueError(f"no crops of {size} pixels from pictures of {images.shape[1:]}")
    named = {"images": images, "mean": mean, "crops": crops, "shifts": shifts, "gains": gains}
    arrays = {name: np.ascontiguousarray(array) for name, array in named.items()}  # kept while C++ reads them
    out = torch.empty((len(images), 3, size, size), dtype=dtype, memory_format=torch.channels_last)
    addresses = {name: array.ctypes.data for name, array in arrays.items()}
    shape = {"count": len(images), "side": images.shape[1], "size": size}
    if kernels.augment(dtype=DTYPES.get(dtype, -1), **addresses, **shape, out=out.data_ptr()):
        raise TypeError(f"the kernel does not augment to {dtype}")
    return out


def resize(image: NDArray[np.uint8], top: int, left: int, side: int, size: int) -> NDArray[np.uint8]:
    """Returns a square of a picture, (H, W, 3) RGB, as Pillow 13 resizes it to (size, size, 3), bilinear.

    Raises:
        ValueError: The square or the result has no pixels, or the square reaches beyond the picture.
    """
    kernels = library()
    assert kernels is not None
    image = np.ascontiguousarray(image)
    height, width = image.shape[:2]
    if not (min(side, size) > 0 and 0 <= top <= height - side and 0 <= left <= width - side):
        raise ValueError(f"no square of {side} pixels at ({top}, {left}) of {height} x {width} to resize to {size}")
    out = np.empty((size, size, 3), np.uint8)
    kernels.resize(
        image=image.ctypes.data, height=height, width=width,
        top=top, left=left, side=side, size=size, out=out.ctypes.data,
    )  # fmt: skip
    return out


def dot8(weights: Tensor, scale: Tensor, bias: Tensor, units: Tensor) -> Tensor:
    """Returns what a fully connected layer over 8-bit weights answers to one picture, (1, outputs) float32.

    Args:
        weights: (outputs, inputs) int8, contiguous.
        scale: (outputs,) float32, what each row's weights are multiplied by.
        bias: (outputs,) float32.
        units: (1, inputs) float32, contiguous.
    """
    kernels = library()
    assert kernels is not None
    outputs, inputs = weights.shape
    out = units.new_empty(1, outputs)
    kernels.dot8(
        weights=weights.data_ptr(), scale=scale.data_ptr(), bias=bias.data_ptr(), x=units.data_ptr(),
        outputs=outputs, inputs=inputs, out=out.data_ptr(),
    )  # fmt: skip
    return out


def max_pool(images: Tensor, window: int, stride: int, rows: int, columns: int) -> Tensor:
    """Returns the largest value in each window, (N, C, rows, columns), of channels-last images, which it stays.

    There is no padding; windows may reach beyond the bottom and the right, and begin inside.
    """
    kernels = library()
    assert kernels is not None
    count, channels, height, width = images.shape
    shape = (count, channels, rows, columns)
    out = torch.empty(shape, dtype=images.dtype, memory_format=torch.channels_last)
    kernels.max_pool(
        dtype=DTYPES[images.dtype], x=images.data_ptr(), count=count, height=height, width=width, channels=channels,
        window=window, stride=stride, rows=rows, columns=columns, out=out.data_ptr(),
    )  # fmt: skip
    return out


def squares16(queries: Tensor, rows: NDArray[np.floating]) -> Tensor:
    """Returns the squared Euclidean distances of a few vectors from many rows, (Q, N) float32.

    Args:
        queries: (Q, width) float32, contiguous.
        rows: (N, width) float16, contiguous and finite.
    """
    kernels = library()
    assert kernels is not None
    out = queries.new_empty(len(queries), len(rows))
    kernels.squares16(
        queries=queries.data_ptr(), rows=rows.ctypes.data, count=len(queries), number=len(rows),
        width=queries.shape[1], out=out.data_ptr(),
    )  # fmt: skip
    return out
