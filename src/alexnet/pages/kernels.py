"""The first-layer kernels as pictures, as the paper's Fig. 3 shows them."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from safetensors import SafetensorError, safe_open

from alexnet.errors import CheckpointError

Pixels = npt.NDArray[np.uint8]

COLUMNS = 16
"""Kernels a row, as in the paper."""

GAP = 1


@dataclass(frozen=True)
class Kernels:
    """The first layer of a network."""

    weights: npt.NDArray[np.float32]  # finite, of shape (O, channels, k, k), 1 or 3 channels
    towers: int  # 1 or 2; each has an equal part of the kernels, in order


def read(path: Path) -> Kernels | None:
    """Reads the first layer of a weight file and nothing else of it; None if it has no layer `conv1`.

    Raises:
        CheckpointError: The file is damaged, or its `conv1` is not kernels for gray or colour pictures.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            if "conv1.weight" not in names:
                return None
            weights = np.asarray(file.get_tensor("conv1.weight"), dtype=np.float32)
            next_shape = file.get_slice("conv2.weight").get_shape() if "conv2.weight" in names else []
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if weights.ndim != 4 or weights.shape[1] not in (1, 3) or not weights.size or not np.isfinite(weights).all():
        raise CheckpointError(f"{path} is damaged: the weights of conv1, of shape {weights.shape}, are no kernels")
    # A kernel of conv2 sees the maps of its own tower only.
    return Kernels(weights, 2 if len(next_shape) == 4 and next_shape[1] * 2 == len(weights) else 1)


def scaled(weights: npt.NDArray[np.float32]) -> Pixels:
    """Returns the kernels as RGB, all under one minimum and one maximum, so that a weak kernel looks weak.

    Args:
        weights: Floats of shape (O, 3, k, k), or (O, 1, k, k) for gray ones.

    Returns:
        Shape (O, k, k, 3): 0 at the smallest weight of all kernels, 255 at the largest; 128 if all are equal.

    Source: `shownet.py --show-filters` of the 2012 source.
    """
    low, high = float(weights.min()), float(weights.max())
    unit = (weights - low) / (high - low) if high > low else np.full_like(weights, 0.5)
    colour = np.broadcast_to(unit, (len(unit), 3, *unit.shape[2:]))
    return np.asarray(np.rint(colour.transpose(0, 2, 3, 1) * 255), dtype=np.uint8)


def grid(kernels: Pixels, columns: int = COLUMNS) -> Pixels:
    """Lays kernels (O, k, k, 3) out in rows, with one transparent pixel between neighbours and none around.

    Returns:
        RGBA of shape (rows (k + 1) - 1, columns (k + 1) - 1, 4), transparent where no kernel is.
    """
    count, side = kernels.shape[:2]
    columns = min(columns, count)
    rows, pitch = -(-count // columns), side + GAP
    tiles = np.zeros((rows * columns, pitch, pitch, 4), dtype=np.uint8)
    tiles[:count, :side, :side, :3] = kernels
    tiles[:count, :side, :side, 3] = 255
    canvas = tiles.reshape(rows, columns, pitch, pitch, 4).swapaxes(1, 2)
    return canvas.reshape(rows * pitch, columns * pitch, 4)[:-GAP, :-GAP]


def enlarged(pixels: Pixels, factor: int) -> Pixels:
    """Enlarges pixels (H, W, channels) to (H factor, W factor, channels) by repeating them."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def blocks(kernels: Kernels) -> list[bytes]:
    """Returns one PNG file a tower, tower 1 first, each weight at least 4x4 pixels, all under one scale."""
    factor, files = max(4, 96 // kernels.weights.shape[-1]), []
    for part in np.array_split(scaled(kernels.weights), kernels.towers):
        file = io.BytesIO()
        Image.fromarray(enlarged(grid(part), factor)).save(file, "PNG")
        files.append(file.getvalue())
    return files
