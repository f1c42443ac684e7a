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
    """Writes the weight files of a run, one at a time; `mean` is the (S, S, 3) mean image."""

    def __init__(self, run: Run, model: Network, mean: NDArray[np.float32]) -> None:
        self._run, self._model, self._mean = run, model, mean
        self._thread = ThreadPoolExecutor(1, "save")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown()
        self._wait()

    def save(self, header: Header, weights: Tensors, momentum: Tensors | None = None) -> None:
        """Begins to write the newest weights with their momentum, or without momentum the best and their manifest.

        Raises:
            DataError: The disk was full when the file before was written.
        """
        self._wait()
        self._writing = self._thread.submit(self._write, header, weights, momentum)

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing:
            writing.result()

    def _write(self, header: Header, weights: Tensors, momentum: Tensors | None) -> None:
        path = self._run.best if momentum is None else self._run.last
        with manifest.renewed(path) if momentum is None else nullcontext():
            checkpoint.save(path, self._model, self._mean, header, momentum or {}, weights)
