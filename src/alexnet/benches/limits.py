"""What the machine can do at all: multiply matrices, copy and read memory."""

from collections.abc import Callable
from functools import partial

import torch

from alexnet import machine
from alexnet.benches.clock import typical
from alexnet.benches.contest import Contestant, Series
from alexnet.benches.findings import Limit
from alexnet.benches.size import Size


def contestant(*limits: Limit) -> Contestant[dict[Limit, float]]:
    """Makes the machine itself a contestant, which measures some of its limits."""
    return Contestant("the machine", partial(measure, limits=limits), keeps_memory=True)


def measure(size: Size, limits: tuple[Limit, ...]) -> dict[Limit, float]:
    """Measures limits; that of bf16 only where the machine has bf16."""
    ways: dict[Limit, Callable[[Size], float]] = {
        Limit.FLOAT32: partial(_multiply, torch.float32),
        Limit.BF16: partial(_multiply, torch.bfloat16),
        Limit.COPY: _copy,
        Limit.READ: _read,
    }
    return {limit: ways[limit](size) for limit in limits if limit != Limit.BF16 or machine.has_bf16()}


def rates(turns: list[dict[Limit, float]]) -> dict[Limit, Series]:
    """Returns the series of each limit that was measured."""
    return {limit: [turn[limit] for turn in turns] for limit in (turns[0] if turns else ())}


def _multiply(dtype: torch.dtype, size: Size) -> float:
    """Returns the rate of the matrices that are multiplied fastest, FLOP/s."""
    speeds = []
    for side in size.matrices:
        left, right, out = (torch.full((side, side), 0.5, dtype=dtype, device=machine.device()) for _ in range(3))
        speeds.append(2 * side**3 / typical(partial(torch.mm, left, right, out=out), size.seconds / 4))
    return max(speeds)


def _copy(size: Size) -> float:
    """Returns the bytes read plus the bytes written, a second."""
    source, target = torch.ones(2, size.block // 4, device=machine.device())
    return 2 * size.block / typical(lambda: target.copy_(source), size.seconds / 4)


def _read(size: Size) -> float:
    """Returns the bytes/s of the fastest of several reductions, some of which arithmetic holds up."""
    block = torch.ones(size.block // 4, device=machine.device())
    whole = block.view(torch.int64)
    return size.block / min(typical(way, size.seconds / 8) for way in (block.sum, block.max, whole.sum))
