"""Work in threads: what is needed next is made ahead, and pictures are decoded, and kept where they fit in memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from alexnet import machine
from alexnet.data.store import Split

MEMORY_BUDGET = 2 << 30


Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    make: Callable[[Item], Result], items: Iterable[Item], threads: int = 1, ahead: int = 2
) -> Generator[Result, None, None]:
    """Yields make(item) for each item in order, while `ahead` others wait and one more is made.

    An error of `make` is raised here, at its item. Closing the generator stops the threads.
    """
    pool = ThreadPoolExecutor(threads, "prefetch")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(make, item))
            if len(waiting) > ahead + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class Pictures:
    """Reads batches of pictures whose side is `size` pixels.

    A split whose decoded pictures take at most `memory_budget` bytes is decoded once only. `threads` pictures are read
    at the same time; by default as many as the split asks for, or one a core.
    """

    def __init__(self, split: Split, size: int, memory_budget: int = MEMORY_BUDGET, threads: int | None = None) -> None:
        self.split, self.size = split, size
        self._threads = ThreadPoolExecutor(threads or split.threads or machine.cores(), "decode")
        self._kept: NDArray[np.uint8] | None = None
        if len(split) * size * size * 3 <= memory_budget:
            self._kept = np.empty((len(split), size, size, 3), np.uint8)
            self._is_kept = np.zeros(len(split), bool)

    def __len__(self) -> int:
        return len(self.split)

    def read(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Returns the pictures at `indices`: (N, S, S, 3) RGB."""
        batch = np.empty((len(indices), self.size, self.size, 3), np.uint8)
        for _ in self._threads.map(self._read_one, indices, batch):
            pass  # an error of a thread is raised here
        return batch

    def close(self) -> None:
        """Stops the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _read_one(self, index: int, place: NDArray[np.uint8]) -> None:
        if self._kept is None:
            self.split.read(index, place)
            return
        if not self._is_kept[index]:
            self.split.read(index, self._kept[index])
            self._is_kept[index] = True
        place[:] = self._kept[index]
