"""What an audit computes of every picture, once: kept in the cache, so that an audit interrupted goes on.

CACHE/features/HASH/features      float16 (N, units), the features that the last layer reads
                    maps          float16 (N, units), what the first fully connected layer reads
                    thumbnails    uint8 (N, THUMBNAIL, THUMBNAIL), gray
                    looks         float32 (N, 4), the figures of `Looks`
                    digests       uint64 (N,), hashes of the decoded pixels
                    done          how many rows are whole, as text

The rows are the pictures of the store, split after split. HASH stands for the network, its preprocessing and the store.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.auditing.looks import THUMBNAIL, Looks, looks, thumbnails
from alexnet.data.pictures import Pictures, prefetch
from alexnet.data.store import Store
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import BATCH, check_size
from alexnet.files import alone_in, cache, plain_errors, write
from alexnet.observer import Observer
from alexnet.records import Member

FOLDER, DONE = "features", "done"
STRIDE = 16 * BATCH  # pictures after which the work so far is kept


Rows = Mapping[str, np.dtype[np.generic]]
"""File -> what it holds of a picture."""


Floats = NDArray[np.float32]
Values = tuple[Floats, Floats, NDArray[np.uint8], Floats, NDArray[np.uint64]]
"""Features, maps, thumbnails, looks and digests of some pictures."""


@dataclass(frozen=True)
class CachedFeatures:
    """What is computed of the pictures of a store, split after split; it stays on the disk."""

    store: Store
    features: NDArray[np.float16]  # (N, units), AlexNet's fc7 after its ReLU
    maps: NDArray[np.float16]  # (N, units), AlexNet's pool5
    thumbnails: NDArray[np.uint8]  # (N, THUMBNAIL, THUMBNAIL), gray
    looks: NDArray[np.float32]  # (N, 4), in the order of `Looks`
    digests: NDArray[np.uint64]  # (N,)

    def rows(self, split: str) -> slice:
        """Returns where the rows of a split lie."""
        return self._rows[split]

    @cached_property
    def _rows(self) -> dict[str, slice]:
        ends = accumulate(map(len, self.store.splits.values()))
        return {
            name: slice(end - len(self.store.splits[name]), end)
            for name, end in zip(self.store.splits, ends, strict=True)
        }

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Positions in the classes of the store, (N,)."""
        return np.concatenate([split.labels for split in self.store.splits.values()])

    def row(self, member: Member) -> int:
        """Returns the row of a picture."""
        return int(self.rows(member.split).start) + member.place

    def member(self, row: int) -> Member:
        """Returns whose row it is."""
        return self.store.member(row)


def cached_features(classifier: Classifier, store: Store, observer: Observer | None = None) -> CachedFeatures:
    """Returns the features of every picture of a store, computing those that the cache does not hold yet.

    Raises:
        UsageError: The stored pictures are of another size or shape than the network takes, or the cache cannot be
            written.
        DataError: The disk is full, or a shard is damaged.
    """
    check_size(classifier, store)
    observer, count = observer or Observer(), sum(map(len, store.splits.values()))
    blank = np.zeros((1, store.size, store.size, 3), np.uint8)
    features, maps = (each.shape[1] for each in _described(classifier, blank))
    rows: Rows = {
        "features": np.dtype((np.float16, features)),
        "maps": np.dtype((np.float16, maps)),
        "thumbnails": np.dtype((np.uint8, (THUMBNAIL, THUMBNAIL))),
        "looks": np.dtype((np.float32, len(Looks._fields))),
        "digests": np.dtype(np.uint64),
    }
    folder = cache() / FOLDER / _key(classifier, store)
    with plain_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder):
            _compute(classifier, store, folder, rows, count, observer)
    return CachedFeatures(
        store,
        features=np.memmap(folder / "features", np.float16, "r", shape=(count, features)),
        maps=np.memmap(folder / "maps", np.float16, "r", shape=(count, maps)),
        thumbnails=np.memmap(folder / "thumbnails", np.uint8, "r", shape=(count, THUMBNAIL, THUMBNAIL)),
        looks=np.memmap(folder / "looks", np.float32, "r", shape=(count, len(Looks._fields))),
        digests=np.memmap(folder / "digests", np.uint64, "r", shape=(count,)),
    )


def _key(classifier: Classifier, store: Store) -> str:
    """Returns a hash of all that decides the features."""
    facts = ("3", classifier.dtype, classifier.header.preprocessing, store.content_hash)
    key = blake2b(repr(facts).encode(), digest_size=16)
    key.update(np.ascontiguousarray(classifier.mean).data)
    for name, values in classifier.model.state_dict().items():
        key.update(name.encode())
        key.update(values.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return key.hexdigest()


def _compute(classifier: Classifier, store: Store, folder: Path, rows: Rows, count: int, observer: Observer) -> None:
    done = min(_done(folder), *(_size(folder / name) // row.itemsize for name, row in rows.items()))
    if done == count:
        return
    observer.began("extracting features")
    with ExitStack() as stack:
        files = [stack.enter_context((folder / name).open("ab")) for name in rows]
        for file, row in zip(files, rows.values(), strict=True):
            file.truncate(done * row.itemsize)  # what a killed audit had begun
        for number, values in enumerate(_values(classifier, store, done), start=1):
            for file, row, some in zip(files, rows.values(), values, strict=True):
                file.write(np.ascontiguousarray(some, row.base).data)
            done += len(values[0])
            observer.advanced(done, count)
            if number % (STRIDE // BATCH) == 0 or done == count:
                for file in files:
                    file.flush()
                    os.fsync(file.fileno())
                write(folder / DONE, str(done))


def _done(folder: Path) -> int:
    try:
        return int((folder / DONE).read_text())
    except (OSError, ValueError):
        return 0


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _values(classifier: Classifier, store: Store, done: int) -> Iterator[Values]:
    """Yields features, maps, thumbnails, looks and digests, batch by batch, of the pictures behind the first `done`."""
    for part in store.splits.values():
        places = range(min(done, len(part)), len(part))
        done -= min(done, len(part))
        batches = [np.asarray(places[start : start + BATCH]) for start in range(0, len(places), BATCH)]
        pictures = Pictures(part, store.size, memory_budget=0)
        try:
            for batch in prefetch(pictures.read, batches):
                yield *_described(classifier, batch), thumbnails(batch), looks(batch), _digests(batch)
        finally:
            pictures.close()


def _described(classifier: Classifier, pictures: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    features, maps = classifier.layers(pictures, classifier.model.feature_layer, classifier.model.last_maps)
    return features, maps


def _digests(pictures: NDArray[np.uint8]) -> NDArray[np.uint64]:
    hashes = (blake2b(picture.data, digest_size=8).digest() for picture in pictures)
    return np.array([int.from_bytes(each, "little") for each in hashes], np.uint64)
