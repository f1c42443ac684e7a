"""Which pictures make up which step, as a pure function of the seed."""

import functools
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from alexnet.seeds import generator

T = TypeVar("T")


@functools.lru_cache(2)
def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Gives the order in which an epoch visits its pictures: (count,), each index once, read-only."""
    visits = generator(seed, "order", epoch).permutation(count)
    visits.flags.writeable = False
    return visits


def indices(seed: int, step: int, batch_size: int, count: int) -> NDArray[np.int64]:
    """Gives the pictures of one step.

    The epochs' orders stand end to end and are cut into batches, so that batches are always full, and every picture
    comes once an epoch.

    Args:
        seed: The run's.
        step: Which update, from 0.
        batch_size: Pictures a step.
        count: Pictures in the split.

    Returns:
        (batch_size,) indices.
    """
    first, last = step * batch_size, (step + 1) * batch_size
    epochs = range(first // count, (last - 1) // count + 1)
    parts = [order(seed, e, count)[max(0, first - e * count) : last - e * count] for e in epochs]
    return np.concatenate(parts)


def prefetch(make: Callable[[int], T], steps: Iterable[int], ahead: int = 2) -> Generator[T, None, None]:
    """Gives make(step) for each step, made by a thread that runs up to `ahead` steps in advance.

    An error of `make` is raised here, at its step. Closing the iterator stops the thread.
    """
    results: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(ahead)
    stopped = threading.Event()

    def work() -> None:
        for step in steps:
            try:
                result: tuple[T | None, BaseException | None] = make(step), None
            except BaseException as error:
                result = None, error
            if not hand_over(result) or result[1] is not None:
                return
        hand_over((None, StopIteration()))

    def hand_over(result: tuple[T | None, BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                results.put(result, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            value, error = results.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()
