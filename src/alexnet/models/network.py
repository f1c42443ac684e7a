"""What the networks have in common: layers with names, called one after the other."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from alexnet.config import Design
from alexnet.errors import UsageError
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}

MAX_CLASSES = 1_000_000


class Network(nn.Module):
    """A network without its layers; `AlexNet` and `CifarNet` add them.

    `input_size` is the side of the square input in pixels where the design gives none.

    Attributes:
        design: The design; its `input_size` is never None here.
        order: Names of the layers, in the order they are called.
        decays: Layer -> factor of its weight decay, where that is not 1.

    Raises:
        UsageError: There is no class, or there are more than a network can have.
    """

    def __init__(self, design: Design, classes: int, input_size: int) -> None:
        super().__init__()
        if classes < 1:
            raise UsageError(f"a network needs at least one class, got {classes}")
        if classes > MAX_CLASSES:
            raise UsageError(f"a network has at most {MAX_CLASSES:,} classes, got {classes:,}")
        self.input_size = input_size if design.input_size is None else design.input_size
        self.design, self.classes = replace(Design.of(design), input_size=self.input_size), classes
        self.order: list[str] = []
        self.decays: dict[str, float] = {}

    @property
    def variant(self) -> str:
        """Name of its row."""
        return self.design.variant

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits (N, classes) of preprocessed images (N, 3, S, S) with S = `input_size`."""
        return self._run(images, self.order)

    @property
    def feature_layer(self) -> str:
        """Name of the layer that the last one reads, its dropout left out: AlexNet's `relu7`."""
        before = self.order[:-1]
        return before[-2] if before[-1].startswith("drop") else before[-1]

    @property
    def last_maps(self) -> str:
        """Name of the layer that the first fully connected one reads, its dropout left out: AlexNet's `pool5`."""
        is_full = [name.startswith(("fc", "drop")) for name in self.order]
        return self.order[is_full.index(True) - 1]

    def features(self, images: Tensor) -> Tensor:
        """Returns the features (N, units) that the last layer reads: AlexNet's 4096 of fc7 after its ReLU, no dropout.

        Source: paper section 6.1, which compares pictures by them.
        """
        return self._run(images, self.order[: 1 + self.order.index(self.feature_layer)]).flatten(1)

    def before_head(self, images: Tensor) -> Tensor:
        """Returns what the last layer reads (N, units): in evaluation the features, scaled where dropout scales."""
        return self._run(images, self.order[:-1]).flatten(1)

    def activations(self, images: Tensor, *names: str) -> dict[str, Tensor]:
        """Returns the outputs of the named layers, untouched by later ones.

        Args:
            images: (N, 3, S, S), preprocessed.
            *names: Names out of `order`.

        Returns:
            name -> (N, C, H, W) for convolutional layers, (N, units) for the others.

        Raises:
            UsageError: There is no such layer, or the images have another shape.
        """
        self._check_side(images)
        for name in names:
            if name not in self.order:
                raise UsageError(f"no layer {name!r}; there are {', '.join(self.order)}")
        outputs = {}
        for name in self.order[: 1 + max(map(self.order.index, names), default=-1)]:
            images = self._call_layer(name, images)
            if name in names:
                outputs[name] = images
        return outputs

    def dropouts(self) -> Iterator[Dropout]:
        """Returns the dropout layers, in order."""
        return (layer for layer in self.children() if isinstance(layer, Dropout))

    def _run(self, images: Tensor, order: list[str]) -> Tensor:
        """Calls the layers, a ReLU together with the normalisation that follows it."""
        self._check_side(images)
        fuses = self.design.activation == "relu"
        names = zip(order, [*order[1:], ""], strict=True)
        for name, following in names:
            if fuses and name.startswith("relu") and following.startswith("norm"):
                images = getattr(self, following)(images, rectify=True)
                next(names)  # the normalisation is done
            else:
                images = self._call_layer(name, images)
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
            layer.alpha *= self.design.alpha_factor
        self.add_module(name, layer)
        self.order.append(name)
