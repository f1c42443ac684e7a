"""Taking the time of calls."""

import time
from collections.abc import Callable
from statistics import median

import torch

from alexnet import precision


def laps(call: Callable[[], object], seconds: float, fewest: int = 2) -> list[float]:
    """Gives the seconds of each of several calls, the first included, until `seconds` have passed."""
    taken: list[float] = []
    while len(taken) < fewest or sum(taken[1:]) < seconds:
        started = now()
        call()
        wait()
        taken.append(now() - started)
    return taken


def typical(call: Callable[[], object], seconds: float) -> float:
    """Gives the median seconds of a call, after one to warm up."""
    return median(laps(call, seconds)[1:])


def now() -> float:
    """Gives the seconds on a clock.

    Bound to one core, it is the time that this process had the core: what else ran there in between does not count.
    """
    alone = precision.cores() == 1 and not torch.cuda.is_available()
    return time.process_time() if alone else time.perf_counter()


def wait() -> None:
    """Waits until the GPU, if there is one, has done all it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
