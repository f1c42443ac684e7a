"""One update of the weights."""

from itertools import cycle
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from alexnet.config import Train
from alexnet.models.network import Network
from alexnet.seeds import fold
from alexnet.training.lars import Lars
from alexnet.training.parallel import Part
from alexnet.training.schedule import highest


class Step:
    """Updates a network, batch by batch, by stochastic gradient descent with momentum, or by LARS.

    Args:
        model: The network; put into training mode and channels-last layout, in place.
        train: The settings.
        dtype: Of activations and products; weights, gradients and momentum are float32.
        part: What this process has of the network, where several share it.

    Attributes:
        error: Share of the last batch that was named wrongly before its update, in [0, 1].

    Source: paper section 5. v <- momentum v - decay rate w - rate g; w <- w + v: the rate is inside v, so momentum
    keeps the old rate for a while after a change (as in Caffe).
    Differs: under a schedule that changes the rate at every step, and ends at 0, the rate is outside v, as PyTorch has
    it.
    """

    def __init__(self, model: Network, train: Train, dtype: torch.dtype, part: Part | None = None) -> None:
        self.model, self.train, self.dtype = model, train, dtype
        self.part = part or Part(model)
        model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parameters = dict(model.named_parameters())
        groups = self._groups()
        self.optimiser: torch.optim.Optimizer
        if train.optimiser == "lars":
            self.optimiser = Lars(groups, train.learning_rate, train.momentum, train.trust, self.part.over_layers)
        else:
            self.optimiser = torch.optim.SGD(groups, train.learning_rate, train.momentum, fused=True)
        self.error = 1.0

    def __call__(self, images: Tensor, labels: Tensor, step: int, rate: float) -> float:
        """Makes one update.

        Args:
            images: (N, 3, S, S), preprocessed; of a team, those that this process feeds.
            labels: (N,) int64; of a team, those of the scores that it sees.
            step: Which update; dropout is drawn for it.
            rate: Learning rate.

        Returns:
            The mean loss of the batch before the update, in nats.
        """
        self._set_rate(rate)
        for index, layer in enumerate(self.model.dropouts()):
            layer.seed = fold(self.train.seed, "dropout", step, index)
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.model(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.train.label_smoothing)
        self.optimiser.zero_grad()
        team = self.part.team
        (loss / team.data.count).backward()  # type: ignore[no-untyped-call]
        self.part.wait()
        self.optimiser.step()
        measured = torch.stack([loss.detach(), (logits.detach().argmax(1) != labels).float().mean()])
        total_loss, total_error = team.everyone.sum(measured).tolist()
        self.error = total_error / team.everyone.count
        return total_loss / team.everyone.count  # type: ignore[no-any-return]

    def momentum(self) -> dict[str, Tensor]:
        """Gives parameter name -> momentum; empty before the first update."""
        state = self.optimiser.state
        return {name: state[p]["momentum_buffer"] for name, p in self.parameters.items() if p in state}

    def restore(self, momentum: dict[str, Tensor], rate: float) -> None:
        """Takes up where `momentum` and the rate of the last update were saved."""
        self._set_rate(rate)
        for name, value in momentum.items():
            parameter = self.parameters[name]
            self.optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(value)

    def _groups(self) -> list[dict[str, Any]]:
        """Gives pairs of groups, the weights and the biases of the same layers, a pair for each strength of decay."""
        factors = {name: self.model.decays.get(name.partition(".")[0], 1.0) for name in self.parameters}
        return [
            {
                "params": [p for name, p in self.parameters.items() if name.endswith(kind) and factors[name] == factor],
                "weight_decay": factor * self.train.weight_decay if kind == "weight" or self.train.bias_decay else 0.0,
            }
            for factor in dict.fromkeys(factors.values())
            for kind in ("weight", "bias")
        ]

    def _set_rate(self, rate: float) -> None:
        """PyTorch's SGD keeps the rate outside the momentum; where it drops, the paper's momentum stays as it was."""
        train = self.train
        bias_rate = train.bias_rate * (rate if train.bias_follows else highest(train))
        keeps = train.optimiser == "sgd" and train.schedule in ("plateau", "steps")
        for group, new in zip(self.optimiser.param_groups, cycle((rate, bias_rate)), strict=False):
            buffers = [self.optimiser.state[p]["momentum_buffer"] for p in group["params"] if p in self.optimiser.state]
            if keeps and buffers and new != group["lr"]:
                torch._foreach_mul_(buffers, group["lr"] / new)
            group["lr"] = new


def dead_units(model: Network, images: Tensor, dtype: torch.dtype) -> dict[str, float]:
    """Gives, for each ReLU layer, the share of channels or units that are zero on the whole batch."""
    names = [name for name in model.order if name.startswith("relu")]
    with torch.no_grad(), torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        outputs = model.activations(images, *names)
    return {name: float((out.transpose(0, 1).flatten(1) <= 0).all(1).float().mean()) for name, out in outputs.items()}
