"""Stored pictures by index, decoded in threads, and kept decoded where they fit in memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alexnet import machine

MEMORY_BUDGET = 2 << 30


class Readable(Protocol):
    """A split of a store, or anything else that has pictures of one size by index."""

    @property
    def threads(self) -> int | None:
        """How many threads to read with; None means one a core."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> NDArray[np.uint8]:
        """Returns one picture, (S, S, 3) RGB."""


class Pictures:
    """Reads batches of pictures.

    Args:
        split: Where they are.
        size: Their side, pixels.
        memory_budget: Bytes that decoded pictures may take; a split that fits is decoded once only.
        threads: The number of pictures read at the same time; the split states it by default.
    """

    def __init__(
        self, split: Readable, size: int, memory_budget: int = MEMORY_BUDGET, threads: int | None = None
    ) -> None:
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
            place[:] = self.split.read(index)
            return
        if not self._is_kept[index]:
            self._kept[index] = self.split.read(index)
            self._is_kept[index] = True
        place[:] = self._kept[index]
