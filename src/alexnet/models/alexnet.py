"""AlexNet, every published one: one class over the table of variants.

Layers carry the paper's names and are called in the order of `AlexNet.order`:

    conv1 relu1 norm1 pool1  conv2 relu2 norm2 pool2  conv3 relu3  conv4 relu4  conv5 relu5 pool5
    fc6 relu6 drop6  fc7 relu7 drop7  fc8

Two towers are one tensor whose channels lie side by side: grouped convolutions keep the halves apart in conv2,
conv4 and conv5, and conv3, fc6, fc7 and fc8 read both (facts: paper figure 2).
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.errors import UsageError
from alexnet.models.initialise import initialise
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm
from alexnet.models.variants import Variant, variant

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


class Dropout(nn.Module):
    """Silences each unit with probability `rate`, drawing from a generator of its own.

    Args:
        rate: Probability of silence, in [0, 1).
        rescale: Divide what is left by (1 - rate) in training. Otherwise multiply everything by (1 - rate) at test
            time, as the paper (section 4.2) and the 2012 source do.

    Attributes:
        seed: Of the next draw; None draws from PyTorch's own generator.
        rows, columns: Index and count of the parts in which it sees a larger batch, or wider layer; the draw is the
            same in however many parts.
    """

    def __init__(self, rate: float, rescale: bool) -> None:
        super().__init__()
        self.rate, self.rescale = rate, rescale
        self.seed: int | None = None
        self.rows = self.columns = (0, 1)

    def forward(self, units: Tensor) -> Tensor:
        """Gives the units (N, ...) with some silenced, or scaled; same shape."""
        keep = 1 - self.rate
        if not self.training:
            return units if self.rescale else units * keep
        generator = None
        if self.seed is not None:
            generator = torch.Generator(units.device).manual_seed(self.seed)
        (row, rows), (column, columns) = self.rows, self.columns
        shape = [len(units) * rows, *(width * columns for width in units.shape[1:])]
        mask = units.new_empty(shape).bernoulli_(keep, generator=generator).chunk(rows)[row]
        mask = mask.chunk(columns, 1)[column] if columns > 1 else mask
        return units * (mask / keep if self.rescale else mask)

    def extra_repr(self) -> str:
        """Shows the settings in the network's printout."""
        return f"rate={self.rate}, rescale={self.rescale}"


class PadEnd(nn.Module):
    """Adds zeros at the bottom and right until windows of `kernel` at `stride` cover every pixel.

    Source: cuda-convnet counts 1 + ceil((side - kernel) / stride) positions and reads zeros beyond the edge.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, images: Tensor) -> Tensor:
        """Gives (N, C, H + h, W + w)."""
        height, width = (-(side - self.kernel) % self.stride for side in images.shape[-2:])
        return F.pad(images, (0, width, 0, height)) if height or width else images


class AlexNet(nn.Module):
    """The network.

    Args:
        name: A key of `VARIANTS`.
        classes: Outputs of fc8, 1 or more.
        input_size: Side of the square input in pixels; the variant's own by default.
        activation: `relu` or `tanh`.
        lrn: False leaves local response normalisation out.
        pooling: `overlapping`, windows of 3 at stride 2; or `2x2`, net 147's geometry of windows of 2 at stride 2.
        without: `conv3` or `conv4`, a layer to leave out with its ReLU; or `none`.
        dropout: Probability of silencing a unit after fc6 and fc7; 0 leaves the layers out.
        initialisation: A key of `SCHEMES`; the variant's own by default.
        seed: Of the weights.

    Raises:
        UsageError: A name is unknown, or `input_size` is smaller than the network can take.

    Source: Krizhevsky, Sutskever, Hinton 2012, section 3; the variants' own sources are in `variants.py`.
    """

    def __init__(
        self,
        name: str = "alexnet",
        *,
        classes: int = 1000,
        input_size: int | None = None,
        activation: str = "relu",
        lrn: bool = True,
        pooling: str = "overlapping",
        without: str = "none",
        dropout: float = 0.5,
        initialisation: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        row = variant(name)
        _check(classes, activation, pooling, without, dropout)
        self.variant, self.classes = name, classes
        self.input_size = input_size or row.input_size
        self.settings: dict[str, Any] = {
            "activation": activation, "lrn": lrn, "pooling": pooling, "without": without, "dropout": dropout
        }  # fmt: skip
        self.order: list[str] = []
        self._build_convolutions(row, activation, lrn, pooling, without)
        side = self._side_of_pool5(self.input_size)
        if side < 1:
            smallest = next(s for s in range(self.input_size, 1000) if self._side_of_pool5(s) >= 1)
            raise UsageError(f"{self.input_size} pixels are too few for {name}; the smallest input is {smallest}")
        self._build_head(row, row.channels[4] * side * side, activation, dropout)
        initialise(self, initialisation or row.initialisation, self.order, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Gives the logits.

        Args:
            images: (N, 3, S, S) with S = `input_size`, preprocessed.

        Returns:
            (N, classes).
        """
        return self._run(images, self.order)

    def features(self, images: Tensor) -> Tensor:
        """Gives the 4096 features a picture is known by: fc7 after its ReLU.

        Args:
            images: (N, 3, S, S), preprocessed.

        Returns:
            (N, hidden).

        Source: paper section 6.1, which compares pictures by them.
        """
        return self._run(images, self.order[: self.order.index("relu7") + 1])

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
        for name in self.order:
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
        if name == "fc6" or (name == "drop6" and images.dim() == 4):
            images = images.flatten(1)
        return getattr(self, name)(images)  # type: ignore[no-any-return]

    def _check_side(self, images: Tensor) -> None:
        side = self.input_size
        if images.shape[1:] != (3, side, side) and not torch.compiler.is_compiling():
            wanted = f"(N, 3, {side}, {side})"
            raise UsageError(f"this {self.variant} takes images of shape {wanted}, got {tuple(images.shape)}")

    def _add(self, name: str, layer: nn.Module) -> None:
        self.add_module(name, layer)
        self.order.append(name)

    def _build_convolutions(self, row: Variant, activation: str, lrn: bool, pooling: str, without: str) -> None:
        plain = pooling == "2x2"
        c1, c2, c3, c4, c5 = row.channels
        c3, c4 = c2 if without == "conv3" else c3, c3 if without == "conv4" else c4
        convolutions = {
            "1": nn.Conv2d(3, c1, 11, 4, 2 if row.conv1_padding == "both" else 0),
            "2": nn.Conv2d(c1, c2, 5, padding=1 if plain else 2, groups=row.groups),
            "3": nn.Conv2d(c2, c3, 3, padding=1),
            "4": nn.Conv2d(c3, c4, 3, padding=1, groups=row.groups),
            "5": nn.Conv2d(c4, c5, 3, padding=0 if plain else 1, groups=row.groups),
        }
        make: dict[str, Callable[[], nn.Module]] = {
            "relu": ACTIVATIONS[activation],
            "norm": lambda: LocalResponseNorm(row.size, row.alpha, row.beta, row.k, row.towers),
            "same": SameMapNorm,
            "pool": lambda: nn.MaxPool2d(2, 2, ceil_mode=True) if plain else nn.MaxPool2d(3, 2),
        }
        blocks = {"1": row.block1, "2": row.block2, "3": "conv relu", "4": "conv relu", "5": row.block5}
        if row.conv1_padding == "end":
            self._add("pad1", PadEnd(11, 4))
        blocks.pop(without.removeprefix("conv"), None)
        for number, block in blocks.items():
            for kind in block.split():
                if kind == "conv":
                    self._add("conv" + number, convolutions[number])
                elif lrn or kind not in ("norm", "same"):
                    self._add(kind + number, make[kind]())

    def _build_head(self, row: Variant, inputs: int, activation: str, dropout: float) -> None:
        for number in "67":
            for kind in row.head.split():
                if kind == "fc":
                    self._add("fc" + number, nn.Linear(inputs if number == "6" else row.hidden, row.hidden))
                elif kind == "relu":
                    self._add("relu" + number, ACTIVATIONS[activation]())
                elif dropout:
                    self._add("drop" + number, Dropout(dropout, row.rescale_dropout))
        self._add("fc8", nn.Linear(row.hidden, self.classes))

    def _side_of_pool5(self, side: int) -> int:
        for name in self.order:
            layer = getattr(self, name)
            if isinstance(layer, PadEnd):
                side += -(side - layer.kernel) % layer.stride
            elif isinstance(layer, nn.Conv2d):
                side = (side + 2 * int(layer.padding[0]) - layer.kernel_size[0]) // layer.stride[0] + 1
            elif isinstance(layer, nn.MaxPool2d):
                window, stride = int(layer.kernel_size), int(layer.stride)  # type: ignore[arg-type]
                side = (side - window + (stride - 1 if layer.ceil_mode else 0)) // stride + 1
            if side < 1:
                return 0
        return side


def _check(classes: int, activation: str, pooling: str, without: str, dropout: float) -> None:
    if classes < 1:
        raise UsageError(f"a network needs at least one class, got {classes}")
    if activation not in ACTIVATIONS:
        raise UsageError(f"no activation {activation!r}; there are {', '.join(ACTIVATIONS)}")
    if pooling not in ("overlapping", "2x2"):
        raise UsageError(f"no pooling {pooling!r}; there are overlapping and 2x2")
    if without not in ("none", "conv3", "conv4"):
        raise UsageError(f"no layer {without!r} to leave out; there are conv3 and conv4, or none")
    if not 0 <= dropout < 1:
        raise UsageError(f"the dropout rate must lie in [0, 1), got {dropout}")
