"""Nearest neighbours among rows of numbers: exact, by a matrix product a block, in memory that does not grow.

Rows are a memory map or another array (N, D), or, where they are passed once, an iterator of such blocks. Whatever
their number, a few blocks of 16 MB are held at a time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet import machine, native

Metric = Literal["euclidean", "cosine"]
Rows = NDArray[np.float32] | NDArray[np.float16]

TOGETHER = 4096
FEW = 4
"""Up to this many queries, reading the rows takes longer than computing with them."""

BLOCK_BYTES = 2**24
READ_BYTES = 2**28
"""Of rows that are read where they lie, so that a block costs no memory but that of its distances."""

CLOSE = 0.01
"""Below this share of |q|^2 + |r|^2 a squared distance loses its digits in |q|^2 + |r|^2 - 2 qr: it is taken anew."""

ROUNDING = 0.01
"""How far the product of two unit vectors in bf16 may be from the exact one: each factor is off by 2^-9 at most."""


@dataclass(frozen=True)
class Neighbours:
    """The rows nearest to each query, the nearest first; equally near ones in any order."""

    places: NDArray[np.int64]  # (N, k), k smaller where there are fewer rows
    distances: NDArray[np.float32]  # (N, k), Euclidean; or 1 - cosine, 0..2


@dataclass(frozen=True)
class Pairs:
    """Pairs that are alike; beside each the cosine of the angle between the two."""

    first: NDArray[np.int64]  # (N,), places among the rows; of `alike`, among the queries
    second: NDArray[np.int64]  # (N,), places among the rows
    similarity: NDArray[np.float32]  # (N,)


@torch.inference_mode()
def nearest(queries: Rows, rows: Rows | Iterable[Rows], k: int, metric: Metric = "euclidean") -> Neighbours:
    """Returns the k rows nearest to each query (N, D), in one pass over the rows; a row of zeros is at cosine 0."""
    if metric == "euclidean" and isinstance(rows, np.ndarray) and _is_for_few(queries, rows):
        return _nearest_to_few(torch.from_numpy(queries).contiguous(), rows, k)
    chunks = [chunk.clone() for _, chunk in _blocks(queries, metric)]
    best = [_Best.none(len(chunk)) for chunk in chunks]
    for first, block in _blocks(rows, metric):
        best = [near.or_better(chunk, block, first, k, metric) for near, chunk in zip(best, chunks, strict=True)]
    return Neighbours(
        np.concatenate([near.places.numpy() for near in best]), np.concatenate([near.spans.numpy() for near in best])
    )


def _is_for_few(queries: Rows, rows: Rows) -> bool:
    has_types = queries.dtype.itemsize == 4 and rows.dtype.itemsize == 2
    return has_types and rows.ndim == 2 and len(queries) <= FEW and native.library() is not None


def _nearest_to_few(queries: Tensor, rows: Rows, k: int) -> Neighbours:
    """Does what `nearest` does at the speed of memory: the rows are read as they are, and nothing is made of them."""
    best, count = _Best.none(len(queries)), max(1, READ_BYTES // (2 * rows.shape[1]))
    for first in range(0, len(rows), count):
        squares = native.squares16(queries, np.ascontiguousarray(rows[first : first + count]))
        near, columns = squares.topk(min(k, squares.shape[1]), 1, largest=False)
        best = best.or_these(near.sqrt(), columns + first, k)
    return Neighbours(best.places.numpy(), best.spans.numpy())


def nearest_others(rows: Rows, k: int, metric: Metric = "euclidean") -> Iterator[Neighbours]:
    """Yields the k nearest other rows of each row, for a block of rows after another, in order."""
    for own, chunk in _blocks(rows, metric):
        with torch.inference_mode():
            near = _Best.none(len(chunk))
            for first, block in _blocks(rows, metric):
                near = near.or_better(chunk, block, first, k, metric, own)
        count = min(k, len(rows) - 1)  # a row itself is the last, at an infinite distance
        yield Neighbours(near.places[:, :count].numpy(), near.spans[:, :count].numpy())


def pairs(rows: Rows, at_least: float) -> Iterator[Pairs]:
    """Yields the pairs of rows whose cosine is `at_least` this, each once and with the smaller place first."""
    for second, block in _blocks(rows, "cosine"):
        for first, chunk in _blocks(rows[: second + len(block)], "cosine"):
            yield from _alike(chunk, block, first, second, at_least, is_itself=True)


def alike(queries: Rows, rows: Rows | Iterable[Rows], at_least: float) -> Iterator[Pairs]:
    """Yields the pairs of a query and a row whose cosine is `at_least` this, in one pass over the rows."""
    for second, block in _blocks(rows, "cosine"):
        for first, chunk in _blocks(queries, "cosine"):
            yield from _alike(chunk, block, first, second, at_least)


@dataclass(frozen=True)
class _Best:
    """The nearest rows so far, as `Neighbours` has them."""

    places: Tensor
    spans: Tensor

    @classmethod
    def none(cls, count: int) -> "_Best":
        return cls(torch.empty(count, 0, dtype=torch.int64), torch.empty(count, 0))

    def or_better(
        self, queries: Tensor, block: Tensor, first: int, k: int, metric: Metric, own: int | None = None
    ) -> "_Best":
        """Returns the k nearest of these and of a block of rows from place `first`.

        Query i is row `own` + i itself, which does not count.
        """
        sizes, others = _sizes(queries, metric)[:, None], _sizes(block, metric)
        squares = torch.addmm(others, queries, block.T, alpha=-2).add_(sizes).clamp_(min=0)
        if own is not None:
            squares[torch.arange(own, own + len(queries))[:, None] == torch.arange(first, first + len(block))] = np.inf
        near, columns = squares.topk(min(k, len(block)), 1, largest=False)
        for some in (near < CLOSE * (sizes + others[columns])).nonzero().split(TOGETHER):  # type: ignore[no-untyped-call]
            row, rank = some.unbind(1)
            near[row, rank] = (queries[row] - block[columns[row, rank]]).square().sum(1)
        return self.or_these(near.sqrt() if metric == "euclidean" else near / 2, columns + first, k)

    def or_these(self, spans: Tensor, places: Tensor, k: int) -> "_Best":
        """Returns the k nearest of these and of others."""
        spans, order = torch.cat([self.spans, spans], 1).topk(
            min(k, self.spans.shape[1] + spans.shape[1]), 1, largest=False
        )
        return _Best(torch.cat([self.places, places], 1).gather(1, order), spans)


def _sizes(rows: Tensor, metric: Metric) -> Tensor:
    """Returns the squared length of each row; for the cosine 1, that of a row of zeros too."""
    if metric == "cosine":
        return torch.ones(len(rows))
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1)  # without a second block of memory
    return lengths.square()


def _alike(
    queries: Tensor, block: Tensor, first: int, second: int, at_least: float, is_itself: bool = False
) -> Iterator[Pairs]:
    """Yields what pairs there are, at most once, of unit vectors; of rows and themselves those with first < second."""
    with torch.inference_mode():
        if machine.has_bf16():  # finds the queries that need the exact product, in a quarter of its time
            rough = queries.bfloat16() @ block.bfloat16().T
            candidates = (rough >= at_least - ROUNDING).any(1).nonzero()[:, 0]
        else:
            candidates = torch.arange(len(queries))
        cosines = queries[candidates] @ block.T
        row, column = (cosines >= at_least).nonzero().unbind(1)
        one, other = candidates[row] + first, column + second
        kept = one < other if is_itself else torch.ones_like(one, dtype=torch.bool)
        one, other, cosine = one[kept], other[kept], cosines[row, column][kept]
    if len(one):
        yield Pairs(one.numpy(), other.numpy(), cosine.clamp(-1, 1).numpy())


def _blocks(rows: Rows | Iterable[Rows], metric: Metric) -> Iterator[tuple[int, Tensor]]:
    """Yields blocks of rows in float32, of length 1 for the cosine, and the place of their first row.

    A block may lie where the one before lay.
    """
    first, room = 0, torch.empty(0)
    for array in [rows] if isinstance(rows, np.ndarray) else rows:
        count = max(1, min(TOGETHER, BLOCK_BYTES // (4 * max(1, array[:1].size))))
        for start in range(0, len(array), count):
            block = array[start : start + count]
            tensor = torch.from_numpy(block if block.flags.writeable else block.copy()).flatten(1)
            if tensor.dtype != torch.float32:  # into the same memory, since fresh pages take longer than the product
                room = room if room.numel() >= tensor.numel() else torch.empty(tensor.numel())
                tensor = room[: tensor.numel()].view_as(tensor).copy_(tensor)
            yield first, torch.nn.functional.normalize(tensor) if metric == "cosine" else tensor
            first += len(block)
