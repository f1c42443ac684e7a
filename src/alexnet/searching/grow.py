"""Adding pictures to an index, so that an interruption at any time leaves a whole one."""

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path

import numpy as np
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.store import Split, Store
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import check_size, over
from alexnet.files import alone_in, check_new, plain_errors, write
from alexnet.observer import Observer
from alexnet.records import sealed
from alexnet.searching.contents import FILES, RECORD, ROW, Contents, check_files, read_contents

THUMBNAIL = 96  # pixels a side
STRIDE = 32  # batches between two records

Batch = tuple[Split, NDArray[np.int64], NDArray[np.float32], list[bytes]]
"""Pictures of a split by their places, their vectors (N, width) and thumbnails."""


def add(
    index: Path, fresh: Contents, classifier: Classifier, store: Store, source: str, observer: Observer
) -> tuple[Contents, int, bool]:
    """Adds the pictures of a store that an index lacks; makes the index where there is none.

    Args:
        index: The folder.
        fresh: What an index without pictures says of the network.
        classifier: The network.
        store: The pictures.
        source: What the user calls them.
        observer: Is told how many pictures are done, and may stop the work.

    Returns:
        What the index holds, how many pictures are new, and whether all are in it.

    Raises:
        UsageError: The index is of another network or layer, or another program writes it.
        DataError: The index is damaged, or the disk is full.
    """
    check_size(classifier, store)
    if not (index / RECORD).is_file():
        check_new(index)
    with plain_errors(index):
        index.mkdir(parents=True, exist_ok=True)
        with alone_in(index, "is being written by another program: wait until it is done"):
            if not (index / RECORD).is_file():
                write(index / RECORD, sealed(fresh) + "\n")
            contents = read_contents(index)
            contents.check_network(fresh, index)
            check_files(index, contents)
            return _Growing(index, contents, store, source).grow(classifier, observer)


class _Growing:
    """An index while pictures of one source are added."""

    def __init__(self, index: Path, contents: Contents, store: Store, source: str) -> None:
        classes = tuple(dict.fromkeys((*contents.classes, *store.classes)))
        sources = tuple(dict.fromkeys((*contents.sources, source)))
        self.index, self.store, self.source = index, store, sources.index(source)
        self.contents = structs.replace(contents, classes=classes, sources=sources)
        self.labels = np.array([classes.index(name) for name in store.classes], np.int32)

    def grow(self, classifier: Classifier, observer: Observer) -> tuple[Contents, int, bool]:
        before, files = self.contents.pictures, self.contents.files
        held = np.sort(np.fromfile(self.index / "rows", ROW, before)["key"]) if before else np.empty(0, np.uint64)
        missing = {part: self._missing(part, held) for part in self.store.splits.values()}
        total, complete = sum(map(len, missing.values())), True
        observer.began("indexing")
        with ExitStack() as stack:
            handles = {name: stack.enter_context((self.index / name).open("ab")) for name in FILES}
            for name, handle in handles.items():
                handle.truncate(files[name].length)
            for number, batch in enumerate(self._batches(classifier, missing), start=1):
                parts = dict(self.contents.files)
                for name, data in self._data(batch).items():
                    handles[name].write(data)
                    parts[name] = parts[name].longer(data)
                count = self.contents.pictures + len(batch[1])
                self.contents = structs.replace(self.contents, files=parts, pictures=count)
                observer.advanced(count - before, total)
                complete = count - before == total
                stops = observer.should_stop()
                if stops or complete or number % STRIDE == 0:
                    for handle in handles.values():
                        handle.flush()
                        os.fsync(handle.fileno())
                    write(self.index / RECORD, sealed(self.contents) + "\n")
                if stops:
                    break
        return self.contents, self.contents.pictures - before, complete

    def _missing(self, part: Split, held: NDArray[np.uint64]) -> NDArray[np.int64]:
        keys = np.fromiter((self._key(part, i) for i in range(len(part))), np.uint64, len(part))
        return np.flatnonzero(~np.isin(keys, held))

    def _key(self, part: Split, i: int) -> int:
        """Returns what a picture is known by: its source, its name and its content."""
        words = (str(self.source), part.name(i), str(part.digests[i]))
        return int.from_bytes(blake2b("\n".join(words).encode(), digest_size=8).digest(), "little")

    def _batches(self, classifier: Classifier, missing: dict[Split, NDArray[np.int64]]) -> Iterator[Batch]:
        thumbnails: list[bytes] = []

        def output(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
            thumbnails[:] = map(thumbnail, pictures)
            return classifier.outputs(pictures, self.contents.layer).reshape(len(pictures), -1)

        for part, places in missing.items():
            for some, vectors in over(part, self.store.size, output, chosen=places):
                yield part, some, vectors, thumbnails

    def _data(self, batch: Batch) -> dict[str, bytes]:
        """Returns what a batch adds to each file."""
        part, places, vectors, thumbnails = batch
        if np.abs(vectors).max() > np.finfo(np.float16).max:
            raise UsageError(
                f"{self.contents.layer} gives numbers beyond 65,504, too large here: choose another `layer`"
            )
        names = [part.name(int(i)).encode() for i in places]
        rows, files = np.empty(len(places), ROW), self.contents.files
        rows["key"] = [self._key(part, int(i)) for i in places]
        rows["label"], rows["source"] = self.labels[part.labels[places]], self.source
        rows["name_end"] = files["names"].length + np.cumsum([len(name) for name in names])
        rows["thumbnail_end"] = files["thumbnails"].length + np.cumsum([len(jpeg) for jpeg in thumbnails])
        return {
            "vectors": vectors.astype("<f2").tobytes(),
            "rows": rows.tobytes(),
            "names": b"".join(names),
            "thumbnails": b"".join(thumbnails),
        }


def thumbnail(picture: NDArray[np.uint8]) -> bytes:
    """Returns a picture (S, S, 3) as a small JPEG."""
    file, side = io.BytesIO(), min(THUMBNAIL, len(picture))
    Image.fromarray(picture).resize((side, side), Image.Resampling.BOX).save(file, "JPEG", quality=80)
    return file.getvalue()
