"""Single layers beside what the machine can do at all: normalisation, and each layer of the two-tower step."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn

from alexnet import machine
from alexnet.benches.contest import Contest, Contestant, Notice, laps, typical
from alexnet.benches.findings import BenchRow, Findings, Layer, Limit, Series, Size
from alexnet.config import Train
from alexnet.models.create import create
from alexnet.models.lrn import decomposed, local_response_norm
from alexnet.models.network import Network
from alexnet.training.step import Step

Function = Callable[[Tensor], Tensor]

CASES = {
    f"{numbers} {layout}": (dtype, order)
    for numbers, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16))
    for layout, order in (("contiguous", torch.contiguous_format), ("channels-last", torch.channels_last))
}
MAPS_MOVED = 5  # forwards reads a and writes b; backwards reads a and b's gradient and writes a's
UPDATE_MOVES = 5  # reads weights, gradients and momentum; writes weights and momentum

PYTORCH = "nn.LocalResponseNorm"
WAYS: dict[str, Function] = {
    "ours": local_response_norm,
    PYTORCH: nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0),
    "decomposed": decomposed,
}
"""The ways to normalise."""


def bench(size: Size, notice: Notice) -> Findings:
    """Compares four ways to normalise conv1's map, forwards and backwards, in each case of numbers and layout."""
    ours, pytorch, plain = (Contestant(way, partial(normalise, way=way), way != PYTORCH) for way in WAYS)
    alike = replace(pytorch, name=f"{pytorch.name}, same allocator", keeps_memory=True)
    peers, machine_itself = [pytorch, alike, plain], limits(Limit.COPY)
    contest = Contest([machine_itself, ours, *peers], size, notice)
    rates = series(contest(machine_itself))

    def compare(case: str, dtype: torch.dtype) -> list[BenchRow]:
        moved = MAPS_MOVED * math.prod(size.map) * dtype.itemsize
        floor = {"copy bandwidth": [1e3 * moved / rate for rate in rates.get(Limit.COPY, [])]}
        return contest.rows(f"lrn: {{}}, {case}", "ms", lambda turn: turn.get(case), [ours], peers, lambda _: floor)

    return Findings([row for case, (dtype, _) in CASES.items() for row in compare(case, dtype)], rates)


def limits(*names: Limit) -> Contestant[dict[Limit, float]]:
    """Makes the machine itself a contestant, which measures some of its limits."""
    return Contestant("the machine", partial(measure_limits, limits=names), keeps_memory=True)


def series(turns: list[dict[Limit, float]]) -> dict[Limit, Series]:
    """Returns the series of each limit that was measured."""
    return {limit: [turn[limit] for turn in turns] for limit in (turns[0] if turns else ())}


def measure_limits(size: Size, limits: Sequence[Limit]) -> dict[Limit, float]:
    """Measures limits; that of bf16 only where the machine has bf16."""
    device, seconds = machine.device(), size.seconds / 4

    def multiply(dtype: torch.dtype) -> float:
        speeds = []
        for side in size.matrices:
            left, right, out = (torch.full((side, side), 0.5, dtype=dtype, device=device) for _ in range(3))
            speeds.append(2 * side**3 / typical(partial(torch.mm, left, right, out=out), seconds))
        return max(speeds)

    def copy() -> float:
        source, target = torch.ones(2, size.block // 4, device=device)
        return 2 * size.block / typical(lambda: target.copy_(source), seconds)  # bytes read plus bytes written

    def read() -> float:
        block = torch.ones(size.block // 4, device=device)
        ways = (block.sum, block.max, block.view(torch.int64).sum)  # arithmetic holds some of them up
        return size.block / min(typical(way, seconds / 2) for way in ways)

    measures: dict[Limit, Callable[[], float]] = {
        Limit.FLOAT32: partial(multiply, torch.float32),
        Limit.BF16: partial(multiply, torch.bfloat16),
        Limit.COPY: copy,
        Limit.READ: read,
    }
    return {limit: measures[limit]() for limit in limits if limit != Limit.BF16 or machine.has_bf16()}


def normalise(size: Size, way: str) -> dict[str, float]:
    """Returns the milliseconds of each case that a way can do; PyTorch's cannot do bf16 on processors."""
    figures = {}
    for case, (dtype, layout) in CASES.items():
        with suppress(NotImplementedError):
            figures[case] = 1e3 * forward_backward(WAYS[way], size, dtype, layout)
    return figures


def forward_backward(function: Function, size: Size, dtype: torch.dtype, layout: torch.memory_format) -> float:
    """Returns the median seconds of a function and its gradient on a random map, once kept memory has been touched."""
    make = partial(torch.randn, *size.map, device=machine.device(), dtype=dtype)
    images, gradient = (make().contiguous(memory_format=layout) for _ in range(2))
    images.requires_grad_()
    times = laps(lambda: torch.autograd.grad(function(images), images, gradient), size.seconds / 4, size.warm_up + 3)
    return median(times[1 + size.warm_up :])


def table(size: Size, limits: dict[Limit, Series], notice: Notice) -> list[Layer]:
    """Returns a row for each layer: milliseconds, operations and bytes of a batch, and the floors these two set."""
    each_layer = Contestant("each layer", measure, keeps_memory=True)
    contest = Contest([each_layer], replace(size, rounds=1), notice)
    multiply, copy = median(limits.get(Limit.BF16) or limits[Limit.FLOAT32]), median(limits[Limit.COPY])
    return [
        replace(layer, operations_ms=1e3 * layer.flop / multiply, bytes_ms=1e3 * layer.bytes / copy)
        for layers in contest(each_layer)
        for layer in layers
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
        row, units = _measure(name, layer, function, units, size, dtype)
        layers.append(row)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    moved = UPDATE_MOVES * 4.0 * sum(parameter.numel() for parameter in model.parameters())
    return [*layers, Layer("update", 0.0, 1e3 * typical(optimiser.step, size.seconds / 4), 0.0, moved)]


def steps(model: Network) -> Iterator[tuple[str, nn.Module, Function]]:
    """Yields name, layer and function of each step of the network; a ReLU before a normalisation is part of it."""
    for name, following in zip(model.order, [*model.order[1:], ""], strict=True):
        layer = getattr(model, name)
        if name.startswith("norm"):
            yield name, layer, partial(layer, rectify=True)
        elif not following.startswith("norm"):
            yield name, layer, nn.Sequential(nn.Flatten(), layer) if name == "fc6" else layer


def _measure(
    name: str, layer: nn.Module, function: Function, units: Tensor, size: Size, dtype: torch.dtype
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

    weight = getattr(layer, "weight", None)
    macs = weight.numel() * result.numel() // len(weight) if isinstance(weight, Tensor) else 0
    weights = sum(parameter.nbytes for parameter in layer.parameters())
    # Forwards reads input and weights and writes the output. Backwards reads the same, with the output's gradient in
    # place of the output, and writes the gradients of the weights and, except for conv1, of the input.
    moved = 2 * (units.nbytes + weights + result.nbytes) + sum(source.nbytes for source in sources)
    forward_ms, backward_ms = (1e3 * typical(call, size.seconds / 4) for call in (forward, backward))
    return Layer(name, forward_ms, backward_ms, 2.0 * macs * (3 if units.requires_grad else 2), float(moved)), result
