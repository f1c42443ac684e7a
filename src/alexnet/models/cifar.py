"""cuda-convnet's networks for CIFAR-10, which came before AlexNet: one class over a table.

    cifar-18pct:  conv1 pool1 relu1 same1  conv2 relu2 pool2 same2  conv3 relu3 pool3  fc4

Layers are numbered like AlexNet's: the source's `fc64` is fc4 here, its `fc10` the last.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from alexnet.errors import UsageError
from alexnet.models.initialise import initialise
from alexnet.models.local import LocallyConnected
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm
from alexnet.models.network import ACTIVATIONS, Network

SMALLEST = 8
WITH_WEIGHTS = ("conv", "local", "fc")
POOLS = ("max", "avg")


@dataclass(frozen=True)
class Cifar:
    """One of the networks.

    Attributes:
        about: One line on it.
        layers: In the order they are called, a block for each layer with weights: `conv` 5 x 5, `local` 3 x 3 with
            filters of its own at every place, `fc`, each with its outputs (the last has the classes); `max` and `avg`
            pooling, windows of 3 at stride 2; `norm` across 9 channels; `same` over 3 x 3 places of one channel.
        decays: Factor of the weight decay of each layer with weights.
        initialisation: Row of `models.initialise.SCHEMES`.
        input_size: Side of the square input, pixels.
        stored_size: Side of the pictures that crops are taken from, pixels.
    """

    about: str
    layers: str
    decays: tuple[float, ...]
    initialisation: str
    input_size: int = 32
    stored_size: int = 32


_18PCT = Cifar(
    "18 % error without augmentation: 3 convolutions, normalisation within channels",
    "conv32 max relu same, conv32 relu avg same, conv64 relu avg, fc",
    (1, 1, 1, 250),
    "cifar-18pct",
)

_13PCT = Cifar(
    "13 % error with crops and reflections: 2 convolutions, 2 locally connected layers",
    "conv64 relu max, conv64 relu max, local32 relu, local32 relu, fc",
    (0, 0, 1, 1, 1),
    "cifar-13pct",
    input_size=24,
)

CIFAR = {
    "cifar-80sec": Cifar(
        "26 % error in 80 seconds of 2011: 3 convolutions, 2 fully connected layers",
        "conv32 max relu, conv32 relu avg, conv64 relu avg, fc64 relu, fc",
        (1, 1, 1, 7.5, 7.5),
        "cifar-80sec",
    ),
    "cifar-19pct": replace(
        _18PCT,
        about="the same without normalisation",
        layers="conv32 max relu, conv32 relu avg, conv64 relu avg, fc",
        decays=(1, 1, 1, 750),
    ),
    "cifar-18pct": _18PCT,
    "cifar-13pct": _13PCT,
    "cifar-11pct": replace(
        _13PCT,
        about="11 % error with crops and reflections: normalisation across channels",
        layers="conv64 relu max norm, conv64 relu norm max, local64 relu, local32 relu, fc",
        decays=(0, 0, 1, 1, 2.5),
    ),
}


class CifarNet(Network):
    """One of cuda-convnet's networks.

    Args:
        name: A key of `CIFAR`.
        classes: Outputs of the last layer, 1 or more.
        input_size: Side of the square input in pixels, 8 or more; the variant's own by default.
        activation: `relu` or `tanh`.
        lrn: False leaves every normalisation out.
        alpha_factor: What the alpha of either normalisation is multiplied by.
        pooling: `overlapping`, windows of 3 at stride 2; or `2x2`.
        without: Must be `none`.
        dropout: Must be 0: these networks have none.
        initialisation: A key of `SCHEMES`; the variant's own by default.
        seed: Of the weights.

    Raises:
        UsageError: A name is unknown, or a setting is none that it can have.

    Source: cuda-convnet's layer definitions `layers-80sec`, `layers-18pct`, `layers-19pct`, `layers-conv-local-13pct`
    and `layers-conv-local-11pct`.
    """

    def __init__(
        self,
        name: str = "cifar-18pct",
        *,
        classes: int = 10,
        input_size: int | None = None,
        activation: str = "relu",
        lrn: bool = True,
        alpha_factor: float = 1.0,
        pooling: str = "overlapping",
        without: str = "none",
        dropout: float = 0.0,
        initialisation: str | None = None,
        seed: int = 0,
    ) -> None:
        if name not in CIFAR:
            raise UsageError(f"no variant {name!r}; there are {', '.join(CIFAR)}")
        row = CIFAR[name]
        settings: dict[str, Any] = {"activation": activation, "lrn": lrn, "alpha_factor": alpha_factor}
        settings |= {"pooling": pooling, "without": without, "dropout": dropout}
        super().__init__(name, classes, row.input_size if input_size is None else input_size, settings)
        if without != "none":
            raise UsageError(f"{name} has no layer to spare, got without={without}")
        if dropout:
            raise UsageError(f"{name} has no dropout: --set dropout=0, as recipe {name} has it")
        if self.input_size < SMALLEST:
            raise UsageError(f"{self.input_size} pixels are too few for {name}; the smallest input is {SMALLEST}")
        self._build(row.layers.split(", "))
        weighty = [layer for layer in self.order if layer.startswith(WITH_WEIGHTS)]
        self.decays = dict(zip(weighty, row.decays, strict=True))
        initialise(self, initialisation or row.initialisation, self.order, seed)

    def _build(self, blocks: list[str]) -> None:
        window = 2 if self.settings["pooling"] == "2x2" else 3
        make: dict[str, Callable[[], nn.Module]] = {
            "relu": ACTIVATIONS[self.settings["activation"]],
            "norm": lambda: LocalResponseNorm(9, 0.001 / 9, 0.75, 1.0),
            "same": lambda: SameMapNorm(3, 5e-5 / 9, 0.75, 1.0),
            "max": lambda: nn.MaxPool2d(window, 2, ceil_mode=True),
            "avg": lambda: nn.AvgPool2d(window, 2, ceil_mode=True),
            "conv": lambda: nn.Conv2d(channels, outputs, 5, padding=2),
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
                if self.settings["lrn"] or kind not in ("norm", "same"):
                    self._add(f"{'pool' if kind in POOLS else kind}{number}", make[kind]())
                if kind in POOLS:
                    side = -(-(side - window) // 2) + 1
                elif kind == "fc":
                    side = 1
