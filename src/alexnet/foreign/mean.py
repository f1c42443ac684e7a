"""The mean image that a network was trained with, from the file in which its program keeps it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import CheckpointError, UsageError
from alexnet.foreign import caffe, convnet

_LARGEST = 64 << 20
"""Bytes of a file, at most."""


def read_mean(path: Path, is_bgr: bool) -> NDArray[np.float32]:
    """Reads a mean: Caffe's `.binaryproto`, cuda-convnet's `batches.meta`, or a `.npy`.

    Args:
        path: The file; its contents tell which of them it is.
        is_bgr: Whether the channels of a `.npy` are blue, green, red, as pycaffe has them, or red, green, blue.

    Returns:
        RGB (S, S, 3) or (3,), 0..255.

    Raises:
        UsageError: The file does not exist, or is too large.
        CheckpointError: The file is damaged or holds something else.
    """
    if not path.is_file():
        raise UsageError(f"no mean image {path}; it is a .binaryproto, a .npy or a batches.meta")
    if path.stat().st_size > _LARGEST:
        raise UsageError(f"{path} has {path.stat().st_size:,} bytes, too many for a mean image")
    data = path.read_bytes()
    if data.startswith(b"\x93NUMPY"):
        mean = caffe.to_rgb(str(path), _npy(path))
        mean = mean if is_bgr else np.ascontiguousarray(mean[..., ::-1])
    elif data.startswith(b"\x80"):
        mean = convnet.read_mean(str(path), memoryview(data))
    else:
        mean = caffe.read_mean(str(path), memoryview(data))
    if not np.isfinite(mean).all():
        raise CheckpointError(f"{path} holds values that are not finite")
    return mean


def _npy(path: Path) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise CheckpointError(f"{path} is no array that can be read: {' '.join(str(error).split())[:200]}") from error
    if array.dtype.kind not in "fiu":
        raise CheckpointError(f"{path} holds {array.dtype}, expected numbers")
    return array
