"""Each layer of the two-tower training step, against the two floors: its operations and its bytes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from alexnet import machine
from alexnet.benches import limits
from alexnet.benches.clock import typical
from alexnet.benches.rounds import Contestant, Failed, Notice, launch
from alexnet.benches.size import Size
from alexnet.config import Train
from alexnet.models.create import create
from alexnet.models.network import Network
from alexnet.training.step import Step

SELF = Contestant("each layer", "benches.layers.measure", keeps_memory=True)
UPDATE_MOVES = 5  # reads weights, gradients and momentum; writes weights and momentum
FIGURES = ("forward_ms", "backward_ms", "flop", "bytes")


def table(size: Size, found: dict[str, float], notice: Notice) -> list[dict[str, Any]]:
    """Gives a row a layer: milliseconds, operations and bytes of a batch, and the floors these two set."""
    notice(SELF.name)
    try:
        measured = launch(SELF, size)
    except Failed as reason:
        notice(f"left out: {SELF.name}: {reason}")
        return []
    rate = found.get(limits.multiply("bf16")) or found[limits.multiply("float32")]
    names = dict.fromkeys(key.partition(" ")[0] for key in measured)
    rows = [{"name": name} | {figure: measured[f"{name} {figure}"] for figure in FIGURES} for name in names]
    floors = [
        {"operations_ms": 1e3 * row["flop"] / rate, "bytes_ms": 1e3 * row["bytes"] / found[limits.COPY]}  # type: ignore[operator]
        for row in rows
    ]
    return [row | floor for row, floor in zip(rows, floors, strict=True)]


def measure(size: Size) -> dict[str, float]:
    """Measures each layer on what the layer before it gives, in the numbers that training takes."""
    dtype, device = machine.dtype("auto"), machine.device()
    model = create("alexnet-two-tower", input_size=size.input_size).to(device)
    model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    side = model.input_size
    units = 60 * torch.randn(size.batch, 3, side, side, device=device)
    units = units.to(dtype, memory_format=torch.channels_last)
    numbers = partial(torch.autocast, device.type, dtype, enabled=dtype != torch.float32)
    figures: dict[str, float] = {}
    for name, layer, function in steps(model):
        units = units.detach().requires_grad_(name != "conv1")
        taken, result = _measure(layer, function, units, size, numbers)
        figures |= {f"{name} {figure}": value for figure, value in zip(FIGURES, taken, strict=True)}
        units = result
    update = (0.0, 1e3 * _update_s(model, size), 0.0, UPDATE_MOVES * 4.0 * sum(p.numel() for p in model.parameters()))
    return figures | {f"update {figure}": value for figure, value in zip(FIGURES, update, strict=True)}


def steps(model: Network) -> Iterator[tuple[str, nn.Module, Callable[[Tensor], Tensor]]]:
    """Gives name, layer and function of each step of the network; a ReLU before a normalisation is part of it."""
    for name, following in zip(model.order, [*model.order[1:], ""], strict=True):
        layer = getattr(model, name)
        if following.startswith("norm"):
            continue
        if name.startswith("norm"):
            yield name, layer, partial(layer, rectify=True)
        elif name == "fc6":
            yield name, layer, nn.Sequential(nn.Flatten(), layer)
        else:
            yield name, layer, layer


def _update_s(model: Network, size: Size) -> float:
    """Gives the seconds of changing all weights, by the optimiser of our training step."""
    optimiser = Step(model, Train(), torch.float32).optimiser
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return typical(optimiser.step, size.seconds / 4)


def _measure(
    layer: nn.Module,
    function: Callable[[Tensor], Tensor],
    units: Tensor,
    size: Size,
    numbers: Callable[[], AbstractContextManager[Any]],
) -> tuple[tuple[float, ...], Tensor]:
    """Gives the figures of one layer and its output."""

    def forward() -> Tensor:
        with numbers():
            return function(units)

    result = forward()
    gradient = torch.randn_like(result)
    sources = [*([units] if units.requires_grad else []), *layer.parameters()]

    def backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(result, sources, gradient, retain_graph=True)

    seconds = (typical(call, size.seconds / 4) for call in (forward, backward))
    return (*(1e3 * each for each in seconds), *_work(layer, units, result)), result


def _work(layer: nn.Module, units: Tensor, result: Tensor) -> tuple[float, float]:
    """Gives the operations and bytes of both directions.

    Forwards reads input and weights and writes the output; backwards reads all three (the output's gradient), and
    writes the gradients of weights and, but for conv1, input.
    """
    weight = getattr(layer, "weight", None)
    macs = weight.numel() * result.numel() // len(weight) if isinstance(weight, Tensor) else 0
    weights = sum(each.nbytes for each in layer.parameters())
    once = units.nbytes + weights + result.nbytes
    gradients = weights + (units.nbytes if units.requires_grad else 0)
    return float(2 * macs * (3 if units.requires_grad else 2)), float(2 * once + gradients)
