"""Pictures that a store holds twice: exact copies, and the same picture cropped, mirrored, turned or saved again.

    digests     -> exact pairs; one picture of each set of copies goes on
    features    -> the pictures nearest to each, as they are and mirrored  \
                                                                             -> pixels -> near pairs
    thumbnails  -> pictures of the same detail, in all eight positions      /

Features forgive a crop and other colours, and a network takes a picture and its mirror image for the same; a turned one
it does not know. The rows that are compared lie on the disk, and the candidates of a block are looked at together, so
that memory holds about 100 bytes a picture.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from tempfile import TemporaryFile
from typing import IO, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from alexnet.auditing.cached_features import CachedFeatures
from alexnet.auditing.pixels import ALIGNMENTS, agreements, turnless
from alexnet.files import cache, plain_errors
from alexnet.observer import Observer
from alexnet.records import Duplicates, Member, Pair
from alexnet.searching.nearest import nearest_others, pairs
from alexnet.seeds import generator

NEIGHBOURS = 10  # of each picture, that are compared by their pixels
UNITS = 256  # that features are projected to at random, which keeps their cosines
ALIKE = 0.93  # cosine of two pictures' `turnless` details, from which on their pixels are compared
AGREEING = 0.75  # agreement of the pixels, from which on two pictures are one
BLOCK = 4096
TOGETHER = 512  # pairs that are laid over each other at a time

Integers = NDArray[np.int64]
Found = dict[tuple[int, int], tuple[float, int]]
"""Two rows, the smaller first -> how well they agree, and the place in `ALIGNMENTS`."""


@dataclass(frozen=True)
class _Candidates:
    """Pairs of places, and the places in `ALIGNMENTS` of those that may lay the second over the first."""

    first: Integers
    second: Integers
    alignments: tuple[int, ...]


def find(cached: CachedFeatures, observer: Observer | None = None) -> Duplicates:
    """Returns the duplicates of a store.

    Raises:
        UsageError: The cache cannot be written.
        DataError: The disk is full.
    """
    observer = observer or Observer()
    observer.began("looking for duplicates")
    _, originals, of = np.unique(cached.digests, return_index=True, return_inverse=True)
    copies = np.setdiff1d(np.arange(len(of)), originals)
    exact = [_pair(cached, int(originals[of[row]]), int(row), 1.0, 0, "exact") for row in copies]
    near = [
        _pair(cached, first, second, agreement, alignment, "near")
        for (first, second), (agreement, alignment) in _near(cached, np.sort(originals), observer).items()
    ]
    every = sorted([*exact, *near], key=_rank)
    return Duplicates(pairs=tuple(every), groups=tuple(groups(every)))


def _pair(
    cached: CachedFeatures, first: int, second: int, agreement: float, alignment: int, kind: Literal["exact", "near"]
) -> Pair:
    a, b = (np.asarray(cached.features[row], np.float32) for row in (first, second))
    return Pair(
        first=cached.member(first),
        second=cached.member(second),
        kind=kind,
        alignment=ALIGNMENTS[alignment],
        similarity=float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)),
        agreement=agreement,
    )


def _rank(pair: Pair) -> tuple[bool, bool, float]:
    return not pair.is_across, not pair.has_two_labels, -pair.agreement


def groups(connected: Iterable[Pair]) -> list[tuple[Member, ...]]:
    """Returns the pictures that pairs connect, group by group."""
    group_of: dict[Member, list[Member]] = {}
    for pair in connected:
        one, other = (group_of.setdefault(member, [member]) for member in (pair.first, pair.second))
        if one is not other:
            one.extend(other)
            group_of.update(dict.fromkeys(other, one))
    return [tuple(group) for group in {id(group): group for group in group_of.values()}.values()]


def _near(cached: CachedFeatures, rows: Integers, observer: Observer) -> Found:
    found: Found = {}
    with plain_errors(cache()), TemporaryFile(dir=cache()) as one, TemporaryFile(dir=cache()) as other:
        features = _on_disk(one, _projected(cached.features, rows))
        details = _on_disk(other, _turnless(cached.thumbnails, rows))
        steps = chain(_by_features(features), _by_details(details))
        for done, candidates in enumerate(steps, start=1):
            for first, second, agreement, alignment in _verified(cached.thumbnails, rows, candidates):
                key = min(first, second), max(first, second)
                found[key] = max(found.get(key, (0.0, 0)), (agreement, alignment))
            observer.advanced(min(done * BLOCK // 2, len(rows)), len(rows))
    return found


def _on_disk(file: IO[bytes], blocks: Iterable[Tensor]) -> NDArray[np.float16]:
    """Writes unit vectors into a file, and returns them mapped; they do not take memory."""
    width = 0
    for block in blocks:
        width = block.shape[1]
        file.write(normalize(block).half().numpy().data)
    file.flush()
    return np.memmap(file, np.float16, "r").reshape(-1, width)


def _projected(features: NDArray[np.float16], rows: Integers) -> Iterator[Tensor]:
    onto = torch.from_numpy(generator(0, "projection").standard_normal((features.shape[1], UNITS), np.float32))
    for start in range(0, len(rows), BLOCK):
        yield normalize(torch.from_numpy(features[rows[start : start + BLOCK]]).float()) @ onto


def _turnless(thumbnails: NDArray[np.uint8], rows: Integers) -> Iterator[Tensor]:
    for start in range(0, len(rows), BLOCK):
        yield turnless(torch.from_numpy(thumbnails[rows[start : start + BLOCK]]).float())


def _by_features(features: NDArray[np.float16]) -> Iterator[_Candidates]:
    """Yields, block by block, the nearest of each picture in features, as they are and mirrored; each pair once."""
    nearest = np.full((len(features), NEIGHBOURS), -1, np.int32)
    start = 0
    for block in nearest_others(features, NEIGHBOURS, "cosine"):
        places = block.places
        own = np.arange(start, start + len(places))[:, None]
        nearest[start : start + len(places), : places.shape[1]] = places
        was_yielded = (places < own) & (nearest[places] == own[..., None]).any(2)
        start += len(places)
        first, second = np.broadcast_to(own, places.shape)[~was_yielded], places[~was_yielded]
        yield _Candidates(first, second, (0, ALIGNMENTS.index("mirrored")))


def _by_details(details: NDArray[np.float16]) -> Iterator[_Candidates]:
    """Yields, block by block, the pictures whose detail is the same in some position."""
    for alike in pairs(details, ALIKE):
        yield _Candidates(alike.first, alike.second, tuple(range(len(ALIGNMENTS))))


def _verified(
    thumbnails: NDArray[np.uint8], rows: Integers, candidates: _Candidates
) -> Iterator[tuple[int, int, float, int]]:
    """Yields the rows of those candidates whose pixels agree, with the agreement and the alignment."""
    for start in range(0, len(candidates.first), TOGETHER):
        some = slice(start, start + TOGETHER)
        first, second = rows[candidates.first[some]], rows[candidates.second[some]]
        one, other = (torch.from_numpy(thumbnails[side]).float() for side in (first, second))
        agreement, alignment = agreements(one, other, candidates.alignments)
        for i in (agreement >= AGREEING).nonzero()[:, 0].tolist():
            yield int(first[i]), int(second[i]), float(agreement[i]), int(alignment[i])
