"""Dropout as published, drawn anew for every step from a seed."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Silences each unit with probability `rate`, in [0, 1).

    With `rescale` what is left is divided by (1 - rate) in training. Otherwise everything is multiplied by (1 - rate)
    at test time, as the paper (section 4.2) and the 2012 source do.

    Attributes:
        seed: Seed of the next mask; None draws from PyTorch's own generator.
        rows, columns: Index and count of the parts in which it sees a larger batch, or a wider layer; the mask is the
            same in however many parts.
    """

    def __init__(self, rate: float, rescale: bool) -> None:
        super().__init__()
        self.rate, self.rescale = rate, rescale
        self.seed: int | None = None
        self.rows = self.columns = (0, 1)

    def forward(self, units: Tensor) -> Tensor:
        """Returns the units (N, ...) with some silenced, or scaled; same shape."""
        keep = 1 - self.rate
        if not self.training:
            return units if self.rescale else units * keep
        generator = None if self.seed is None else torch.Generator(units.device).manual_seed(self.seed)
        (row, rows), (column, columns) = self.rows, self.columns
        shape = [len(units) * rows, *(width * columns for width in units.shape[1:])]
        # The mask is drawn whole, and this part taken out of it.
        mask = units.new_empty(shape).bernoulli_(keep, generator=generator).chunk(rows)[row]
        mask = mask.chunk(columns, 1)[column] if columns > 1 else mask
        return units * (mask / keep if self.rescale else mask)

    def extra_repr(self) -> str:
        """Shows the settings in the network's printout."""
        return f"rate={self.rate}, rescale={self.rescale}"
