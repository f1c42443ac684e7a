"""What each step of a compression costs, measured once and kept in a file."""

from pathlib import Path

from alexnet import records
from alexnet.compression import size
from alexnet.data.store import Store
from alexnet.errors import CheckpointError
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import evaluate
from alexnet.files import write
from alexnet.models.network import Network
from alexnet.records import CompressionStep

NAME = "table.json"


class Table:
    """The rows so far, and how the next one is measured.

    Args:
        folder: Where the file lies that keeps the rows.
        store: The data to measure on.
        split: `val`, `test`, ..., or several joined by `+`.
        model: The network before its compression.

    Raises:
        CheckpointError: The file is damaged.
    """

    def __init__(self, folder: Path, store: Store, split: str, model: Network) -> None:
        self.folder, self.store, self.split = folder, store, split
        self.float32_bytes = size.in_float32(model)
        self.rows: tuple[CompressionStep, ...] = ()
        path = folder / NAME
        if path.exists():
            remedy = f"delete {folder} to begin anew"
            self.rows = records.read(tuple[CompressionStep, ...], path.read_bytes(), path, CheckpointError, remedy)

    def measure(self, step: str, weights: Path, size_bytes: int) -> None:
        """Measures a weight file and adds a row, unless the step has one already."""
        if any(row.step == step for row in self.rows):
            return
        errors, _ = evaluate([load(weights)], self.store, self.split)
        row = CompressionStep(
            step=step,
            bytes=size_bytes,
            ratio=self.float32_bytes / size_bytes,
            top1_error=errors.top1_error,
            top5_error=errors.top5_error,
            n=errors.n,
        )
        self.rows = (*self.rows, row)
        write(self.folder / NAME, records.to_json(self.rows))
