"""Weight sharing: a layer's weights take their values from a small codebook, and training moves the codebook."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.compression.prune import weights_of
from alexnet.models.network import Network

VALUES = {"conv": 256, "fc": 32}
"""Kind of layer -> most values of its codebook: 8 bits and 5 bits, as in Han, Mao, Dally 2016, section 5.2."""

ROUNDS = 300
"""Most rounds of k-means."""


def share(model: Network) -> None:
    """Replaces each weight that is not zero by the nearest value of its layer's codebook, in place."""
    with torch.no_grad():
        for name, weights in weights_of(model).items():
            flat = weights.flatten().cpu().numpy()
            kept = np.flatnonzero(flat)
            codebook = cluster(flat[kept], VALUES[name[:-1]])
            flat[kept] = codebook[np.searchsorted((codebook[1:] + codebook[:-1]) / 2, flat[kept])]
            weights.copy_(torch.from_numpy(flat).view_as(weights))


def cluster(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Finds the `count` values, 2 or more, that stand for others with the least squared error (k-means on a line).

    None of the values (n,) is zero. Returns (count,) ascending, each the mean of the values nearest to it; fewer where
    there are fewer values.

    Source: Han, Mao, Dally 2016, section 3.2, which starts from evenly spaced centres because large weights are few
    and matter most. Differs: they are spaced on each side of the hole that pruning left around zero.
    """
    ordered = np.sort(values).astype(np.float64)
    sums = np.concatenate([[0], np.cumsum(ordered)])  # with which the sum of any stretch is a difference
    sides = [side for side in (ordered[ordered < 0], ordered[ordered > 0]) if len(side)]
    centres = np.concatenate([np.linspace(side[0], side[-1], min(len(side), count // 2)) for side in sides])
    for _ in range(ROUNDS):
        edges = np.concatenate([[0], np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2), [len(ordered)]])
        sizes = np.diff(edges)
        moved = np.where(sizes > 0, np.diff(sums[edges]) / np.maximum(sizes, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres[sizes > 0].astype(np.float32)


class Shared:
    """Equal weights in groups that keep one value each in every update; zeros stay.

    The gradient of a value is the sum over its members. All members move by that sum over their number: to move n
    weights together by a step is to move along a direction of length sqrt(n), so this is the step that plain gradient
    descent takes when it may only move them together. A rate that is stable without groups is stable with them.
    """

    def __init__(self, weights: Tensor) -> None:
        flat = weights.detach().flatten()
        self.places = flat.nonzero()[:, 0]
        codebook, self.groups, self.sizes = torch.unique(flat[self.places], return_inverse=True, return_counts=True)
        self.count = len(codebook)

    def sums(self, gradient: Tensor) -> Tensor:
        """Returns the gradient of each value, (count,) float64: the sum over its members."""
        members = gradient.flatten()[self.places].double()
        return members.new_zeros(self.count).index_add_(0, self.groups, members)

    def average(self, tensor: Tensor) -> None:
        """Sets each member of a group to the mean of the group, and all other elements to zero, in place."""
        means = (self.sums(tensor) / self.sizes).to(tensor.dtype)
        flat = torch.zeros_like(tensor, memory_format=torch.contiguous_format).flatten()
        flat[self.places] = means[self.groups]
        tensor.copy_(flat.view_as(tensor))

    def __call__(self, weights: Tensor) -> None:
        """Averages the gradients of `weights` over each group, as soon as they are computed."""
        assert weights.grad is not None
        self.average(weights.grad)


def hold_values(model: Network) -> dict[str, Shared]:
    """Makes every later update keep weights equal that are equal at this moment, and zeros zero.

    Returns the groups of each layer.
    """
    groups = {}
    for name, weights in weights_of(model).items():
        groups[name] = Shared(weights)
        weights.register_post_accumulate_grad_hook(groups[name])  # type: ignore[no-untyped-call]
    return groups
