"""The files of a packed store, and reading pictures out of them.

    STORE/dataset.json          written last: a folder without it is no store
          mean_image.npy        float32 (size, size, 3)
          train-000000.tar ...  1,024 places a shard: 000000123.jpg, 000000123.json (WebDataset's convention)
          train.index.npy       one `INDEX` record an example
          train.names           the names of the examples, one after the other

The shards alone are a complete data set for `tar`, `webdataset` or Hugging Face `datasets`; the index
only adds random access. An example's number is its place in the source, so a bad picture leaves a gap.
"""

import mmap
from collections import OrderedDict
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from alexnet.data.decode import Pixels, decode_stored
from alexnet.data.manifest import names_name, shard_name
from alexnet.errors import DataError

EXAMPLES_PER_SHARD = 1024

OPEN_SHARDS = 8192
"""How many shards are mapped at once, about 20 MB of address space each; fewer where fewer files may be open."""

INDEX = np.dtype([("shard", "<i4"), ("length", "<i4"), ("offset", "<i8"), ("label", "<i8"), ("name_end", "<i8")])
"""Where an example's JPEG lies, its class, and where its name ends in the file of names."""


class Split:
    """The examples of one split, in the order of the source."""

    def __init__(self, directory: Path, name: str, size: int, shards: "Shards", index: npt.NDArray[np.void]) -> None:
        self._split = name
        self._size = size
        self._shards = shards
        self._index = index
        self._names = np.memmap(directory / names_name(name), np.uint8, "r")

    def __len__(self) -> int:
        return len(self._index)

    @property
    def threads(self) -> int | None:
        """How many threads to read with; None where reading keeps a processor busy."""
        return self._shards.threads

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """int64 (N,): positions in `Store.classes`."""
        return np.ascontiguousarray(self._index["label"], dtype=np.int64)

    def name(self, i: int) -> str:
        """Returns the name of example `i` in the source."""
        i = range(len(self))[i]
        start = self._index["name_end"][i - 1] if i else 0
        return self._names[start : self._index["name_end"][i]].tobytes().decode("utf-8", "replace")

    def jpeg(self, i: int) -> memoryview:
        """Returns the JPEG of example `i`, a view into its shard.

        Raises:
            DataError: The shard is missing, has become shorter or cannot be reached.
        """
        shard, length, offset, _, _ = self._index[i].tolist()
        return self._shards.read(shard_name(self._split, shard), offset, length)

    def read(self, i: int) -> Pixels:
        """Returns the pixels of example `i`: uint8 (size, size, 3), RGB.

        Raises:
            DataError: The shard is damaged.
        """
        try:
            return decode_stored(self.jpeg(i), self._size)
        except ValueError as error:
            raise DataError(f"{self._where(i)} is {error}: {self._shards.remedy}") from error

    def _where(self, i: int) -> str:
        shard = self._shards.directory / shard_name(self._split, self._index["shard"][i])
        return f"example {self.name(i)!r} in {shard}"


class Shards:
    """Memory maps of the shards used last; a map that is dropped lives on as long as a view of it.

    Attributes:
        directory: The folder of the shards.
        location: What opens the store of these shards again.
        remedy: What the user can do about a damaged shard.
        threads: How many threads to read with, as in `Split`.
    """

    remedy = "pack the store again"
    threads: int | None = None

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.location = str(directory)
        self._room = min(OPEN_SHARDS, _open_files() // 2)
        self._views: OrderedDict[str, memoryview] = OrderedDict()
        self._lock = Lock()

    def read(self, name: str, offset: int, length: int) -> memoryview:
        """Returns a part of a shard.

        Raises:
            DataError: The shard is missing or has become shorter.
        """
        view = self._view(name)
        if offset + length > len(view):
            raise DataError(f"shard {name} is truncated: {self.remedy}")
        return view[offset : offset + length]

    def _view(self, name: str) -> memoryview:
        with self._lock:
            view = self._views.pop(name, None) or self._map(name)
            self._views[name] = view
            if len(self._views) > self._room:
                self._views.popitem(last=False)
            return view

    def _map(self, name: str) -> memoryview:
        try:
            with (self.directory / name).open("rb") as file:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.directory / name} cannot be read ({error}): pack again") from error


def _open_files() -> int:
    """Raises the limit of open files as far as possible, since each map holds one; returns the limit."""
    try:
        import resource
    except ImportError:  # Windows
        return 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft >= 0 else 2 * OPEN_SHARDS  # negative: no limit
