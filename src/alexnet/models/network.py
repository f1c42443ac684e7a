"""What the networks have in common: layers with names, called one after the other."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.config import RANGES
from alexnet.errors import UsageError
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}

MAX_CLASSES = 1_000_000


class Network(nn.Module):
    """A network without its layers; `AlexNet` and `CifarNet` add them.

    Attributes:
        variant: Name of its row.
        classes: Outputs of the last layer.
        input_size: Side of the square input, pixels.
        settings: `activation`, `lrn`, `alpha_factor`, `pooling`, `without` and `dropout`, as they were asked for.
        order: Names of the layers, in the order they are called.
        decays: Layer -> factor of its weight decay, where that is not 1.

    Raises:
        UsageError: A setting is none that a network can have.
    """

    def __init__(self, name: str, classes: int, input_size: int, settings: dict[str, Any]) -> None:
        super().__init__()
        _check(classes, input_size, **settings)
        self.variant, self.classes, self.input_size, self.settings = name, classes, input_size, settings
        self.order: list[str] = []
        self.decays: dict[str, float] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Gives the logits.

        Args:
            images: (N, 3, S, S) with S = `input_size`, preprocessed.

        Returns:
            (N, classes).
        """
        return self._run(images, self.order)

    def features(self, images: Tensor) -> Tensor:
        """Gives the features a picture is known by, which the last layer reads: AlexNet's 4096 of fc7 after its ReLU.

        Args:
            images: (N, 3, S, S), preprocessed.

        Returns:
            (N, units); no dropout stands in between.

        Source: paper section 6.1, which compares pictures by them.
        """
        before = self.order[:-1]
        return self._run(images, before[:-1] if before[-1].startswith("drop") else before).flatten(1)

    def activations(self, images: Tensor, *names: str) -> dict[str, Tensor]:
        """Gives the outputs of the named layers, untouched by later ones.

        Args:
            images: (N, 3, S, S), preprocessed.
            *names: Names out of `order`.

        Returns:
            name -> (N, C, H, W) for convolutional layers, (N, units) for the others.

        Raises:
            UsageError: There is no such layer, or the images have another shape.
        """
        self._check_side(images)
        unknown = [name for name in names if name not in self.order]
        if unknown:
            raise UsageError(f"no layer {unknown[0]!r}; there are {', '.join(self.order)}")
        taken = {}
        for name in self.order[: 1 + max((self.order.index(name) for name in names), default=-1)]:
            images = self._call_layer(name, images)
            if name in names:
                taken[name] = images
        return taken

    def dropouts(self) -> Iterator[Dropout]:
        """Gives the dropout layers, in order."""
        return (layer for layer in self.children() if isinstance(layer, Dropout))

    def _run(self, images: Tensor, order: list[str]) -> Tensor:
        """Calls the layers, a ReLU together with the normalisation that follows it."""
        self._check_side(images)
        skip = False
        for name, following in zip(order, [*order[1:], ""], strict=True):
            if skip:
                skip = False
                continue
            skip = name.startswith("relu") and following.startswith("norm") and self.settings["activation"] == "relu"
            images = getattr(self, following)(images, rectify=True) if skip else self._call_layer(name, images)
        return images

    def _call_layer(self, name: str, images: Tensor) -> Tensor:
        if images.dim() == 4 and name.startswith(("fc", "drop")):
            images = images.flatten(1)
        return getattr(self, name)(images)  # type: ignore[no-any-return]

    def _check_side(self, images: Tensor) -> None:
        side = self.input_size
        if images.shape[1:] != (3, side, side) and not torch.compiler.is_compiling():
            wanted = f"(N, 3, {side}, {side})"
            raise UsageError(f"this {self.variant} takes images of shape {wanted}, got {tuple(images.shape)}")

    def _add(self, name: str, layer: nn.Module) -> None:
        if isinstance(layer, LocalResponseNorm | SameMapNorm):
            layer.alpha *= self.settings["alpha_factor"]
        self.add_module(name, layer)
        self.order.append(name)


def _check(
    classes: int,
    input_size: int,
    activation: str,
    lrn: bool,
    alpha_factor: float,
    pooling: str,
    without: str,
    dropout: float,
) -> None:
    if classes < 1:
        raise UsageError(f"a network needs at least one class, got {classes}")
    if classes > MAX_CLASSES:
        raise UsageError(f"a network has at most {MAX_CLASSES:,} classes, got {classes:,}")
    if input_size > (largest := RANGES["input_size"][1]):
        raise UsageError(f"a network sees at most {largest:,} pixels a side, got input_size {input_size:,}")
    if activation not in ACTIVATIONS:
        raise UsageError(f"no activation {activation!r}; there are {', '.join(ACTIVATIONS)}")
    if not 0 <= alpha_factor < math.inf:
        raise UsageError(f"the factor of alpha must be 0 or more, got {alpha_factor}")
    if pooling not in ("overlapping", "2x2"):
        raise UsageError(f"no pooling {pooling!r}; there are overlapping and 2x2")
    if without not in ("none", "conv3", "conv4"):
        raise UsageError(f"no layer {without!r} to leave out; there are conv3 and conv4, or none")
    if not 0 <= dropout < 1:
        raise UsageError(f"the dropout rate must lie in [0, 1), got {dropout}")
