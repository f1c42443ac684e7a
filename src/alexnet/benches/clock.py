"""Timing calls."""

import time
from collections.abc import Callable
from statistics import median

import torch

from alexnet import machine

clock = time.process_time if machine.cores() == 1 and not torch.cuda.is_available() else time.perf_counter
"""Returns seconds. On a single core only this process's own count, as others take turns with it there."""


def laps(call: Callable[[], object], seconds: float, fewest: int = 2) -> list[float]:
    """Returns the seconds of each of several calls, at least `fewest`, until all but the first took `seconds`."""
    times: list[float] = []
    while len(times) < fewest or sum(times[1:]) < seconds:
        started = clock()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(clock() - started)
    return times


def typical(call: Callable[[], object], seconds: float) -> float:
    """Returns the median seconds of a call, after one to warm up."""
    return median(laps(call, seconds)[1:])
