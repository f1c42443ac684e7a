"""Writes weight files in a thread, while the training goes on."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from alexnet.models.network import Network
from alexnet.records import Header
from alexnet.run import Run
from alexnet.weights import checkpoint, manifest

Tensors = dict[str, Tensor]


class Saver:
    """Writes one file at a time.

    Args:
        run: The run folder.
        model: The network; its weights are given anew for each file.
        mean: (S, S, 3) mean image.
    """

    def __init__(self, run: Run, model: Network, mean: NDArray[np.float32]) -> None:
        self.run, self.model, self.mean = run, model, mean
        self._thread = ThreadPoolExecutor(1, "save")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown()
        self.wait()

    def save_best(self, header: Header, weights: Tensors) -> None:
        """Begins to write the best weights so far, and their manifest."""
        self._begin(is_best=True, header=header, weights=weights, momentum={})

    def save_last(self, header: Header, weights: Tensors, momentum: Tensors) -> None:
        """Begins to write the newest weights with their momentum."""
        self._begin(is_best=False, header=header, weights=weights, momentum=momentum)

    def wait(self) -> None:
        """Waits for the file that is being written.

        Raises:
            DataError: The disk is full.
        """
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def _begin(self, is_best: bool, header: Header, weights: Tensors, momentum: Tensors) -> None:
        self.wait()
        self._writing = self._thread.submit(self._write, is_best, header, weights, momentum)

    def _write(self, is_best: bool, header: Header, weights: Tensors, momentum: Tensors) -> None:
        path = self.run.best if is_best else self.run.last
        with manifest.renewed(path) if is_best else nullcontext():
            checkpoint.save(path, self.model, self.mean, header, momentum, weights)
