"""cuda-convnet's networks for CIFAR-10, which came before AlexNet: one class over a table.

    cifar-18pct:  conv1 pool1 relu1 same1  conv2 relu2 pool2 same2  conv3 relu3 pool3  fc4

Layers are numbered like AlexNet's: the source's `fc64` is fc4 here, its `fc10` the last.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.config import Design
from alexnet.errors import UsageError
from alexnet.models.convolution import Convolution
from alexnet.models.initialise import initialise
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm
from alexnet.models.network import ACTIVATIONS, Network
from alexnet.models.pool import MaxPool
from alexnet.models.variants import CIFAR, look_up

SMALLEST = 8
"""Side of the smallest input, pixels."""

WITH_WEIGHTS = ("conv", "local", "fc")
POOLS = ("max", "avg")


class LocallyConnected(nn.Module):
    """Windows of 3 x 3 at every place, zeros around the picture, each place with filters of its own: a convolution
    whose filters are not shared among places.

    `weight` has a row for each unit, as in a fully connected layer: (side * side * outputs, 9 * inputs), units in the
    order (y, x, output), what they read in the order (y, x, input). `bias` has a number for each unit.

    Source: cuda-convnet's `local` layers, of filterSize 3, stride 1, padding 1.
    """

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.inputs, self.outputs, self.side = inputs, outputs, side
        self.weight = nn.Parameter(torch.empty(side * side * outputs, 9 * inputs))
        self.bias = nn.Parameter(torch.empty(side * side * outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, outputs, side, side) from (N, inputs, side, side): one matrix product for each place."""
        side, places = self.side, self.side**2
        padded = F.pad(images, (1, 1, 1, 1)).permute(2, 3, 0, 1)
        windows = torch.cat([padded[y : y + side, x : x + side] for y in range(3) for x in range(3)], -1)
        weight = self.weight.view(places, self.outputs, -1).transpose(1, 2)
        units = torch.baddbmm(self.bias.view(places, 1, -1), windows.flatten(0, 1), weight)
        return torch.unflatten(units, 0, (side, side)).permute(2, 3, 0, 1)

    def extra_repr(self) -> str:
        """Shows the sizes in the network's printout."""
        return f"{self.inputs}, {self.outputs}, side={self.side}"


class CifarNet(Network):
    """One of cuda-convnet's networks; the arguments are those of `AlexNet`.

    Raises:
        UsageError: There is no such variant, or it cannot have one of the settings.

    Source: cuda-convnet's layer definitions `layers-80sec`, `layers-18pct`, `layers-19pct`, `layers-conv-local-13pct`
    and `layers-conv-local-11pct`.
    """

    def __init__(self, design: Design, *, classes: int = 10, initialisation: str | None = None, seed: int = 0) -> None:
        name = design.variant
        row = look_up(name, CIFAR)
        super().__init__(design, classes, row.input_size)
        if design.without != "none":
            raise UsageError(f"{name} has no layer to spare, got without={design.without}")
        if design.dropout:
            raise UsageError(f"{name} has no dropout: set dropout=0, as the recipe {name} does")
        if self.input_size < SMALLEST:
            raise UsageError(f"{self.input_size} pixels are too few for {name}; the smallest input is {SMALLEST}")
        self._build(row.layers.split(", "))
        weighty = [layer for layer in self.order if layer.startswith(WITH_WEIGHTS)]
        self.decays = dict(zip(weighty, row.decays, strict=True))
        initialise(self, initialisation or row.initialisation, self.order, seed)

    def _build(self, blocks: list[str]) -> None:
        window = 2 if self.design.pooling == "2x2" else 3
        make: dict[str, Callable[[], nn.Module]] = {
            "relu": ACTIVATIONS[self.design.activation],
            "norm": lambda: LocalResponseNorm(9, 0.001 / 9, 0.75, 1.0),
            "same": lambda: SameMapNorm(3, 5e-5 / 9, 0.75, 1.0),
            "max": lambda: MaxPool(window, 2, ceil_mode=True),
            "avg": lambda: nn.AvgPool2d(window, 2, ceil_mode=True),
            "conv": lambda: Convolution(channels, outputs, 5, padding=2),
            "local": lambda: LocallyConnected(channels, outputs, side),
            "fc": lambda: nn.Linear(channels * side * side, outputs),
        }
        channels = outputs = 3
        side = self.input_size
        for number, block in enumerate(blocks, 1):
            for word in block.split():
                kind = word.rstrip("0123456789")
                if kind in WITH_WEIGHTS:
                    channels, outputs = outputs, int(word.removeprefix(kind) or self.classes)
                if self.design.lrn or kind not in ("norm", "same"):
                    self._add(f"{'pool' if kind in POOLS else kind}{number}", make[kind]())
                if kind in POOLS:
                    side = -(-(side - window) // 2) + 1
                elif kind == "fc":
                    side = 1
