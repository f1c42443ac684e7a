"""One update of the weights."""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import torch
from torch import Tensor

from alexnet.config import Train
from alexnet.models.network import Network
from alexnet.seeds import fold
from alexnet.training.loss import cross_entropy
from alexnet.training.parallel import Part
from alexnet.training.schedule import highest
from alexnet.training.transfer import factor_of


class Step:
    """Updates a network, batch by batch, by stochastic gradient descent with momentum, or by LARS.

    A training loop shows the three parts of an update; calling the step makes it in one.

    The model is put into training mode and channels-last layout in place. Activations and products are computed in
    `dtype`; weights, gradients and momentum are float32. `part` is what this process has of a network that several hold
    together. With `class_weights`, (C,) with a mean over all pictures of 1, the loss of a picture counts by its class.

    Source: paper section 5. v <- momentum v - decay rate w - rate g; w <- w + v: the rate is inside v, so momentum
    keeps the old rate for a while after a change (as in Caffe).
    Differs: a schedule that changes the rate at every step, and ends at 0, has it outside v, as PyTorch does.
    """

    def __init__(
        self,
        model: Network,
        train: Train,
        dtype: torch.dtype,
        part: Part | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        self.model, self.train, self.dtype = model, train, dtype
        self.part, self.class_weights = part or Part(model), class_weights
        model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        groups = self._groups()
        self.optimiser: torch.optim.Optimizer
        if train.optimiser == "lars":
            self.optimiser = Lars(groups, train.learning_rate, train.momentum, train.trust, self.part.over_layers)
        else:
            self.optimiser = torch.optim.SGD(groups, train.learning_rate, train.momentum, fused=True)
        self._measured = torch.zeros(2)

    def __call__(self, images: Tensor, labels: Tensor, number: int, rate: float) -> tuple[float, float]:
        """Makes one update: takes what `loss` and `update` take, and returns what `update` returns."""
        self.loss(images, labels, number).backward()  # type: ignore[no-untyped-call]
        return self.update(rate)

    def loss(self, images: Tensor, labels: Tensor, number: int) -> Tensor:
        """Returns the mean loss of a batch in nats, to call `backward` on; gradients of the last batch are dropped.

        Of a team, the mean over the processes that have other pictures.

        Args:
            images: (N, 3, S, S), preprocessed; of a team, those that this process feeds.
            labels: (N,) int64; of a team, those of the scores that this process computes.
            number: Which update, from 0; dropout is drawn for it.
        """
        for index, layer in enumerate(self.model.dropouts()):
            layer.seed = fold(self.train.seed, "dropout", number, index)
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.model(images)
        loss = cross_entropy(logits.float(), labels, self.class_weights, self.train.label_smoothing)
        self._measured = torch.stack([loss.detach(), (logits.detach().argmax(1) != labels).float().mean()])
        self.optimiser.zero_grad()
        return loss / self.part.team.data.count

    def update(self, rate: float) -> tuple[float, float]:
        """Updates the weights by the gradients.

        Returns the mean loss of the whole batch before the update, in nats, and the fraction of it named wrongly.
        """
        self._set_rate(rate)
        self.part.wait()
        self.optimiser.step()
        everyone = self.part.team.everyone
        loss, error = everyone.sum(self._measured).tolist()
        return loss / everyone.count, error / everyone.count

    def momentum(self) -> dict[str, Tensor]:
        """Returns parameter name -> momentum; empty before the first update."""
        state = self.optimiser.state
        return {name: state[p]["momentum_buffer"] for name, p in self.parameters.items() if p in state}

    def restore(self, momentum: dict[str, Tensor], rate: float) -> None:
        """Takes up the momentum, of whole layers, and the rate that were saved after the last update."""
        self._set_rate(rate)
        for name, value in self.part.mine(momentum).items():
            parameter = self.parameters[name]
            self.optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(value)

    def _groups(self) -> list[dict[str, Any]]:  # what torch.optim takes
        """Returns pairs of groups, weights and biases of the same layers.

        There is a pair for each two factors, of weight decay and of the learning rate, that some layer has.
        """
        layers = {name: name.partition(".")[0] for name in self.parameters}
        factors = {
            name: (self.model.decays.get(layer, 1.0), factor_of(self.train, self.model, layer))
            for name, layer in layers.items()
        }
        return [
            {
                "params": [p for name, p in self.parameters.items() if name.endswith(kind) and factors[name] == pair],
                "weight_decay": pair[0] * self.train.weight_decay if kind == "weight" or self.train.bias_decay else 0.0,
                "rate_factor": pair[1],
            }
            for pair in dict.fromkeys(factors.values())
            for kind in ("weight", "bias")
        ]

    def _set_rate(self, rate: float) -> None:
        """Sets the rate of weights and biases, and keeps the paper's momentum as it was."""
        train = self.train
        bias_rate = train.bias_rate * (rate if train.bias_follows else highest(train))
        keeps = train.optimiser == "sgd" and train.schedule in ("plateau", "steps")
        for group, whole in zip(self.optimiser.param_groups, cycle((rate, bias_rate)), strict=False):
            new = group["rate_factor"] * whole
            buffers = [self.optimiser.state[p]["momentum_buffer"] for p in group["params"] if p in self.optimiser.state]
            if keeps and buffers and new not in (0, group["lr"]):
                # PyTorch's SGD has the rate outside the momentum, the paper inside: a drop must not shrink the past.
                for buffer in buffers:
                    buffer.mul_(group["lr"] / new)
            group["lr"] = new


def dead_units(model: Network, images: Tensor, dtype: torch.dtype) -> dict[str, float]:
    """Returns for each ReLU layer the fraction of its channels or units that are zero on the whole batch."""
    names = [name for name in model.order if name.startswith("relu")]
    with torch.no_grad(), torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        outputs = model.activations(images, *names)
    return {name: float((out.transpose(0, 1).flatten(1) <= 0).all(1).float().mean()) for name, out in outputs.items()}


class Lars(torch.optim.Optimizer):
    """Updates each layer at a rate in proportion to the norm of its weights over that of their gradients.

    local = trust |w| / (|g| + decay |w|); v <- momentum v + rate local (g + decay w); w <- w - v

    `groups` come in pairs, of the weights and of the biases of the same layers in the same order, with "weight_decay";
    the last bias may be missing. `trust` is how far a layer moves in a step, over the norm of its weights, at a rate
    of 1. `over_layers` turns sums over this process's parts of layers, (layers, 2), into those over whole layers.

    Source: You, Gitman, Ginsburg 2017, Large Batch Training of Convolutional Networks, algorithm 1.
    Differs: The paper leaves biases open. They take the local rate of their layer's weights, since by their own norm
    those that start at 0 would stay there. So does a whole layer of zeros: it takes the global rate.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],  # parameter groups, as torch defines them
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

    def _pairs(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:  # as above
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
