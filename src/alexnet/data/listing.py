"""What a source is: classes, splits, and for every picture a name, a label and its bytes.

A listing of 1.3 million pictures is a handful of arrays, never 1.3 million Python objects.
"""

import tarfile
import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.data.decode import SPEC
from alexnet.errors import DataError
from alexnet.seeds import generator

Integers = npt.NDArray[np.int64]

TAR_ERRORS = (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, OverflowError, RecursionError, MemoryError)
"""What `tarfile` raises on damaged archives, and on forged ones."""

HELD_OUT = 0.25
"""The fraction of every class that becomes "val" where a source has no split of its own."""


class Names:
    """A growing list of byte strings in one buffer; each takes 8 bytes beside its text."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ends = array("q", [0])

    def append(self, name: bytes) -> None:
        """Adds a name at the end."""
        self._buffer += name
        self._ends.append(len(self._buffer))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i: int) -> bytes:
        return bytes(self._buffer[self._ends[i] : self._ends[i + 1]])

    def order(self) -> Integers:
        """Returns the positions in the order of the sorted names."""
        width = max(int(np.diff(self._ends).max()), 1) if len(self) else 1
        column = np.fromiter((self[i] for i in range(len(self))), dtype=f"S{width}", count=len(self))
        return np.argsort(column, kind="stable").astype(np.int64)


@dataclass(frozen=True)
class Listing:
    """The pictures of one split, in a fixed order.

    Attributes:
        labels: int64 (N,), positions in `Source.classes`.
        rows: int64 (N,), the position of each picture in `names`, by which `fetch` knows it too.
        names: The names of the whole source (shared by its splits).
        fetch: Returns the bytes of a row; safe between threads; raises OSError.
    """

    labels: Integers
    rows: Integers
    names: Names
    fetch: Callable[[int], bytes]

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, i: int) -> str:
        """Returns the name of picture `i`: its path in the source, always valid UTF-8."""
        return self.names[self.rows[i]].decode("utf-8", "replace")

    def read(self, i: int) -> bytes:
        """Returns the undecoded bytes of picture `i`.

        Raises:
            OSError: The file cannot be read, or no longer.
        """
        return self.fetch(int(self.rows[i]))

    def take(self, chosen: Integers) -> "Listing":
        """Returns a listing of only the pictures at the positions `chosen`."""
        return Listing(self.labels[chosen], self.rows[chosen], self.names, self.fetch)


@dataclass(frozen=True)
class Source:
    """Where pictures come from.

    Attributes:
        name: A short name, fit for a file name.
        kind: "folder", "tar", "ilsvrc", "cifar" or "solar-cells".
        classes: The class names; a label is a position in them.
        splits: "train", and "val" and "test" if the source has them.
        fingerprint: Changes with any name, size, time of change, label or seed of the split.
        ignored: The files of the source that are no pictures of a class.
        licence: Licence and citation, where the source states one.
        path: The file or folder that is read.
        is_split_drawn: Whether "val" was held out of "train" here, because the source has no split of its own.
        details: What else the source states about its classes, a value for each: "devkit_ids", "words".
        decoding: What its pictures go through before they are stored, in words.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    splits: dict[str, Listing]
    fingerprint: str
    path: Path
    is_split_drawn: bool = False
    ignored: list[str] = field(default_factory=list)
    licence: str | None = None
    details: Mapping[str, Sequence[int | str]] = field(default_factory=dict)
    decoding: str = SPEC


def hold_out(whole: Listing, classes: tuple[str, ...], seed: int) -> dict[str, Listing]:
    """Splits a listing into "train" and "val", stratified: `HELD_OUT` of every class is held out.

    The draw of a class depends only on the seed and on the name and size of the class. Both parts keep the order.

    Raises:
        DataError: A class has a single picture.
    """
    counts = np.bincount(whole.labels, minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count < 2:
            raise DataError(f"class {name!r} has {count} picture: a split needs at least 2, add some")
    held = drawn(whole, classes, HELD_OUT, seed, "hold out")
    return {"train": whole.take(np.flatnonzero(~held)), "val": whole.take(np.flatnonzero(held))}


def drawn(
    listing: Listing, classes: tuple[str, ...], fraction: float, seed: int, purpose: str
) -> npt.NDArray[np.bool_]:
    """Draws a fraction of every class, at least one picture; returns a mask of the drawn pictures."""
    chosen = np.zeros(len(listing), dtype=bool)
    for label, name in enumerate(classes):
        members = np.flatnonzero(listing.labels == label)
        count = max(1, round(len(members) * fraction))
        chosen[generator(seed, f"{purpose} {name}").permutation(members)[:count]] = True
    return chosen


def read_span(path: Path, offset: int, length: int) -> bytes:
    """Returns a part of a file, which is opened for each call, so that threads share nothing.

    Raises:
        OSError: The file cannot be read, or has become shorter.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        data = file.read(length)
    if len(data) != length:
        raise OSError(f"{path} ends before byte {offset + length}")
    return data


def read_to_end(tar: tarfile.TarFile) -> None:
    """Reads the rest of an archive, at the end of which a compressed one checks its checksum.

    Raises:
        OSError: The checksum is wrong.
    """
    while tar.fileobj and tar.fileobj.read(1 << 20):
        pass


def stamp(path: Path) -> str:
    """Returns name, size and time of change of a file, as text for a fingerprint."""
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}\n"
