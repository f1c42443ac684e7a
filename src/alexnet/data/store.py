"""A packed store, opened for reading; `shards.py` describes its files."""

from collections.abc import Callable
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.data.manifest import MEAN_IMAGE, File, index_name, is_shard, names_name, read_manifest, shard_name
from alexnet.data.shards import INDEX, Shards, Split
from alexnet.errors import DataError

_REMEDY = "copy it again, or delete the store and pack it again"


class Store:
    """A packed store, opened for reading; safe between threads.

    Attributes:
        directory: The folder of the index, and of the shards if they are not read over the network.
        location: What opens the store again: the directory, or the address of a store that is read over the network.
        name: The name of the source.
        classes: The class names; a label is a position in them.
        splits: "train", and "val" and "test" if the source has them.
        size: Side of the pictures in pixels.
        square: How the pictures became square.
        decoding: What the pictures went through, in words.
        mean_image: float32 (size, size, 3) in 0..255: the mean of the training pictures.
        covariance: float64 (3, 3): of the training pixels, RGB in [0, 1].
        content_hash: The hash of everything a training run can see: classes, pictures, labels, names.
        quarantine: The pictures that were left out.
        ignored: The number of files of the source that are no pictures of a class.
        is_split_drawn: Whether "val" was held out of "train", because the source has no split of its own.
        licence: The licence of the source, where it states one.
        fingerprint: The hash of everything that decides what the store holds.
        details: What else is known of the classes, a list for each kind ("devkit_ids", "words").
        files: Every file of the store but its manifest, by name.

    Args:
        directory: The folder of the store.
        shards: What reads its shards, if not from the folder.

    Raises:
        DataError: There is no store, its index is damaged, or a shard is missing or truncated.
    """

    def __init__(self, directory: str | Path, shards: Shards | None = None) -> None:
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
        self.square = manifest.square
        self.files = manifest.files
        if shards is None:
            self._check(is_shard, contents=False)
        self._check(lambda name: not is_shard(name), contents=True)
        mean_image = _open_array(self.directory / MEAN_IMAGE, np.dtype(np.float32), (self.size, self.size, 3))
        self.mean_image: npt.NDArray[np.float32] = np.array(mean_image)
        shards = shards or Shards(self.directory)
        self.location = shards.location
        self.splits = {name: self._split(name, shards) for name in manifest.splits}

    def verify(self) -> None:
        """Compares every byte of the store with the hashes taken when it was packed.

        Raises:
            DataError: A file is damaged.
        """
        self._check(lambda name: True, contents=True)

    def _split(self, name: str, shards: Shards) -> Split:
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


def _open_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
    """Maps a `.npy` file of a given type, and of a given shape or else of one dimension.

    Raises:
        DataError: The file is damaged or holds another array.
    """
    try:
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy raises whatever it likes on damaged data
        raise DataError(f"{path} is damaged: {_REMEDY}") from error
    if array.dtype != dtype or (array.shape != shape if shape else array.ndim != 1):
        raise DataError(f"{path} is not the array that it should be: {_REMEDY}")
    return array


def _is_sound(index: npt.NDArray[np.void], classes: int, shards: npt.NDArray[np.int64], names: int) -> bool:
    """Tells whether an index has examples, and keeps to its classes, its shards (by length) and `names` bytes."""
    ends = index["name_end"]
    if not (len(index) and _are_within(index["label"], classes) and _are_within(index["shard"], len(shards))):
        return False
    room = shards[index["shard"]] - index["length"]
    is_inside = bool((index["length"] > 0).all() and (index["offset"] >= 0).all() and (index["offset"] <= room).all())
    return is_inside and _are_within(ends, names + 1) and bool((ends[1:] >= ends[:-1]).all())


def _are_within(numbers: npt.NDArray[np.integer], end: int) -> bool:
    return bool(numbers.min() >= 0 and numbers.max() < end)
