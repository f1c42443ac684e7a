"""Most weights are not needed: the smallest become zero and stay zero."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from alexnet.models.network import Network

KEPT = {"conv1": 0.84, "conv2": 0.38, "conv3": 0.35, "conv4": 0.37, "conv5": 0.37, "fc8": 0.25}
"""Layer -> fraction of its weights that stay.

Source: Han, Mao, Dally 2016, Deep Compression, table 4, which also keeps 9 % of fc6 and fc7.
"""


def prune(model: Network, keep: float) -> None:
    """Sets the smallest weights of each layer to zero, in place.

    Of fc6 and fc7 the fraction `keep` stays, in (0, 1]; of the other layers that in `KEPT`.
    """
    with torch.no_grad():
        for name, weights in weights_of(model).items():
            flat = weights.flatten()
            places = flat.abs().topk(max(1, round(KEPT.get(name, keep) * len(flat))), sorted=False).indices
            weights.copy_(torch.zeros_like(flat).index_copy_(0, places, flat[places]).view_as(weights))


def soften_dropout(model: Network, keep: float) -> None:
    """Lowers the rate of dropout to rate * sqrt(keep), in place, since fewer weights need less regularisation.

    In a network that is scaled at test time, the weights after each dropout are scaled too, so its outputs stay.

    Source: Han, Pool, Tran, Dally 2015, Learning both weights and connections, section 3.2.
    """
    for name, behind in pairwise(model.order):
        if not name.startswith("drop"):
            continue
        layer, fc = getattr(model, name), getattr(model, behind)
        rate = layer.rate * math.sqrt(keep)
        if not layer.rescale:
            with torch.no_grad():
                fc.weight.mul_((1 - layer.rate) / (1 - rate))
        layer.rate = rate
        model.design = replace(model.design, dropout=rate)


def hold_zeros(model: Network) -> None:
    """Makes every later update leave those weights at zero that are zero at this moment.

    Their gradients become zero. Without momentum or a value to decay, the weights then do not move.
    """
    for weights in weights_of(model).values():
        hook = partial(_mask, weights.detach() != 0)
        weights.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]


def weights_of(model: Network) -> dict[str, Tensor]:
    """Returns the weights of each layer by its name, without biases."""
    return {name: layer.weight for name, layer in model.named_children() if isinstance(layer, nn.Conv2d | nn.Linear)}


def _mask(mask: Tensor, weights: Tensor) -> None:
    assert weights.grad is not None
    weights.grad.mul_(mask)
