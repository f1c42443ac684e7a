"""What every reader of foreign weights returns, and how it finds out which published network the file holds.

All readers take the `name` by which errors call the file, and the `variant` that the user names, or None. What is
damaged, or possible in no AlexNet, is a CheckpointError.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from alexnet.errors import CheckpointError, UsageError
from alexnet.models.variants import LAYERS, VARIANTS, look_up
from alexnet.records import Square

_KERNELS, _STRIDES, _PADDINGS = (11, 5, 3, 3, 3), (4, 1, 1, 1, 1), (0, 2, 1, 1, 1)


@dataclass(frozen=True)
class Dialect:
    """The conventions that all files of one program share.

    Attributes:
        class_order: The order of ImageNet's 1,000 classes: `imagenet-devkit` or `imagenet-wordnet`.
        mean_colour: RGB, 0..255: ImageNet's mean colour as the program publishes it, for files without a mean.
        is_bgr: Whether arrays hold channels as blue, green, red.
        square: How a picture becomes square; see `data.decode.load`.
    """

    class_order: str
    mean_colour: tuple[float, float, float]
    is_bgr: bool = False
    square: Square = "centre"


@dataclass(frozen=True)
class Imported:
    """A network of another program, in our layout and conventions except for the few that `convert` translates.

    Attributes:
        format: The program and, where it has several, its file format, in words.
        tensors: `conv1.weight` (filters, channels, k, k) over RGB, ..., `fc6.weight` (outputs, inputs), ...
        mapping: Our layer -> the other program's layers and shapes, in words.
        mean: RGB (S, S, 3), or one colour (3,), 0..255; None where neither the file nor its dialect states it.
        input_size: Side of the input, pixels; None where the file does not state it.
        divide_pixels_by: The divisor of pixels after the mean is subtracted.
        dropout: Rate after fc6 and fc7, the paper's where the file does not state it.
        rescale_dropout: Whether the file's weights expect dropout to rescale in training (see `Variant`).
        translated: What was translated, one sentence each.
        unknown: What the file does not state, and what was taken instead, one sentence each.
    """

    dialect: Dialect
    format: str
    variant: str
    tensors: Mapping[str, Tensor]
    mapping: Mapping[str, str]
    mean: NDArray[np.float32] | None = None
    input_size: int | None = None
    divide_pixels_by: float = 1.0
    dropout: float = 0.5
    rescale_dropout: bool = True
    translated: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outline:
    """As many attributes of a `Variant` as a file states; the others are None."""

    channels: tuple[int, ...] | None = None
    hidden: int | None = None
    groups: int | None = None
    towers: int | None = None
    conv1_padding: str | None = None
    block1: str | None = None
    block2: str | None = None
    block5: str | None = None
    head: str | None = None
    size: int | None = None
    alpha: float | None = None
    beta: float | None = None
    k: float | None = None


def identify(name: str, outline: Outline, variant_name: str | None) -> str:
    """Returns the name of the published network that fits an outline.

    Raises:
        CheckpointError: No variant fits, or not the one that the user names. The message lists the differences from it
            or from the nearest one.
        UsageError: Several variants fit and the user names none, or there is no variant of the name.
    """
    rows = VARIANTS if variant_name is None else {variant_name: look_up(variant_name, VARIANTS)}
    stated = {key: value for key, value in asdict(outline).items() if value is not None}
    differing = {
        row_name: [key for key, value in stated.items() if not _equal(getattr(row, key), value)]
        for row_name, row in rows.items()
    }
    fitting = [row_name for row_name, keys in differing.items() if not keys]
    if len(fitting) > 1:
        raise UsageError(f"{name} does not tell which of {', '.join(fitting)} it holds; name it by `variant`")
    if fitting:
        return fitting[0]
    nearest = min(differing, key=lambda row_name: len(differing[row_name]))
    pairs = [(key, stated[key], getattr(rows[nearest], key)) for key in differing[nearest]]
    differences = "; ".join(f"{key} is {_plain(theirs)}, expected {_plain(ours)}" for key, theirs, ours in pairs)
    whose = "the nearest published network" if variant_name is None else "the one named"
    raise CheckpointError(f"{name} holds a network that is not {whose}, {nearest}: {differences}")


def _equal(ours: object, theirs: object) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-5)  # files hold float32
    return ours == theirs


def _plain(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def check_counts(name: str, convolutions: int, connected: int) -> None:
    """Checks that a network has as many layers as an AlexNet."""
    if (convolutions, connected) != (5, 3):
        counts = f"{convolutions} convolutions and {connected} fully connected layers"
        raise CheckpointError(f"{name} holds {counts}; an AlexNet has 5 and 3")


def outline_of_shapes(name: str, shapes: Mapping[str, tuple[int, ...]]) -> Outline:
    """Returns `channels`, `hidden` and `groups` of a network with these shapes of `conv1.weight`, ..., `fc8.bias`."""
    for layer, kernel in zip(LAYERS[:5], _KERNELS, strict=True):
        shape = shapes[f"{layer}.weight"]
        if len(shape) != 4 or shape[2:] != (kernel, kernel):
            expected = f"(filters, channels, {kernel}, {kernel})"
            raise CheckpointError(f"{name}: {layer} has weights of shape {shape}, expected {expected}")
    for layer in LAYERS:
        weight, bias = shapes[f"{layer}.weight"], shapes[f"{layer}.bias"]
        if len(weight) < 2 or bias != weight[:1]:
            raise CheckpointError(f"{name}: {layer} has weights of shape {weight} and biases of shape {bias}")
    channels, inputs = zip(*(shapes[f"{layer}.weight"][:2] for layer in LAYERS[:5]), strict=True)
    if inputs[0] != 3:
        raise CheckpointError(f"{name}: conv1 takes {inputs[0]} channels, expected 3")
    groups = {channels[i - 1] / max(inputs[i], 1) for i in (1, 3, 4)}
    if len(groups) > 1 or channels[1] != inputs[2] or min(groups) not in (1, 2):
        raise CheckpointError(
            f"{name}: the convolutions have {channels} filters and take {inputs} channels; in an AlexNet each takes "
            "all channels, or conv2, conv4 and conv5 take half of them"
        )
    return Outline(channels=channels, hidden=shapes["fc7.weight"][0], groups=int(min(groups)))


def check_convolution(name: str, layer: str, number: int, stride: float, padding: float) -> None:
    """Checks that conv`number` has an AlexNet's geometry, of which conv1's padding may differ."""
    if stride != _STRIDES[number - 1] or (number > 1 and padding != _PADDINGS[number - 1]):
        raise CheckpointError(f"{name}: {layer} has stride {stride} and padding {padding}, which no AlexNet has")


def check_pooling(name: str, layer: str, method: str, window: float, stride: float, start: float = 0) -> None:
    """Checks that a layer pools as an AlexNet does."""
    if (method, window, stride, start) != ("max", 3, 2, 0):
        raise CheckpointError(
            f"{name}: {layer} pools {method} of windows of {window} at stride {stride}; "
            "expected max of windows of 3 at stride 2, from the edge on"
        )


def with_order(name: str, outline: Outline, blocks: Sequence[str]) -> Outline:
    """Adds the order of the layers: a block for each layer that learns, such as `conv relu pool norm`."""
    for layer, block in zip(LAYERS[2:4], blocks[2:4], strict=True):
        if block != "conv relu":
            raise CheckpointError(f"{name}: {layer} stands in {block!r}, expected 'conv relu'")
    if blocks[5] != blocks[6]:
        raise CheckpointError(f"{name}: fc6 stands in {blocks[5]!r} and fc7 in {blocks[6]!r}, expected the same")
    return replace(outline, block1=blocks[0], block2=blocks[1], block5=blocks[4], head=blocks[5])


def with_normalisation(name: str, outline: Outline, constants: set[tuple[int, float, float, float]]) -> Outline:
    """Adds the constants of normalisation (size, alpha, beta, k), which all layers must have in common."""
    if len(constants) > 1:
        raise CheckpointError(f"{name} normalises with different constants in different layers: {constants}")
    for size, alpha, beta, k in constants:
        outline = replace(outline, size=size, alpha=alpha, beta=beta, k=k)
    return outline
