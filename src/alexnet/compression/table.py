"""What each step of a compression costs, measured once and kept in a file."""

import math
from pathlib import Path

import numpy as np
from torch import Tensor

from alexnet import records
from alexnet.data.store import Store
from alexnet.errors import CheckpointError
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import evaluate
from alexnet.files import write
from alexnet.models.network import Network
from alexnet.records import CompressionStep, Record
from alexnet.weights import sparse

NAME = "table.json"


class _Rows(Record, frozen=True):
    rows: tuple[CompressionStep, ...]


class Table:
    """The rows so far, in a file of `folder`, and the data and the split (or several, joined by `+`) to measure on.

    Sizes are compared with that of the `model` before its compression.

    Raises:
        CheckpointError: The file is damaged.
    """

    def __init__(self, folder: Path, store: Store, split: str, model: Network) -> None:
        self.folder, self.store, self.split = folder, store, split
        self.float32_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
        self.rows = _read(folder / NAME, f"delete {folder} to begin anew")

    def measure(self, step: str, weights: Path, size: int) -> None:
        """Measures a weight file of `size` bytes and adds a row, unless the step has one already."""
        if any(row.step == step for row in self.rows):
            return
        errors, _ = evaluate([load(weights)], self.store, self.split)
        row = CompressionStep(
            step=step,
            bytes=size,
            ratio=self.float32_bytes / size,
            top1_error=errors.top1_error,
            top5_error=errors.top5_error,
            n=errors.n,
        )
        self.rows = (*self.rows, row)
        write(self.folder / NAME, records.sealed(_Rows(rows=self.rows)))


def _read(path: Path, remedy: str) -> tuple[CompressionStep, ...]:
    text = path.read_bytes() if path.exists() else b"[]"
    if text.startswith(b"["):  # without a seal, as version 0.1 wrote them
        return records.read(tuple[CompressionStep, ...], text, path, CheckpointError, remedy)
    return records.read(_Rows, text, path, CheckpointError, remedy).rows


def pruned_bytes(model: Network) -> int:
    """Returns the size before Huffman coding, as the paper counts it, with 32 bits for a weight that is not zero."""
    return sum(_bytes(tensor, 32) for tensor in model.state_dict().values())


def shared_bytes(model: Network) -> int:
    """Returns the same size with a place in a codebook for a weight that is not zero, codebooks included."""
    total = 0
    for tensor in model.state_dict().values():
        values = len(tensor[tensor != 0].unique())
        total += _bytes(tensor, math.ceil(math.log2(max(2, values)))) + (4 * values if tensor.dim() > 1 else 0)
    return total


def _bytes(tensor: Tensor, bits: int) -> int:
    """Returns the bytes with `bits` for each weight that is not zero and 8 for each gap; biases take 32."""
    if tensor.dim() == 1:
        return 4 * tensor.numel()
    places = np.flatnonzero(tensor.cpu().numpy())
    return len(sparse.gap_symbols(places)) + math.ceil(bits * len(places) / 8)
