"""One update of the weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet.config import Train
from alexnet.models.alexnet import AlexNet
from alexnet.seeds import fold
from alexnet.training.lars import Lars
from alexnet.training.parallel import Part


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
    """

    def __init__(self, model: AlexNet, train: Train, dtype: torch.dtype, part: Part | None = None) -> None:
        self.model, self.train, self.dtype = model, train, dtype
        self.part = part or Part(model)
        model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.parameters = dict(model.named_parameters())
        weights = [p for name, p in self.parameters.items() if name.endswith("weight")]
        biases = [p for name, p in self.parameters.items() if name.endswith("bias")]
        groups = [
            {"params": weights, "weight_decay": train.weight_decay},
            {"params": biases, "weight_decay": train.weight_decay if train.bias_decay else 0.0},
        ]
        self.optimiser: torch.optim.Optimizer
        if train.optimiser == "lars":
            self.optimiser = Lars(groups, train.learning_rate, train.momentum, train.trust)
        else:
            self.optimiser = torch.optim.SGD(groups, train.learning_rate, train.momentum, fused=True)
        self.rate, self.error = train.learning_rate, 1.0

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
        for name, value in momentum.items():
            parameter = self.parameters[name]
            self.optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(value)
        self.rate = rate

    def _set_rate(self, rate: float) -> None:
        """PyTorch's SGD keeps the rate outside the momentum; the paper's momentum stays when the rate changes."""
        buffers = list(self.momentum().values())
        is_outside = self.train.optimiser == "sgd"
        if is_outside and self.train.schedule == "plateau" and rate != self.rate and buffers:
            torch._foreach_mul_(buffers, self.rate / rate)
        for group, factor in zip(self.optimiser.param_groups, (1.0, self.train.bias_rate), strict=True):
            group["lr"] = rate * factor
        self.rate = rate


def dead_units(model: nn.Module, images: Tensor, dtype: torch.dtype) -> dict[str, float]:
    """Gives, for each ReLU layer, the share of channels or units that are zero on the whole batch."""
    assert isinstance(model, AlexNet)
    names = [name for name in model.order if name.startswith("relu")]
    with torch.no_grad(), torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        outputs = model.activations(images, *names)
    return {name: float((out.transpose(0, 1).flatten(1) <= 0).all(1).float().mean()) for name, out in outputs.items()}
