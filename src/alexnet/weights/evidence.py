"""What a weight file proves of itself: the outputs that it once gave, and that it is trained at all.

Two pictures that a formula makes, in whole numbers, go through preprocessing and network in float32 on the processor.
Saving writes the outputs into the file, and loading computes them again: with another network, another preprocessing
or another library they differ, and the file is refused.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.augment import margin
from alexnet.errors import CheckpointError
from alexnet.models.network import Network
from alexnet.records import Header, Probe

TOLERANCE = 1e-3
"""Of the norm of the outputs. Threads, layouts and kernels move them by 2e-6; an alpha of the normalisation taken in
another convention, a mean off by one, or weights rounded to bf16 by more than this (docs/how-to/weights.md)."""

_FILTERS = 0.2
"""Correlation of neighbouring weights of conv1: noise stays below it even in the smallest network, filters above."""


def pictures(side: int) -> NDArray[np.uint8]:
    """Returns the two pictures, (2, side, side, 3): ramps that fold back, and rings, each channel at its own scale."""
    y, x = (places[..., None] * 512 // side for places in np.ogrid[:side, :side])
    channel = np.arange(1, 4)
    ramps = abs((channel * x + (4 - channel) * y) % 511 - 255)
    rings = ((x - 256) ** 2 + (y - 200) ** 2) * channel // 256 % 256
    return np.stack([ramps, rings]).astype(np.uint8)


def outputs(model: Network, mean: NDArray[np.float32], divide_pixels_by: float) -> Tensor:
    """Returns what a network answers to the two pictures: (2, classes) logits.

    The network is in evaluation mode, on the processor, in float32 or float64. The mean image is (S, S, 3), 0..255.
    """
    start = margin(len(mean), model.input_size)
    view = slice(start, start + model.input_size)
    pixels = (torch.from_numpy(pictures(len(mean))) - torch.from_numpy(mean)) / divide_pixels_by
    centre = pixels[:, view, view].permute(0, 3, 1, 2).contiguous()
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        return model(centre.to(next(model.parameters()).dtype))  # type: ignore[no-any-return]


def record(model: Network, mean: NDArray[np.float32], divide_pixels_by: float) -> Probe:
    """Returns the outputs to record in a weight file, to six digits; see `outputs`."""
    rows = outputs(model, mean, divide_pixels_by).tolist()
    return Probe(logits=tuple(tuple(float(f"{logit:.6g}") for logit in row) for row in rows))


def compare(model: Network, mean: NDArray[np.float32], header: Header, path: Path) -> None:
    """Raises a CheckpointError unless a network gives the outputs that its file records, if it records any."""
    if header.probe is None:
        return
    divide_by = header.preprocessing.divide_pixels_by
    if [len(row) for row in header.probe.logits] != [model.classes] * 2:
        raise CheckpointError(f"{path} is damaged: its probe holds no (2, {model.classes}) logits")
    recorded = torch.tensor(header.probe.logits, dtype=torch.float64)
    apart = _apart(outputs(model, mean, divide_by), recorded)
    if not apart <= TOLERANCE:  # users and systems may allow less than float32, so float64 has the last word; NaN fails
        apart = _apart(outputs(copy.deepcopy(model).double(), mean, divide_by), recorded)
    if not apart <= TOLERANCE:
        raise CheckpointError(
            f"{path} does not give the outputs that it records: on the built-in probe they are {apart:.2g} of their "
            f"norm apart, at most {TOLERANCE:g} is rounding; its weights, its header or the program were changed"
        )


def refuse_untrained(model: Network, path: Path) -> None:
    """Raises a CheckpointError if a network's weights are as an initialisation leaves them.

    One step of training moves biases that were one number, and carries some of a large network's weights out of the
    range they were drawn from.
    """
    layers: list[Any] = [layer for layer in model.children() if hasattr(layer, "weight")]
    if all(layer.bias.min() == layer.bias.max() for layer in layers) and _is_noise(layers[0].weight):
        what = "the biases of each layer are one number and the filters noise"
    elif all(map(_is_torchs_own, layers[1:])):  # conv1 may carry the factors of a conversion
        what = "all numbers lie within the range of PyTorch's initialisation and fill it"
    else:
        return
    raise CheckpointError(f"{path} holds an untrained network: {what}, as weights start; give trained ones")


def _apart(computed: Tensor, recorded: Tensor) -> float:
    return float((computed.double() - recorded).norm() / recorded.norm().clamp(min=1e-30))


def _is_noise(filters: Tensor) -> bool:
    """Returns whether the weights of neighbouring pixels have nothing to do with each other."""
    left, right = filters.detach()[..., :-1].flatten(), filters.detach()[..., 1:].flatten()
    return float(torch.corrcoef(torch.stack([left, right]))[0, 1].abs()) < _FILTERS


def _is_torchs_own(layer: Any) -> bool:
    """Returns whether weights and biases fill the range of +-1 / sqrt(inputs) and do not leave it."""
    bound = layer.weight[0].numel() ** -0.5
    largest, bias = float(layer.weight.detach().abs().max()), float(layer.bias.detach().abs().max())
    return bool(0.9 * bound < largest <= bound * (1 + 1e-6) and bias <= bound * (1 + 1e-6))
