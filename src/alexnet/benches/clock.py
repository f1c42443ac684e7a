"""Taking the time of calls."""

import time
from collections.abc import Callable
from statistics import median

import torch

from alexnet import machine

now = time.process_time if machine.cores() == 1 and not torch.cuda.is_available() else time.perf_counter
"""Gives seconds. Bound to one core, those that this process had the core; what else ran there does not count."""


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


def wait() -> None:
    """Waits until the GPU, if there is one, has done all it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
