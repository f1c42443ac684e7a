"""What the machine can do at all: multiply matrices, copy and read memory."""

from functools import partial

import torch

from alexnet import machine
from alexnet.benches.clock import typical
from alexnet.benches.rounds import Contest, Contestant, Result, Series
from alexnet.benches.size import Size

MACHINE = "the machine"
COPY, READ = "copy bytes/s", "read bytes/s"
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def multiply(numbers: str) -> str:
    """Names the limit of matrix products in `numbers`, FLOP/s."""
    return f"{numbers} matrix multiply FLOP/s"


def contestant(*wanted: str) -> Contestant:
    """Makes the machine itself a contestant; `wanted` names the limits."""
    return Contestant(MACHINE, "benches.limits.measure", {"wanted": wanted}, keeps_memory=True)


def measure(size: Size, wanted: list[str]) -> dict[str, float]:
    """Measures limits, by name; bf16 only where the processor has it."""
    ways = {multiply(name): partial(_multiply, dtype) for name, dtype in DTYPES.items()} | {COPY: _copy, READ: _read}
    if not machine.has_bf16():
        del ways[multiply("bf16")]
    return {name: ways[name](size) for name in wanted if name in ways}


def note(result: Result, contest: Contest, *names: str) -> dict[str, Series]:
    """Writes limits into a result and gives their series."""
    series = {name: contest(MACHINE, name) for name in names}
    for name, values in series.items():
        result.limit(name, values)
    return series


def _multiply(dtype: torch.dtype, size: Size) -> float:
    """Gives the rate of the best size of matrix."""
    rates = []
    for side in size.matrices:
        left, right, out = (torch.full((side, side), 0.5, dtype=dtype, device=machine.device()) for _ in range(3))
        rates.append(2 * side**3 / typical(partial(torch.mm, left, right, out=out), size.seconds / 4))
    return max(rates)


def _copy(size: Size) -> float:
    """Counts the bytes read and the bytes written."""
    source, target = torch.ones(2, size.block // 4, device=machine.device())
    return 2 * size.block / typical(lambda: target.copy_(source), size.seconds / 4)


def _read(size: Size) -> float:
    """Takes the quickest of several reductions, some of which are held up by arithmetic."""
    block = torch.ones(size.block // 4, device=machine.device())
    whole = block.view(torch.int64)
    ways = (block.sum, block.max, whole.sum)
    return size.block / min(typical(way, size.seconds / 8) for way in ways)
