"""Each layer of the two-tower training step, against the two floors: its operations and its bytes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from alexnet import machine
from alexnet.benches.clock import typical
from alexnet.benches.contest import Contestant, Failed, Notice, launch
from alexnet.benches.findings import Layer, Limit
from alexnet.benches.size import Size
from alexnet.config import Train
from alexnet.models.create import create
from alexnet.models.network import Network
from alexnet.training.step import Step

UPDATE_MOVES = 5  # reads weights, gradients and momentum; writes weights and momentum


def table(size: Size, limits: dict[Limit, float], notice: Notice) -> list[Layer]:
    """Returns a row for each layer: milliseconds, operations and bytes of a batch, and the floors these two set."""
    each_layer = Contestant("each layer", measure, keeps_memory=True)
    notice(each_layer.name)
    try:
        layers = launch(each_layer, size)
    except Failed as reason:
        notice(f"left out: {each_layer.name}: {reason}")
        return []
    multiply, copy = limits.get(Limit.BF16) or limits[Limit.FLOAT32], limits[Limit.COPY]
    return [
        replace(each, operations_ms=1e3 * each.flop / multiply, bytes_ms=1e3 * each.bytes / copy) for each in layers
    ]


def measure(size: Size) -> list[Layer]:
    """Measures each layer on the output of the layer before it, in the numbers that training takes."""
    dtype, device = machine.dtype("auto"), machine.device()
    model = create("alexnet-two-tower", input_size=size.input_size).to(device)
    optimiser = Step(model, Train(), dtype).optimiser
    units = 60 * torch.randn(size.batch, 3, model.input_size, model.input_size, device=device)
    units = units.to(dtype, memory_format=torch.channels_last)
    layers = []
    for name, layer, function in steps(model):
        units = units.detach().requires_grad_(name != "conv1")
        work, units = _measure(name, layer, function, units, size, dtype)
        layers.append(work)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    moved = UPDATE_MOVES * 4.0 * sum(p.numel() for p in model.parameters())
    return [*layers, Layer("update", 0.0, 1e3 * typical(optimiser.step, size.seconds / 4), 0.0, moved)]


def steps(model: Network) -> Iterator[tuple[str, nn.Module, Callable[[Tensor], Tensor]]]:
    """Yields name, layer and function of each step of the network; a ReLU before a normalisation is part of it."""
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


def _measure(
    name: str, layer: nn.Module, function: Callable[[Tensor], Tensor], units: Tensor, size: Size, dtype: torch.dtype
) -> tuple[Layer, Tensor]:
    """Returns what one layer takes, and its output."""

    def forward() -> Tensor:
        with torch.autocast(units.device.type, dtype, enabled=dtype != torch.float32):
            return function(units)

    result = forward()
    gradient = torch.randn_like(result)
    sources = [*([units] if units.requires_grad else []), *layer.parameters()]

    def backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(result, sources, gradient, retain_graph=True)

    forward_ms, backward_ms = (1e3 * typical(call, size.seconds / 4) for call in (forward, backward))
    return Layer(name, forward_ms, backward_ms, *_floors(layer, units, result)), result


def _floors(layer: nn.Module, units: Tensor, result: Tensor) -> tuple[float, float]:
    """Returns the operations and the bytes of both directions.

    Forwards reads input and weights and writes the output. Backwards reads the same, with the output's gradient in
    place of the output, and writes the gradients of the weights and, except for conv1, of the input.
    """
    weight = getattr(layer, "weight", None)
    macs = weight.numel() * result.numel() // len(weight) if isinstance(weight, Tensor) else 0
    weights = sum(each.nbytes for each in layer.parameters())
    once = units.nbytes + weights + result.nbytes
    gradients = weights + (units.nbytes if units.requires_grad else 0)
    return float(2 * macs * (3 if units.requires_grad else 2)), float(2 * once + gradients)
