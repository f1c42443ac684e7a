"""What a source is: classes, splits, and for every picture a name, a label and its bytes.

A listing of 1.3 million pictures is a handful of arrays, never 1.3 million Python objects.
"""

import os
import tarfile
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.data.decode import SPEC
from alexnet.records import EVERYTHING, LeftOut, Selection, Square
from alexnet.seeds import generator

Integers = npt.NDArray[np.int64]

Digests = npt.NDArray[np.uint64]
"""What pictures are known by, (N,): as `digest` computes it, or 0 where it is not known."""

TAR_ERRORS = (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, OverflowError, RecursionError, MemoryError)
"""What `tarfile` raises on damaged archives, and on forged ones."""


class Names:
    """A growing list of byte strings in one buffer; each takes 8 bytes beside its text."""

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        self._buffer = bytearray()
        self._ends = array("q", [0])
        for name in names:
            self.append(name)

    def append(self, name: bytes) -> None:
        """Adds a name at the end."""
        self._buffer += name
        self._ends.append(len(self._buffer))

    @classmethod
    def of(cls, text: bytes, ends: bytes) -> "Names":
        """Rebuilds a list from what `dump` returned; raises ValueError where the two do not fit each other."""
        names = cls()
        names._buffer, names._ends = bytearray(text), array("q", ends)
        if not names._ends or names._ends[0] != 0 or names._ends[-1] != len(text):
            raise ValueError("ends of other names")
        return names

    def dump(self) -> tuple[bytes, bytes]:
        """Returns the text of all names, and where in it each ends."""
        return bytes(self._buffer), self._ends.tobytes()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i: int) -> bytes:
        return bytes(self._buffer[self._ends[i] : self._ends[i + 1]])

    def order(self) -> Integers:
        """Returns the positions in the order of the sorted names."""
        width = max(int(np.diff(self._ends).max(initial=0)), 1)
        column = np.fromiter((self[i] for i in range(len(self))), dtype=f"S{width}", count=len(self))
        return np.argsort(column, kind="stable").astype(np.int64)


class Spans:
    """Pictures inside one archive, which are read by offset without unpacking it."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self.names = Names()
        self._offsets, self._lengths = array("q"), array("q")

    def append(self, name: str, member: tarfile.TarInfo) -> None:
        """Adds a picture; the member's `offset_data` counts from the start of the archive."""
        self.names.append(os.fsencode(name))
        self._offsets.append(member.offset_data)
        self._lengths.append(member.size)

    def fetch(self, row: int) -> bytes:
        """Returns the bytes of a picture, or raises OSError where the archive cannot be read or has become shorter."""
        offset, length = self._offsets[row], self._lengths[row]
        with self._archive.open("rb", buffering=0) as file:  # anew for each call: threads have no position in common
            file.seek(offset)
            data = file.read(length)
        if len(data) != length:
            raise OSError(f"{self._archive} ends before byte {offset + length}")
        return data


@dataclass(frozen=True)
class Listing:
    """The pictures of one split, in a fixed order."""

    labels: Integers  # (N,), positions in `Source.classes`
    rows: Integers  # (N,), the position of each picture in `names`, by which `fetch` knows it too
    names: Names  # of the whole source; its splits hold the same object
    fetch: Callable[[int], bytes]  # returns the bytes of a row or raises OSError; safe between threads
    digests: Digests | None = None  # of all rows of `names`, where they need not be computed from the bytes

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, i: int) -> str:
        """Returns the name of picture `i`: its path in the source, always valid UTF-8."""
        return self.names[self.rows[i]].decode("utf-8", "replace")

    def read(self, i: int) -> bytes:
        """Returns the undecoded bytes of picture `i`; raises OSError as `fetch` does."""
        return self.fetch(int(self.rows[i]))

    def digest(self, i: int, data: bytes) -> int:
        """Returns what picture `i`, whose bytes are `data`, is known by, or 0 where that is not known."""
        return digest(data) if self.digests is None else int(self.digests[self.rows[i]])

    def take(self, chosen: Integers) -> "Listing":
        """Returns a listing of only the pictures at the positions `chosen`."""
        return replace(self, labels=self.labels[chosen], rows=self.rows[chosen])


@dataclass(frozen=True)
class Source:
    """Where pictures come from."""

    name: str
    kind: str  # "folder", "tar", "zip", "ilsvrc", "cifar", "solar-cells" or "store"
    classes: tuple[str, ...]  # a label is a position in them
    splits: Mapping[str, Listing]  # "train", and "val" and "test" if the source has them
    fingerprint: str  # changes with any name, size, time of change, label or seed of the split
    path: Path
    is_split_drawn: bool = False  # whether "val" was held out of "train" here, as the source has no split of its own
    left_out: list[LeftOut] = field(default_factory=list)  # what is no picture of a class
    layout: str = ""  # what it was understood to be, in words
    notes: tuple[str, ...] = ()  # sentences on what a person should look at
    selection: Selection = EVERYTHING  # what its user said about how it is to be read
    licence: str | None = None  # with the citation, where the source states them
    details: Mapping[str, Sequence[int | str]] = field(default_factory=dict)
    """What else the source states about its classes, a value for each: "devkit_ids", "words"."""
    decoding: str = SPEC  # what its pictures go through before they are stored, in words
    square: Square = "centre"  # how packing makes its pictures square

    @property
    def ignored(self) -> list[str]:
        """The paths of what is left out."""
        return [entry.path for entry in self.left_out]


def digest(data: bytes) -> int:
    """Returns what a picture is known by: the first 8 bytes, little-endian, of the SHA-256 of its file's bytes."""
    return int.from_bytes(sha256(data).digest()[:8], "little")


def spread(count: int, most: int) -> list[int]:
    """Returns the positions of `most` of `count` pictures, evenly from the first to the last, or of all of fewer."""
    return list(map(int, np.linspace(0, count - 1, min(most, count))))


def drawn(
    listing: Listing, classes: tuple[str, ...], fraction: float, seed: int, purpose: str
) -> npt.NDArray[np.bool_]:
    """Draws a fraction of every class, at least one picture, and returns a mask of the drawn pictures.

    What is drawn of a class depends only on the seed, the purpose, and the name and size of the class.
    """
    chosen = np.zeros(len(listing), dtype=bool)
    by_class = np.argsort(listing.labels, kind="stable")
    ends = np.searchsorted(listing.labels[by_class], np.arange(1, len(classes)))
    for name, members in zip(classes, np.split(by_class, ends), strict=True):
        count = max(1, round(len(members) * fraction))
        chosen[generator(seed, f"{purpose} {name}").permutation(members)[:count]] = True
    return chosen


def read_to_end(tar: tarfile.TarFile) -> None:
    """Reads the rest of an archive; at the end of a compressed one, a wrong checksum raises OSError."""
    while tar.fileobj and tar.fileobj.read(1 << 20):
        pass


def stamp(path: Path) -> str:
    """Returns name, size and time of change of a file, as text for a fingerprint."""
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}\n"
