"""What a run writes as it goes: metrics as JSON lines and TensorBoard events, and weights."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from alexnet.files import plain_errors, write
from alexnet.models.network import Network
from alexnet.observer import Observer
from alexnet.records import Header, StepRow, ValidationRow, sealed
from alexnet.run import Run, as_row
from alexnet.weights import checkpoint, manifest

Tensors = dict[str, Tensor]


class Journal:
    """Writes the metrics; TensorBoard's events only where that is installed.

    Args:
        run: The run folder.
        step: Rows of later steps are dropped, since a resumed run writes them anew. So are damaged ones.
        observer: Is told if TensorBoard fails, after which the training goes on without its events.
    """

    def __init__(self, run: Run, step: int, observer: Observer) -> None:
        self._folder, self._observer = run.folder, observer
        lines = run.metrics.read_bytes().splitlines(keepends=True) if run.metrics.is_file() else []
        write(run.metrics, b"".join(line for line in lines if line.endswith(b"\n") and _is_until(line, step)))
        with plain_errors(self._folder):
            self._file = run.metrics.open("a", encoding="utf-8")
        self._board: Any = None  # a SummaryWriter, whose package may be missing
        with self._board_dropped_if_it_fails():
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(run.folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._board_dropped_if_it_fails():
            if self._board:
                self._board.close()
        with plain_errors(self._folder):
            self._file.close()

    def write(self, row: StepRow | ValidationRow) -> None:
        """Adds one row.

        Raises:
            DataError: The disk is full.
        """
        with plain_errors(self._folder):
            self._file.write(sealed(row, indent=None) + "\n")
            self._file.flush()
        with self._board_dropped_if_it_fails():
            for name, value in msgspec.structs.asdict(row).items() if self._board else ():
                if name not in ("step", "is_look"):
                    self._board.add_scalar(name, value, row.step)

    @contextmanager
    def _board_dropped_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except ImportError:
            self._board = None
        except Exception as error:  # whatever a package raises that the training does not need
            self._board = None
            self._observer.notice(f"TensorBoard's events cannot be written, the training goes on without: {error}")


def _is_until(line: bytes, step: int) -> bool:
    """Returns whether a line of the metrics is whole, and of this step or an earlier one."""
    row = as_row(line)
    return row is not None and row.step <= step


class Saver:
    """Writes the weight files of a run, one at a time, in a thread; `mean` is the (S, S, 3) mean image."""

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
