"""AlexNet, every published one: one class over the table of variants.

Layers carry the paper's names and are called in the order of `AlexNet.order`:

    conv1 relu1 norm1 pool1  conv2 relu2 norm2 pool2  conv3 relu3  conv4 relu4  conv5 relu5 pool5
    fc6 relu6 drop6  fc7 relu7 drop7  fc8

Two towers are one tensor whose channels lie side by side: grouped convolutions keep the halves apart in conv2,
conv4 and conv5, and conv3, fc6, fc7 and fc8 read both (facts: paper figure 2).
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.config import Design
from alexnet.errors import UsageError
from alexnet.models.convolution import Convolution
from alexnet.models.dropout import Dropout
from alexnet.models.initialise import initialise
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm
from alexnet.models.network import ACTIVATIONS, Network
from alexnet.models.pool import MaxPool
from alexnet.models.variants import VARIANTS, Variant, look_up


class PadEnd(nn.Module):
    """Adds zeros at the bottom and right until windows of `kernel` at `stride` cover every pixel.

    Source: cuda-convnet counts 1 + ceil((side - kernel) / stride) positions and reads zeros beyond the edge.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, C, H + h, W + w)."""
        height, width = (-(side - self.kernel) % self.stride for side in images.shape[-2:])
        return F.pad(images, (0, width, 0, height)) if height or width else images


class AlexNet(Network):
    """The network of a design; `initialisation` is a key of `SCHEMES`, or None for the variant's own.

    Raises:
        UsageError: There is no such variant, or the input is smaller than its layers need.

    Source: Krizhevsky, Sutskever, Hinton 2012, section 3; the variants' own sources are in `variants.py`.
    """

    def __init__(
        self, design: Design, *, classes: int = 1000, initialisation: str | None = None, seed: int = 0
    ) -> None:
        row = look_up(design.variant, VARIANTS)
        super().__init__(design, classes, row.input_size)
        self._build_convolutions(row)
        side = self._side_of_pool5(self.input_size)
        if side < 1:
            smallest = next(s for s in range(self.input_size, 1000) if self._side_of_pool5(s) >= 1)
            raise UsageError(
                f"{self.input_size} pixels are too few for {design.variant}; the smallest input is {smallest}"
            )
        self._build_head(row, row.channels[4] * side * side)
        initialise(self, initialisation or row.initialisation, self.order, seed)

    def _build_convolutions(self, row: Variant) -> None:
        design, plain = self.design, self.design.pooling == "2x2"
        c1, c2, c3, c4, c5 = row.channels
        c3, c4 = c2 if design.without == "conv3" else c3, c3 if design.without == "conv4" else c4
        make: dict[str, Callable[[], nn.Module]] = {
            "conv1": lambda: Convolution(3, c1, 11, 4, 2 if row.conv1_padding == "both" else 0),
            "conv2": lambda: Convolution(c1, c2, 5, padding=1 if plain else 2, groups=row.groups),
            "conv3": lambda: Convolution(c2, c3, 3, padding=1),
            "conv4": lambda: Convolution(c3, c4, 3, padding=1, groups=row.groups),
            "conv5": lambda: Convolution(c4, c5, 3, padding=0 if plain else 1, groups=row.groups),
            "relu": ACTIVATIONS[design.activation],
            "norm": lambda: LocalResponseNorm(row.size, row.alpha, row.beta, row.k, row.towers),
            "same": SameMapNorm,
            "pool": lambda: MaxPool(2, 2, ceil_mode=True) if plain else MaxPool(3, 2),
        }
        if row.conv1_padding == "end":
            self._add("pad1", PadEnd(11, 4))
        for number, block in enumerate((row.block1, row.block2, "conv relu", "conv relu", row.block5), 1):
            if design.without == f"conv{number}":
                continue
            for kind in block.split():
                if design.lrn or kind not in ("norm", "same"):
                    self._add(f"{kind}{number}", make[f"conv{number}" if kind == "conv" else kind]())

    def _build_head(self, row: Variant, inputs: int) -> None:
        for number, width in ((6, inputs), (7, row.hidden)):
            for kind in row.head.split():
                if kind == "fc":
                    self._add(f"fc{number}", nn.Linear(width, row.hidden))
                elif kind == "relu":
                    self._add(f"relu{number}", ACTIVATIONS[self.design.activation]())
                elif self.design.dropout:
                    self._add(f"drop{number}", Dropout(self.design.dropout, row.rescale_dropout))
        self._add("fc8", nn.Linear(row.hidden, self.classes))

    def _side_of_pool5(self, side: int) -> int:
        """Returns the side of pool5's maps for an input, or 0 where the input is too small."""
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
