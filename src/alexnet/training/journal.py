"""The metrics of a run as it goes: JSON lines, and TensorBoard events where that is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from alexnet.files import plain_errors, write
from alexnet.observer import Observer
from alexnet.records import StepRow, ValidationRow
from alexnet.run import Run, as_row


class Journal:
    """Writes the metrics.

    Args:
        run: The run folder.
        step: Rows of later steps are dropped, since a resumed run writes them anew. So are damaged ones.
        observer: Is told if TensorBoard fails.
    """

    def __init__(self, run: Run, step: int, observer: Observer) -> None:
        self._folder, path = run.folder, run.metrics
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        write(path, b"".join(line for line in lines if line.endswith(b"\n") and _is_until(line, step)))
        with plain_errors(self._folder):
            self._file = path.open("a", encoding="utf-8")
        self._board = _Board(self._folder, step, observer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._board.close()
        with plain_errors(self._folder):
            self._file.close()

    def write(self, row: StepRow | ValidationRow) -> None:
        """Adds one row.

        Raises:
            DataError: The disk is full.
        """
        with plain_errors(self._folder):
            self._file.write(row.to_json(indent=None) + "\n")
            self._file.flush()
        self._board.write(row)


class _Board:
    """TensorBoard's events, where that is installed. If it fails, the training goes on without.

    Args:
        folder: The run folder.
        step: Events of later steps are dropped.
        observer: Is told once if it fails.
    """

    def __init__(self, folder: Path, step: int, observer: Observer) -> None:
        self._observer = observer
        self._writer: Any = None
        with self._dropped_if_it_fails():
            self._writer = _tensorboard(folder, step)

    def write(self, row: StepRow | ValidationRow) -> None:
        """Adds one row."""
        if self._writer:
            with self._dropped_if_it_fails():
                for name, value in msgspec.structs.asdict(row).items():
                    if name != "step":
                        self._writer.add_scalar(name, value, row.step)

    def close(self) -> None:
        """Flushes and closes the file."""
        if self._writer:
            with self._dropped_if_it_fails():
                self._writer.close()

    @contextmanager
    def _dropped_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a package raises that the training does not need
            self._writer = None
            self._observer.notice(f"TensorBoard's events cannot be written, the training goes on without: {error}")


def _is_until(line: bytes, step: int) -> bool:
    """Returns whether a line of the metrics is whole, and of this step or an earlier one."""
    row = as_row(line)
    return row is not None and row.step <= step


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
