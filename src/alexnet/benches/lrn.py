"""Local response normalisation, forward and backward, on conv1's map."""

from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import nn

from alexnet import machine
from alexnet.benches import limits
from alexnet.benches.clock import typical
from alexnet.benches.rounds import Contest, Contestant, Notice, Result
from alexnet.benches.size import Size
from alexnet.models.lrn import decomposed, local_response_norm

LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
CASES = [f"{numbers} {layout}" for numbers in limits.DTYPES for layout in LAYOUTS]
MAPS_MOVED = 5  # forwards reads a and writes b; backwards reads a and b's gradient and writes a's

PEERS = {
    "nn.LocalResponseNorm": Contestant("nn.LocalResponseNorm", "benches.lrn.measure", {"way": "torch"}),
    "same allocator": Contestant("nn.LocalResponseNorm, same allocator", "benches.lrn.measure", {"way": "torch"}, True),
    "decomposed": Contestant("decomposed", "benches.lrn.measure", {"way": "decomposed"}, True),
}
OURS = Contestant("ours", "benches.lrn.measure", {"way": "ours"}, keeps_memory=True)

WAYS: dict[str, Any] = {
    "ours": local_response_norm,
    "decomposed": decomposed,
    "torch": nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0),
}


def bench(size: Size, notice: Notice) -> Result:
    """Compares the ways to compute it in each case."""
    result, peers = Result(), list(PEERS.values())
    contest = Contest([limits.contestant(limits.COPY), OURS, *peers], size, notice)
    bandwidth = limits.note(result, contest, limits.COPY)[limits.COPY]
    for case in CASES:
        floor = {"copy bandwidth": [MAPS_MOVED * _map_bytes(size, case) / rate * 1e3 for rate in bandwidth]}
        others = {peer.name: contest(peer.name, case) for peer in peers}
        result.row(f"lrn: ours, {case}", "ms", contest(OURS.name, case), others | floor)
        for name, series in others.items():
            result.row(f"lrn: {name}, {case}", "ms", series, floor)
    return result


def measure(size: Size, way: str) -> dict[str, float]:
    """Gives the milliseconds of one way in each case that it can do; PyTorch's knows no bf16 on processors."""
    figures = {}
    for case in CASES:
        with suppress(NotImplementedError):
            figures[case] = 1e3 * forward_backward(WAYS[way], size.map, case, size.seconds / 4)
    return figures


def forward_backward(function: Any, shape: tuple[int, ...], case: str, seconds: float) -> float:
    """Gives the seconds of a function and its gradient on a map of random numbers.

    Args:
        function: From images to images.
        shape: (N, C, H, W) of the map.
        case: Numbers and layout, out of `CASES`.
        seconds: To measure for.
    """
    numbers, layout = case.split()
    make = partial(torch.randn, *shape, device=machine.device(), dtype=limits.DTYPES[numbers])
    images, gradient = (make().contiguous(memory_format=LAYOUTS[layout]) for _ in range(2))
    images.requires_grad_()
    return typical(lambda: torch.autograd.grad(function(images), images, gradient), seconds)


def _map_bytes(size: Size, case: str) -> int:
    count, channels, height, width = size.map
    return count * channels * height * width * limits.DTYPES[case.split()[0]].itemsize
