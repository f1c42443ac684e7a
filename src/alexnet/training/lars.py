"""Layer-wise adaptive rate scaling: the optimiser for batches of thousands."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Lars(torch.optim.Optimizer):
    """Gives each layer a rate in proportion to its weights' norm over their gradient's.

    local = trust |w| / (|g| + decay |w|); v <- momentum v + rate local (g + decay w); w <- w - v

    Args:
        groups: In pairs, of the weights and of the biases of the same layers in the same order, with "weight_decay".
        rate: Global learning rate.
        momentum: Of v.
        trust: How far a layer moves in a step, over the norm of its weights, at a rate of 1.

    Source: You, Gitman, Ginsburg 2017, Large Batch Training of Convolutional Networks, algorithm 1.
    Differs: The paper leaves biases open. They take the local rate of their layer's weights, since by their own norm
    those that start at 0 would stay there. So does a whole layer of zeros: it takes the global rate.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], rate: float, momentum: float, trust: float) -> None:
        super().__init__(groups, {"lr": rate, "momentum": momentum, "trust": trust})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Makes one update from the gradients."""
        for pair in zip(self.param_groups[::2], self.param_groups[1::2], strict=True):
            for layer in zip(*(group["params"] for group in pair), strict=True):
                local = self._local_rate(layer[0], pair[0])
                for parameter, group in zip(layer, pair, strict=True):
                    velocity = self._velocity(parameter).mul_(group["momentum"])
                    velocity.add_((parameter.grad + group["weight_decay"] * parameter) * (group["lr"] * local))
                    parameter.sub_(velocity)

    def _local_rate(self, weight: Tensor, group: dict[str, Any]) -> Tensor:
        size, slope = torch.linalg.vector_norm(weight), torch.linalg.vector_norm(weight.grad)
        local = group["trust"] * size / (slope + group["weight_decay"] * size)
        return torch.where((size > 0) & (slope > 0), local, 1.0)

    def _velocity(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        velocity: Tensor = state["momentum_buffer"]
        return velocity
