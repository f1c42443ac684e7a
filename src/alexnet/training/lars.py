"""Layer-wise adaptive rate scaling: the optimiser for batches of thousands."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class Lars(torch.optim.Optimizer):
    """Updates each layer at a rate in proportion to the norm of its weights over that of their gradients.

    local = trust |w| / (|g| + decay |w|); v <- momentum v + rate local (g + decay w); w <- w - v

    Args:
        groups: In pairs, of the weights and of the biases of the same layers in the same order, with "weight_decay";
            the last bias may be missing.
        rate: Global learning rate.
        momentum: Of v.
        trust: How far a layer moves in a step, over the norm of its weights, at a rate of 1.
        over_layers: Turns sums over this process's parts of layers, (layers, 2), into those over whole layers.

    Source: You, Gitman, Ginsburg 2017, Large Batch Training of Convolutional Networks, algorithm 1.
    Differs: The paper leaves biases open. They take the local rate of their layer's weights, since by their own norm
    those that start at 0 would stay there. So does a whole layer of zeros: it takes the global rate.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        rate: float,
        momentum: float,
        trust: float,
        over_layers: Callable[[Tensor], Tensor] = lambda sums: sums,
    ) -> None:
        super().__init__(groups, {"lr": rate, "momentum": momentum, "trust": trust})
        self._over_layers = over_layers

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Makes one update from the gradients."""
        for (weights, biases), rates in zip(self._pairs(), self._local_rates(), strict=True):
            for group in (weights, biases):
                for parameter, local in zip(group["params"], rates, strict=False):
                    state = self.state[parameter]
                    if not state:
                        state["momentum_buffer"] = torch.zeros_like(parameter)
                    velocity = state["momentum_buffer"].mul_(group["momentum"])
                    velocity.add_((parameter.grad + group["weight_decay"] * parameter) * (group["lr"] * local))
                    parameter.sub_(velocity)

    def _pairs(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return list(zip(self.param_groups[::2], self.param_groups[1::2], strict=True))

    def _local_rates(self) -> tuple[Tensor, ...]:
        """Returns the rates of the layers of each pair; all norms are summed together, which takes one exchange."""
        groups = [weights for weights, _ in self._pairs()]
        layers = [(weight, group) for group in groups for weight in group["params"]]
        squares = torch.stack([torch.stack([w.square().sum(), w.grad.square().sum()]) for w, _ in layers])
        size, slope = self._over_layers(squares).sqrt().unbind(1)
        trust, decay = (size.new_tensor([group[name] for _, group in layers]) for name in ("trust", "weight_decay"))
        local = torch.where((size > 0) & (slope > 0), trust * size / (slope + decay * size), 1.0)
        return torch.split(local, [len(group["params"]) for group in groups])
