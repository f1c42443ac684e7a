"""What the units of a layer see of the input: their receptive fields, by the arithmetic of windows."""

from typing import NamedTuple

from torch import nn

from alexnet.models.cifar import LocallyConnected
from alexnet.models.lrn import SameMapNorm
from alexnet.models.network import Network
from alexnet.records import Box


class Field(NamedTuple):
    """The squares of the input, in pixels, that the units of a layer see: that of row and column 0, and the others."""

    side: int
    jump: int  # from one to the next
    start: int  # where the first begins; below 0 where a layer has read zeros around the picture

    def box(self, row: int, column: int, size: int, edge: int) -> Box:
        """Returns what the unit at a place of its map sees of a picture whose part the input is.

        The input, of `size` pixels, lies `edge` pixels inside the picture. What lies outside of it is not seen.
        """
        top, left = self.start + row * self.jump, self.start + column * self.jump
        ends = (min(size, first + self.side) + edge for first in (left, top))
        return Box(left=max(0, left) + edge, top=max(0, top) + edge, right=next(ends), bottom=next(ends))


def field_of(model: Network, layer: str) -> Field:
    """Returns the receptive field of a layer of `model.order`; behind a fully connected layer it is the whole input."""
    side, jump, start = 1, 1, 0
    for name in model.order[: 1 + model.order.index(layer)]:
        module = getattr(model, name)
        if isinstance(module, nn.Linear):
            return Field(model.input_size, model.input_size, 0)
        window, stride, padding = window_of(module)
        side, start, jump = side + (window - 1) * jump, start - padding * jump, jump * stride
    return Field(side, jump, start)


def window_of(module: nn.Module) -> tuple[int, int, int]:
    """Returns side, stride and padding of the windows of a layer; one that reads no neighbours has (1, 1, 0)."""
    if isinstance(module, nn.Conv2d):
        return module.kernel_size[0], module.stride[0], int(module.padding[0])
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return int(module.kernel_size), int(module.stride), 0  # type: ignore[arg-type]
    if isinstance(module, SameMapNorm):
        return module.size, 1, module.size // 2
    return (3, 1, 1) if isinstance(module, LocallyConnected) else (1, 1, 0)
