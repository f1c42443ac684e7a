"""Locally connected layers: a convolution whose filters are not shared among places."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LocallyConnected(nn.Module):
    """Windows of 3 x 3 at every place, zeros around the picture, each place with filters of its own.

    `weight` has a row for each unit, as in a fully connected layer: (side * side * outputs, 9 * inputs), units in the
    order (y, x, output), what they read in the order (y, x, input). `bias` has a number for each unit.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        side: Of the square maps, pixels.

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
        seen = torch.cat([padded[y : y + side, x : x + side] for y in range(3) for x in range(3)], -1)
        weight = self.weight.view(places, self.outputs, -1).transpose(1, 2)
        units = torch.baddbmm(self.bias.view(places, 1, -1), seen.flatten(0, 1), weight)
        return torch.unflatten(units, 0, (side, side)).permute(2, 3, 0, 1)

    def extra_repr(self) -> str:
        """Shows the sizes in the network's printout."""
        return f"{self.inputs}, {self.outputs}, side={self.side}"
