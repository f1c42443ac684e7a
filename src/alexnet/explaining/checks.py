"""Whether a map shows what the network does: two checks that a map of edges, or of the middle, does not pass."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from alexnet.models.network import Network
from alexnet.records import Change, Checks, Deletion
from alexnet.seeds import generator

STEPS = 10
RANDOM_ORDERS = 3


class Mapped(NamedTuple):
    """An image (3, S, S), preprocessed, a class, and the map (S, S) of where the image shows it."""

    image: Tensor
    label: int
    map: Tensor


DrawAll = Callable[[Network, Sequence[Mapped]], Iterable[Tensor]]
"""Draws the maps of several images anew, in order."""


@torch.no_grad()  # maps that need slopes ask for them
def check(model: Network, mapped: Sequence[Mapped], draw: DrawAll) -> list[Checks]:
    """Checks each map that `draw` drew, in order; the model is in evaluation mode."""
    changes = zip(*_changes(model, mapped, draw), strict=True)
    return [Checks(changes=own, deletion=_deletion(model, *each)) for each, own in zip(mapped, changes, strict=True)]


def _changes(model: Network, mapped: Sequence[Mapped], draw: DrawAll) -> Iterator[list[Change]]:
    """Shuffles the weights of layer after layer, from the last, each within itself, and compares the maps.

    Yields for each layer the change of every map.

    Source: Adebayo et al. 2018, section 3.1 (cascading randomisation), who draw new weights.
    """
    wholes, shuffled = list(draw(model, mapped)), copy.deepcopy(model)
    for number, name in enumerate(reversed([name for name in model.order if hasattr(getattr(model, name), "weight")])):
        weight = getattr(shuffled, name).weight
        order = torch.from_numpy(generator(0, "shuffle", number).permutation(weight.numel()))
        weight.copy_(weight.flatten()[order].view_as(weight))
        yield [_change(name, whole, other) for whole, other in zip(wholes, draw(shuffled, mapped), strict=True)]


def _change(layer: str, one: Tensor, other: Tensor) -> Change:
    return Change(layer=layer, rank_correlation=rank_correlation(one, other), ssim=ssim(_unit(one), _unit(other)))


def _deletion(model: Network, image: Tensor, label: int, map_: Tensor) -> Deletion:
    """Sets a tenth of the pixels after another to the mean image.

    Source: Petsiuk, Das and Saenko 2018 (RISE), section 4.2.
    """
    size = image.shape[-1]
    places = torch.arange(size) - (size - 1) / 2
    orders = [map_.flatten(), -(places[:, None] ** 2 + places**2).flatten()]
    orders += [torch.from_numpy(generator(0, "deletion", i).random(size * size)) for i in range(RANDOM_ORDERS)]
    own, centred, *random = _areas(model, image, label, orders)
    return Deletion(own=own, random=sum(random) / RANDOM_ORDERS, centred=centred)


def _areas(model: Network, image: Tensor, label: int, orders: Sequence[Tensor]) -> list[float]:
    """Returns the mean probability of a class for each order, (S * S,), in which pixels are deleted, largest first."""
    size = image.shape[-1]
    bounds = torch.linspace(0, size * size, STEPS + 1)[:, None, None, None]
    ranks = [order.argsort(descending=True).argsort().view(size, size) for order in orders]
    with torch.inference_mode():
        probabilities = model(torch.cat([image * (rank >= bounds) for rank in ranks])).softmax(1)[:, label]
    return [float(mean) for mean in probabilities.view(len(orders), -1).mean(1)]


def rank_correlation(one: Tensor, other: Tensor) -> float:
    """Returns Spearman's rank correlation of two maps of one shape, -1..1; 0 where one of them is flat."""
    if any(each.max() == each.min() for each in (one, other)):
        return 0.0
    return float(torch.corrcoef(torch.stack([_ranks(one.flatten()), _ranks(other.flatten())]))[0, 1].clamp(-1, 1))


def _ranks(values: Tensor) -> Tensor:
    """Returns the rank of each value; equal values share the mean of their ranks."""
    _, places, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ranks: Tensor = (counts.cumsum(0) - (counts - 1) / 2).double()
    return ranks[places]


def ssim(one: Tensor, other: Tensor) -> float:
    """Returns the structural similarity of two maps (S, S) in 0..1, over windows of 7 x 7.

    Source: Wang et al. 2004, equation 13.
    """
    a, b = one[None, None].double(), other[None, None].double()

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, 7, 1)

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance, c1, c2 = mean(a * b) - mean_a * mean_b, 0.01**2, 0.03**2
    similar = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((similar / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))).mean())


def _unit(map_: Tensor) -> Tensor:
    low, high = map_.min(), map_.max()
    return (map_ - low) / (high - low) if high > low else torch.zeros_like(map_)
