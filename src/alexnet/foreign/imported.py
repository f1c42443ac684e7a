"""What every reader of foreign weights gives, and how it finds out which published network it has."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from alexnet.errors import CheckpointError, UsageError
from alexnet.models.variants import VARIANTS, Variant, variant

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")

KERNELS = (11, 5, 3, 3, 3)

MAX_BYTES = 2 << 30
"""Larger files are refused unread: eight times an AlexNet of 1,000 classes."""


@dataclass(frozen=True)
class Imported:
    """A network of another program, in our layout and conventions but for the few that `convert` translates.

    Attributes:
        dialect: `Caffe`, `torchvision` or `cuda-convnet`.
        variant: Row of `VARIANTS`.
        tensors: `conv1.weight` (filters, channels, k, k) over RGB, ..., `fc6.weight` (outputs, inputs), ...
        mapping: Our layer -> theirs, with its shape, in words.
        class_order: The order that ImageNet's classes have in this dialect.
        mean: RGB (S, S, 3), or one colour (3,), 0..255; None where neither the file nor its dialect tell.
        input_size: Side of the input, pixels; None where the file does not say.
        divide_pixels_by: What pixels are divided by once the mean is subtracted.
        square: How a picture becomes square: `centre` or `warp`; see `data.squares.load`.
        dropout: Rate after fc6 and fc7; None where the file does not say.
        rescale_dropout: Whether the file's weights expect dropout to rescale in training (see `Variant`).
        translated: What was translated, a sentence each.
        unknown: What the file does not say, and what was taken instead, a sentence each.
    """

    dialect: str
    variant: str
    tensors: dict[str, Tensor]
    mapping: dict[str, str]
    class_order: str
    mean: NDArray[np.float32] | None
    input_size: int | None = None
    divide_pixels_by: float = 1.0
    square: str = "centre"
    dropout: float | None = None
    rescale_dropout: bool = True
    translated: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def identify(name: str, found: Mapping[str, Any], asked: str | None) -> str:
    """Finds the published network that fits.

    Args:
        name: What errors call the file.
        found: As many attributes of a `Variant` as the file tells.
        asked: The variant that the user says it is.

    Raises:
        CheckpointError: None fits, or not the one asked for; the nearest is named with what differs.
        UsageError: Several fit and none was asked for, or there is no such variant.
    """
    rows = VARIANTS if asked is None else {asked: variant(asked)}
    differing = {name: _differences(row, found) for name, row in rows.items()}
    fitting = [name for name, differences in differing.items() if not differences]
    if len(fitting) > 1:
        raise UsageError(f"{name} does not tell which of {', '.join(fitting)} it holds; say it with --variant")
    if fitting:
        return fitting[0]
    nearest = min(differing, key=lambda name: len(differing[name]))
    what = "; ".join(
        f"{key} is {_plain(found[key])}, expected {_plain(getattr(VARIANTS[nearest], key))}"
        for key in differing[nearest]
    )
    whose = "the nearest published network" if asked is None else "--variant"
    raise CheckpointError(f"{name} holds a network that is not {whose}, {nearest}: {what}")


def _differences(row: Variant, found: Mapping[str, Any]) -> list[str]:
    return [key for key, value in found.items() if not _equal(getattr(row, key), value)]


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float):
        return math.isclose(ours, theirs, rel_tol=1e-5)  # files hold float32
    return bool(ours == theirs)


def _plain(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def counts(name: str, convolutions: int, connected: int) -> None:
    """Checks that a network has as many layers as an AlexNet.

    Raises:
        CheckpointError: It has not.
    """
    if (convolutions, connected) != (5, 3):
        raise CheckpointError(
            f"{name} holds {convolutions} convolutions and {connected} fully connected layers; an AlexNet has 5 and 3"
        )


def shapes(name: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Gives `channels`, `hidden` and `groups` of a network, as `identify` takes them.

    Args:
        name: What errors call the file.
        tensors: `conv1.weight`, ..., `fc8.bias`.

    Raises:
        CheckpointError: A shape is none that an AlexNet can have.
    """
    for layer, kernel in zip(LAYERS[:5], KERNELS, strict=True):
        shape = tuple(tensors[f"{layer}.weight"].shape)
        if len(shape) != 4 or shape[2:] != (kernel, kernel):
            raise CheckpointError(
                f"{name}: {layer} has weights of shape {shape}, expected (filters, channels, {kernel}, {kernel})"
            )
    for layer in LAYERS:
        weight, bias = (tuple(tensors[f"{layer}.{part}"].shape) for part in ("weight", "bias"))
        if len(weight) < 2 or bias != weight[:1]:
            raise CheckpointError(f"{name}: {layer} has weights of shape {weight} and biases of shape {bias}")
    channels = tuple(tensors[f"{layer}.weight"].shape[0] for layer in LAYERS[:5])
    inputs = [tensors[f"{layer}.weight"].shape[1] for layer in LAYERS[:5]]
    if inputs[0] != 3:
        raise CheckpointError(f"{name}: conv1 takes {inputs[0]} channels, expected 3")
    groups = {channels[i - 1] / max(inputs[i], 1) for i in (1, 3, 4)}
    if len(groups) > 1 or channels[1] != inputs[2] or min(groups) not in (1, 2):
        raise CheckpointError(
            f"{name}: the convolutions give {channels} channels and take {tuple(inputs)}; an AlexNet's take all, "
            "or conv2, conv4 and conv5 the half"
        )
    return {"channels": channels, "hidden": tensors["fc7.weight"].shape[0], "groups": int(min(groups))}
