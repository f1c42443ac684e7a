"""A packed store, opened for reading.

    STORE/dataset.json          written last: a folder without it is no store
          mean_image.npy        float32 (size, size, 3)
          train-000000.tar ...  1,024 places a shard: 000000123.jpg, 000000123.json (WebDataset's convention)
          train.index.npy       one `INDEX` record an example
          train.names           the names of the examples, one after the other
          train.digests.npy     uint64, what `listing.digest` knows each picture of the source by; 0: not known
          train.crc32.npy       uint32, the CRC-32 of each JPEG; stores of version 0.1 have none

The shards alone are a complete data set for `tar`, `webdataset` or Hugging Face `datasets`; the index
only adds random access. An example's number is its place in the source, so a bad picture leaves a gap.
"""

import copy
import mmap
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path
from threading import Lock
from typing import Any, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt

from alexnet.data.decode import Pixels, decode_stored
from alexnet.data.manifest import (
    MANIFEST,
    MEAN_IMAGE,
    File,
    checksum_file,
    digests_file,
    index_files,
    is_shard,
    read_manifest,
    shard_name,
)
from alexnet.errors import DataError
from alexnet.files import in_use
from alexnet.records import Member

EXAMPLES_PER_SHARD = 1024
OPEN_SHARDS = 8192  # mapped at once, about 20 MB of address space each; fewer where fewer files may be open

INDEX = np.dtype([("shard", "<i4"), ("length", "<i4"), ("offset", "<i8"), ("label", "<i8"), ("name_end", "<i8")])
"""Where an example's JPEG lies, its class, and where its name ends in the file of names."""

_REMEDY = "copy it again, or delete the store and pack it again"


class Store:
    """A packed store, opened for reading; safe between threads.

    Its other attributes are those of `StoreManifest`.

    Attributes:
        directory: The folder of the index, and of the shards unless `shards` reads them from elsewhere.
        location: What opens the store again: the directory, or an address.
        splits: "train", and "val" and "test" if the source has them.
        mean_image: float32 (size, size, 3) in 0..255: the mean of the training pictures.
        covariance: float64 (3, 3): of the training pixels, RGB in [0, 1].

    Raises:
        DataError: There is no store, its index is damaged, or a shard is missing or truncated.
    """

    def __init__(self, directory: str | Path, shards: "Shards | None" = None) -> None:
        self.directory = Path(directory)
        manifest = read_manifest(self.directory)
        self.name, self.classes, self.size = manifest.name, manifest.classes, manifest.size
        self.covariance: npt.NDArray[np.float64] = np.array(manifest.covariance)
        self.content_hash, self.fingerprint = manifest.content_hash, manifest.fingerprint
        self.quarantine, self.doubtful, self.ignored = manifest.quarantine, manifest.doubtful, manifest.ignored
        self.left_out, self.layout, self.notes = manifest.left_out, manifest.layout, manifest.notes
        self.selection = manifest.selection
        self.is_split_drawn, self.licence, self.details = manifest.is_split_drawn, manifest.licence, manifest.details
        self.decoding, self.square, self.files = manifest.decoding, manifest.square, manifest.files
        for name in self.files:
            if not is_shard(name) or shards is None:
                self._check(name, whole=not is_shard(name))
        mean_image = _open_array(self.directory / MEAN_IMAGE, np.dtype(np.float32), (self.size, self.size, 3))
        self.mean_image: npt.NDArray[np.float32] = np.array(mean_image)
        shards = shards or Shards(self.directory)
        self.location = shards.location
        self.splits = {name: self._split(name, shards) for name in manifest.splits}
        self.is_announced = False  # whether a person has just been told what the source was understood to be

    def member(self, row: int, splits: Iterable[str] | None = None) -> Member:
        """Returns the picture of a row; the rows are the pictures of some splits, or of all, one split after another.

        Raises:
            IndexError: There is no such row.
        """
        place = row
        for name in self.splits if splits is None else splits:
            part = self.splits[name]
            if place < len(part):
                class_name = self.classes[part.labels[place]]
                return Member(split=name, place=place, name=part.name(place), class_name=class_name)
            place -= len(part)
        raise IndexError(row)

    def with_mean(self, mean_image: npt.NDArray[np.float32]) -> Self:
        """Returns the same store with another mean image, (size, size, 3) in 0..255: that of a trained network."""
        store = copy.copy(self)
        store.mean_image = mean_image
        return store

    def _check(self, name: str, whole: bool) -> None:
        path, file = self.directory / name, self.files[name]
        if not path.is_file():
            raise DataError(f"{path} is missing: {_REMEDY}")
        if path.stat().st_size != file.length or (whole and File.at(path) != file):
            raise DataError(f"{path} is damaged: {_REMEDY}")

    def _split(self, name: str, shards: "Shards") -> "Split":
        path, names = (self.directory / file for file in index_files(name))
        index = _open_array(path, INDEX)
        tars = takewhile(self.files.__contains__, (shard_name(name, number) for number in count()))
        lengths = np.array([self.files[tar].length for tar in tars], dtype=np.int64)
        if not _is_sound(index, len(self.classes), lengths, self.files[names.name].length):
            raise DataError(f"{path} points beyond classes, shards or names: {_REMEDY}")
        checksums = self._beside(checksum_file(name), index, np.uint32)
        digests = self._beside(digests_file(name), index, np.uint64)
        return Split(name, self.size, shards, index, np.memmap(names, np.uint8, "r"), checksums, digests)

    def _beside(self, name: str, index: npt.NDArray[np.void], kind: type[Any]) -> npt.NDArray[Any] | None:
        """Returns a file with a number for each example, or None where an earlier version packed."""
        return _open_array(self.directory / name, np.dtype(kind), index.shape) if name in self.files else None


def _open_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
    """Maps a `.npy` file and refuses it unless it is of the given type and shape, or else of one dimension."""
    try:
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy raises whatever it likes on damaged data
        raise DataError(f"{path} is damaged: {_REMEDY}") from error
    if array.dtype != dtype or (array.shape != shape if shape else array.ndim != 1):
        raise DataError(f"{path} is not the array that it should be: {_REMEDY}")
    return array


def _is_sound(index: npt.NDArray[np.void], classes: int, shards: npt.NDArray[np.int64], names: int) -> bool:
    """Returns whether an index has examples, and keeps to its classes, its shards (by length) and `names` bytes."""
    bounds = {"label": classes, "shard": len(shards), "name_end": names + 1}
    if not len(index) or any(index[name].min() < 0 or index[name].max() >= end for name, end in bounds.items()):
        return False
    ends, room = index["name_end"], shards[index["shard"]] - index["length"]
    is_inside = (index["length"] > 0).all() and (index["offset"] >= 0).all() and (index["offset"] <= room).all()
    return bool(is_inside and (ends[1:] >= ends[:-1]).all())


class Split:
    """The examples of one split, in the order of the source."""

    def __init__(
        self,
        name: str,
        size: int,
        shards: "Shards",
        index: npt.NDArray[np.void],
        names: npt.NDArray[np.uint8],
        checksums: npt.NDArray[np.uint32] | None,
        digests: npt.NDArray[np.uint64] | None,
    ) -> None:
        self._split, self._size, self._shards, self._index, self._names = name, size, shards, index, names
        self._checksums, self._is_proven = checksums, bytearray(len(index))
        self.threads, self.has_checksums = shards.threads, checksums is not None
        self.digests = np.zeros(len(index), np.uint64) if digests is None else digests

    def __len__(self) -> int:
        return len(self._index)

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """int64 (N,): positions in `Store.classes`."""
        return np.ascontiguousarray(self._index["label"], dtype=np.int64)

    def name(self, i: int) -> str:
        """Returns the name of example `i` in the source."""
        i = range(len(self))[i]
        start = self._index["name_end"][i - 1] if i else 0
        return self._names[start : self._index["name_end"][i]].tobytes().decode("utf-8", "replace")

    def in_shard(self, name: str) -> list[int]:
        """Returns the examples whose JPEGs lie in a shard."""
        shards = np.unique(self._index["shard"])
        numbers = [number for number in shards if shard_name(self._split, number) == name]
        return np.flatnonzero(np.isin(self._index["shard"], numbers)).tolist()

    def jpeg(self, i: int) -> memoryview:
        """Returns the JPEG of example `i`, a view into its shard, compared with its checksum at the first time.

        Raises:
            DataError: As in `Shards.read`, or the picture is not as it was packed.
        """
        shard, length, offset, _, _ = self._index[i].tolist()
        data = self._shards.read(shard_name(self._split, shard), offset, length)
        if self._checksums is not None and not self._is_proven[i]:
            if crc32(data) != self._checksums[i]:
                raise self._damage(i, "not as it was packed")
            self._is_proven[i] = True
        return data

    def read(self, i: int, into: Pixels | None = None) -> Pixels:
        """Returns the pixels of example `i`, as `decode_stored` does; errors as in `jpeg`."""
        try:
            return decode_stored(self.jpeg(i), self._size, into)
        except ValueError as error:
            raise self._damage(i, str(error)) from error

    def _damage(self, i: int, what: str) -> DataError:
        shard = self._shards.directory / shard_name(self._split, self._index["shard"][i])
        return DataError(f"example {self.name(i)!r} in {shard} is {what}: {self._shards.remedy}")


class Shards:
    """Memory maps of the shards used last; a map that is dropped lives on as long as a view of it."""

    remedy = "pack the store again"  # of a damaged shard
    threads: int | None = None  # how many to read with; None where reading keeps a processor busy

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        in_use(self, directory / MANIFEST)
        self.location = str(directory)  # what opens the store again
        self._room = min(OPEN_SHARDS, _open_files() // 2)
        self._views: OrderedDict[str, memoryview] = OrderedDict()
        self._lock = Lock()

    def read(self, name: str, offset: int, length: int) -> memoryview:
        """Returns a part of a shard.

        Raises:
            DataError: The shard is missing, truncated or damaged, or cannot be reached.
        """
        with self._lock:
            view = self._views.pop(name, None) or self._map(name)
            self._views[name] = view
            if len(self._views) > self._room:  # the longest unused comes first
                self._views.popitem(last=False)
        if offset + length > len(view):
            raise DataError(f"shard {name} is truncated: {self.remedy}")
        return view[offset : offset + length]

    def _map(self, name: str) -> memoryview:
        try:
            with (self.directory / name).open("rb") as file:
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.directory / name} cannot be read ({error}): pack again") from error


def _open_files() -> int:
    """Raises the limit of open files as far as possible, since each map holds one, and returns it."""
    try:
        import resource
    except ImportError:  # Windows
        return 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft >= 0 else 2 * OPEN_SHARDS  # negative: no limit
