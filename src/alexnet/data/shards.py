"""The packed store on disk, and reading from it.

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
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg

from alexnet.data.manifest import MEAN_IMAGE, File, index_name, is_shard, names_name, read_manifest, shard_name
from alexnet.errors import DataError

EXAMPLES_PER_SHARD = 1024

OPEN_SHARDS = 8192
"""How many shards are mapped at once, about 20 MB of address space each; fewer where fewer files may be open."""

INDEX = np.dtype([("shard", "<i4"), ("length", "<i4"), ("offset", "<i8"), ("label", "<i8"), ("name_end", "<i8")])
"""Where an example's JPEG lies, its class, and where its name ends in the file of names."""

Pixels = npt.NDArray[np.uint8]

_REMEDY = "copy it again, or delete the store and pack it again"


class Store:
    """A packed store, opened for reading; safe between threads.

    Attributes:
        directory: Where it lies.
        name: The name of the source.
        classes: The class names; a label is a position in them.
        splits: "train", and "val" and "test" as present.
        size: Side of the pictures in pixels.
        mean_image: float32 (size, size, 3) in 0..255: the mean of the training pictures.
        covariance: float64 (3, 3): of the training pixels, RGB in [0, 1].
        content_hash: Of everything a training run can see: classes, pictures, labels, names.
        quarantine: The pictures that were left out.
        ignored: How many files of the source were no pictures of a class.
        is_split_drawn: Whether "val" was held out of "train", because the source has no split of its own.
        licence: Of the source, where stated.
        fingerprint: Of the source it was packed from.
        details: What else is known of the classes, a list a kind ("devkit_ids", "words").
        decoding: What the pictures went through, in words.
        files: Every file of the store but its manifest, by name.

    Args:
        directory: Where it lies.
        shards: Where its shards are read, if not in the directory.

    Raises:
        DataError: There is no store, or its index is damaged, or a shard is missing or truncated.
    """

    def __init__(self, directory: str | Path, shards: "Shards | None" = None) -> None:
        self.directory = Path(directory)
        manifest = read_manifest(self.directory)
        self.name = manifest.name
        self.classes = manifest.classes
        self.size = manifest.size
        self.covariance: npt.NDArray[np.float64] = np.array(manifest.covariance)
        self.content_hash = manifest.content_hash
        self.fingerprint = manifest.fingerprint
        self.quarantine = manifest.quarantine
        self.ignored = manifest.ignored
        self.is_split_drawn = manifest.is_split_drawn
        self.licence = manifest.licence
        self.details = manifest.details
        self.decoding = manifest.decoding
        self.files = manifest.files
        if shards is None:
            self._check(is_shard, contents=False)
        self._check(lambda name: not is_shard(name), contents=True)
        mean_image = _open_array(self.directory / MEAN_IMAGE, np.dtype(np.float32), (self.size, self.size, 3))
        self.mean_image: npt.NDArray[np.float32] = np.array(mean_image)
        shards = shards or Shards(self.directory)
        self.splits = {name: self._split(name, shards) for name in manifest.splits}

    def verify(self) -> None:
        """Reads every byte of the store and compares it with the hashes taken when it was packed.

        Raises:
            DataError: A file is damaged.
        """
        self._check(lambda name: True, contents=True)

    def _split(self, name: str, shards: "Shards") -> "Split":
        path = self.directory / index_name(name)
        index = _open_array(path, INDEX)
        tars = takewhile(self.files.__contains__, (shard_name(name, number) for number in count()))
        lengths = np.array([self.files[tar].length for tar in tars], dtype=np.int64)
        if not _is_sound(index, len(self.classes), lengths, self.files[names_name(name)].length):
            raise DataError(f"{path} points beyond classes, shards or names: {_REMEDY}")
        return Split(self.directory, name, self.size, shards, index)

    def _check(self, is_chosen: Callable[[str], bool], contents: bool) -> None:
        """Compares the chosen files with the manifest: their lengths, and their contents if asked."""
        for name, file in self.files.items():
            path = self.directory / name
            if not is_chosen(name):
                continue
            if not path.is_file():
                raise DataError(f"{path} is missing: {_REMEDY}")
            if path.stat().st_size != file.length or (contents and File.at(path) != file):
                raise DataError(f"{path} is damaged: {_REMEDY}")


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
        """Gives the name of example `i` in the source."""
        i = range(len(self))[i]
        start = self._index["name_end"][i - 1] if i else 0
        return self._names[start : self._index["name_end"][i]].tobytes().decode("utf-8", "replace")

    def jpeg(self, i: int) -> memoryview:
        """Gives the JPEG of example `i`, a view into its shard.

        Raises:
            DataError: The shard is gone, cannot be reached or has become shorter.
        """
        shard, length, offset, _, _ = self._index[i].tolist()
        return self._shards.read(shard_name(self._split, shard), offset, length)

    def read(self, i: int) -> Pixels:
        """Gives the pixels of example `i`: uint8 (size, size, 3), RGB.

        Raises:
            DataError: The shard is damaged.
        """
        try:
            pixels: Pixels = simplejpeg.decode_jpeg(self.jpeg(i))
        except ValueError as error:
            raise DataError(f"{self._where(i)} is damaged ({error}): {self._shards.remedy}") from error
        if pixels.shape != (self._size, self._size, 3):
            raise DataError(f"{self._where(i)} is no picture of side {self._size}: {self._shards.remedy}")
        return pixels

    def _where(self, i: int) -> str:
        shard = self._shards.directory / shard_name(self._split, self._index["shard"][i])
        return f"example {self.name(i)!r} in {shard}"


class Shards:
    """Memory maps of the shards last used; a map that falls out lives on while a view needs it.

    Attributes:
        directory: Where the shards lie.
        remedy: What mends a damaged shard.
        threads: See `Split.threads`.
    """

    remedy = "pack the store again"
    threads: int | None = None

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._room = min(OPEN_SHARDS, _open_files() // 2)
        self._views: OrderedDict[str, memoryview] = OrderedDict()
        self._lock = Lock()

    def read(self, name: str, offset: int, length: int) -> memoryview:
        """Gives a part of a shard.

        Raises:
            DataError: The shard is gone or shorter.
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
    """Asks for as many open files as this process may have, since each map holds one; gives their number."""
    try:
        import resource
    except ImportError:  # Windows
        return 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft >= 0 else 2 * OPEN_SHARDS  # negative: no limit


def _open_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
    """Maps a `.npy` file of one kind, and of one shape or else a list.

    Raises:
        DataError: It is something else.
    """
    try:
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy raises whatever it likes on damaged data
        raise DataError(f"{path} is damaged: {_REMEDY}") from error
    if array.dtype != dtype or (array.shape != shape if shape else array.ndim != 1):
        raise DataError(f"{path} is not the array that it should be: {_REMEDY}")
    return array


def _is_sound(index: npt.NDArray[np.void], classes: int, shards: npt.NDArray[np.int64], names: int) -> bool:
    """Says whether an index, not empty, keeps to its classes, to shards of these lengths, and to `names` bytes."""
    ends = index["name_end"]
    if not (len(index) and _are_within(index["label"], classes) and _are_within(index["shard"], len(shards))):
        return False
    room = shards[index["shard"]] - index["length"]
    is_inside = bool((index["length"] > 0).all() and (index["offset"] >= 0).all() and (index["offset"] <= room).all())
    return is_inside and _are_within(ends, names + 1) and bool((ends[1:] >= ends[:-1]).all())


def _are_within(numbers: npt.NDArray[np.integer], end: int) -> bool:
    return bool(numbers.min() >= 0 and numbers.max() < end)
