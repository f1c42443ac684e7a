"""Local response normalisation, forward and backward, on conv1's map."""

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from statistics import median

import torch
from torch import Tensor, nn

from alexnet import machine
from alexnet.benches import limits
from alexnet.benches.clock import typical
from alexnet.benches.contest import Contest, Contestant, Notice
from alexnet.benches.findings import Findings, Limit, Row
from alexnet.benches.size import Size
from alexnet.models.lrn import decomposed, local_response_norm

CASES = {
    "float32 contiguous": (torch.float32, torch.contiguous_format),
    "float32 channels-last": (torch.float32, torch.channels_last),
    "bf16 contiguous": (torch.bfloat16, torch.contiguous_format),
    "bf16 channels-last": (torch.bfloat16, torch.channels_last),
}
MAPS_MOVED = 5  # forwards reads a and writes b; backwards reads a and b's gradient and writes a's


def bench(size: Size, notice: Notice) -> Findings:
    """Compares four ways to normalise in each case of numbers and layout."""
    pytorch = partial(measure, normalise=nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0))
    ours = Contestant("ours", partial(measure, normalise=local_response_norm), keeps_memory=True)
    peers = [
        Contestant("nn.LocalResponseNorm", pytorch),
        Contestant("nn.LocalResponseNorm, same allocator", pytorch, keeps_memory=True),
        Contestant("decomposed", partial(measure, normalise=decomposed), keeps_memory=True),
    ]
    limit = limits.contestant(Limit.COPY)
    contest = Contest([limit, ours, *peers], size, notice)
    bandwidth = contest.series(limit, lambda rates: rates[Limit.COPY])

    def compare(case: str, dtype: torch.dtype) -> list[Row]:
        moved = MAPS_MOVED * math.prod(size.map) * dtype.itemsize
        floor = {"copy bandwidth": [1e3 * moved / rate for rate in bandwidth]}
        return contest.rows(f"lrn: {{}}, {case}", "ms", lambda turn: turn.get(case), [ours], peers, lambda _: floor)

    table = [row for case, (dtype, _) in CASES.items() for row in compare(case, dtype)]
    return Findings(table, {Limit.COPY: median(bandwidth)} if bandwidth else {})


def measure(size: Size, normalise: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Returns the milliseconds of each case that a way can do; PyTorch's cannot do bf16 on processors."""
    figures = {}
    for case, (dtype, layout) in CASES.items():
        with suppress(NotImplementedError):
            figures[case] = 1e3 * forward_backward(normalise, size.map, dtype, layout, size.seconds / 4)
    return figures


def forward_backward(
    function: Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    dtype: torch.dtype,
    layout: torch.memory_format,
    seconds: float,
) -> float:
    """Returns the seconds of a function and its gradient on a random (N, C, H, W) map, measured for `seconds`."""
    make = partial(torch.randn, *shape, device=machine.device(), dtype=dtype)
    images, gradient = (make().contiguous(memory_format=layout) for _ in range(2))
    images.requires_grad_()
    return typical(lambda: torch.autograd.grad(function(images), images, gradient), seconds)
