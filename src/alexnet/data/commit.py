"""What a packing knows about its shards, and how that becomes index, mean image, covariance and dataset.json."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from alexnet.data import decode, manifest
from alexnet.data.listing import Digests, Source
from alexnet.data.manifest import MEAN_IMAGE, File, checksum_file, digests_file, index_files, shard_name
from alexnet.data.store import EXAMPLES_PER_SHARD, INDEX
from alexnet.errors import DataError
from alexnet.files import write
from alexnet.records import LISTED, Doubtful, Quarantined, read, sealed, to_json

QUALITY, SUBSAMPLING = 90, "420"  # of JPEG, chroma at half resolution: about 20 kB a picture of 256 pixels

Progress = Callable[[int, int], object]  # called with the number of pictures done so far, and of all pictures
OnBadImage = Literal["skip", "stop"]  # a bad picture is left out and listed in `Store.quarantine`, or ends the packing
WORK = ".pack"  # the folder of unfinished work in the store's own


@dataclass(frozen=True)
class Job:
    """A packing, and everything that decides what it writes."""

    source: Source
    directory: Path
    size: int
    quality: int
    on_bad_image: OnBadImage
    progress: Progress

    @property
    def work(self) -> Path:
        """The folder of unfinished work."""
        return self.directory / WORK

    @property
    def identity(self) -> str:
        """As in `identity`."""
        return identity(self.source, self.size, self.quality)

    @property
    def total(self) -> int:
        """The number of pictures in all splits."""
        return sum(map(len, self.source.splits.values()))

    def part(self, shard: str) -> Path:
        """Returns the file in which the part of a shard is kept."""
        return self.work / f"{shard}.npz"

    def shards(self) -> Iterator[tuple[str, int, range]]:
        """Yields the split, the number and the places of every shard."""
        for split, listing in self.source.splits.items():
            for shard, start in enumerate(range(0, len(listing), EXAMPLES_PER_SHARD)):
                yield split, shard, range(start, min(start + EXAMPLES_PER_SHARD, len(listing)))


def identity(source: Source, size: int, quality: int) -> str:
    """Returns the hash of everything that decides what a finished store holds."""
    lengths = {split: len(listing) for split, listing in source.splits.items()}
    facts = [source.fingerprint, source.classes, lengths, size, quality, SUBSAMPLING, decode.SPEC, manifest.VERSION]
    return _hash(facts)


def _hash(facts: Sequence[object]) -> str:
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


class _Account(msgspec.Struct, frozen=True, array_like=True):  # what a part's file keeps as JSON
    bad: tuple[Quarantined, ...]
    file: File
    doubtful: tuple[Doubtful, ...] = ()


_ARRAYS = ("sums", "products", "index", "crc32", "names", "digests", "rest")  # of a part's file


@dataclass(frozen=True)
class Part:
    """What the commit needs to know about one shard, kept in a file until then."""

    image_sum: npt.NDArray[np.uint32]  # (size, size, 3), of the pictures before JPEG: integers, exact in any order
    product_sum: npt.NDArray[np.int64]  # (3, 3), of every RGB pixel times its own transpose
    index: npt.NDArray[np.void]  # of `INDEX`; `name_end` counts from the first name of the shard
    checksums: npt.NDArray[np.uint32]  # the CRC-32 of each JPEG
    names: npt.NDArray[np.uint8]  # one after the other, UTF-8
    digests: Digests
    bad: tuple[Quarantined, ...]
    file: File
    doubtful: tuple[Doubtful, ...] = ()

    def dump(self) -> bytes:
        """Returns the content of the part's file."""
        buffer = BytesIO()
        rest = np.frombuffer(to_json(_Account(self.bad, self.file, self.doubtful), indent=None).encode(), np.uint8)
        sums, texts = (self.image_sum, self.product_sum), (self.names, self.digests, rest)
        parts = *sums, self.index, self.checksums, *texts
        arrays: dict[str, npt.NDArray[Any]] = dict(zip(_ARRAYS, parts, strict=True))
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: Path, size: int) -> "Part":
        """Reads a part's file, of pictures of `size` pixels; raises DataError if it is missing or damaged."""
        remedy = "run it again"
        try:
            with path.open("rb") as file, np.load(file) as saved:
                old = {} if "crc32" in saved else _of_version_0_1(path, saved["index"])
                arrays = [old[name] if name in old else saved[name] for name in _ARRAYS]
        except Exception as error:  # zipfile, zlib and numpy each raise errors of their own on damaged data
            raise DataError(f"{path} is damaged ({error}): {remedy}") from error
        sums, products, index, checksums, names, digests, rest = arrays
        many = (index.size,)
        shapes = (size, size, 3), (3, 3), many, many, (names.size,), many, (rest.size,)
        types = tuple(np.dtype(name) for name in ("<u4", "<i8", INDEX, "<u4", "u1", "<u8", "u1"))
        if [(each.dtype, each.shape) for each in arrays] != list(zip(types, shapes, strict=True)):
            raise DataError(f"{path} holds other arrays than a part of size {size}: {remedy}")
        account = read(_Account, rest.tobytes(), path, DataError, remedy)
        its_own = account.bad, account.file, account.doubtful
        return cls(sums, products, index, checksums, names, digests, *its_own)


def _of_version_0_1(part: Path, index: npt.NDArray[np.void]) -> dict[str, npt.NDArray[Any]]:
    """Returns what a part lacks that version 0.1 wrote; what its pictures were known by stays unknown."""
    shard = (part.parent.parent / part.stem).read_bytes()
    jpegs = (shard[row["offset"] : row["offset"] + row["length"]] for row in index)
    return {"crc32": np.array([crc32(jpeg) for jpeg in jpegs], np.uint32), "digests": np.zeros(index.size, np.uint64)}


def commit(job: Job) -> None:
    """Joins the parts into index and statistics and writes the manifest, which makes the folder a store."""
    splits = {split: _Whole(job.size) for split in job.source.splits}
    for split, shard, _ in job.shards():
        name = shard_name(split, shard)
        splits[split].add(name, Part.load(job.part(name), job.size))
    quarantine = tuple(bad for whole in splits.values() for bad in whole.bad)
    indices = {split: np.concatenate(whole.indices) for split, whole in splits.items()}
    _refuse_empty(job, indices, quarantine)
    first = next(iter(splits))  # "train", where there is one
    mean_image, covariance = _statistics(splits[first], len(indices[first]))
    write(job.directory / MEAN_IMAGE, _npy(mean_image), job.work)
    others = [MEAN_IMAGE]
    for split, whole in splits.items():
        tables = indices[split], np.concatenate(whole.checksums), np.concatenate(whole.digests)
        index, checksums, digests = map(_npy, tables)
        names = *index_files(split), checksum_file(split), digests_file(split)
        for name, content in zip(names, (index, bytes(whole.names), checksums, digests), strict=True):
            write(job.directory / name, content, job.work)
        others += names
    shards = {name: file for whole in splits.values() for name, file in whole.files.items()}
    content_facts = [job.source.classes, job.size, [[name, file.blake2b] for name, file in shards.items()]]
    store = manifest.StoreManifest(
        name=job.source.name,
        kind=job.source.kind,
        licence=job.source.licence,
        size=job.size,
        decoding=job.source.decoding,
        jpeg=manifest.Jpeg(job.quality, SUBSAMPLING),
        splits={split: len(index) for split, index in indices.items()},
        is_split_drawn=job.source.is_split_drawn,
        covariance=covariance.tolist(),
        content_hash=_hash(content_facts),
        fingerprint=job.identity,
        ignored=len(job.source.left_out),
        layout=job.source.layout,
        notes=job.source.notes,
        left_out=tuple(job.source.left_out[:LISTED]),
        selection=job.source.selection,
        classes=job.source.classes,
        details=job.source.details,
        files=shards | {name: File.at(job.directory / name) for name in others},
        quarantine=quarantine,
        doubtful=tuple(each for whole in splits.values() for each in whole.doubtful),
    )
    write(job.directory / manifest.MANIFEST, sealed(store), job.work)


class _Whole:
    """The parts of one split, added up in order."""

    def __init__(self, size: int) -> None:
        self.image_sum, self.product_sum = np.zeros((size, size, 3), np.uint64), np.zeros((3, 3), np.int64)
        self.indices: list[npt.NDArray[np.void]] = []
        self.checksums: list[npt.NDArray[np.uint32]] = []
        self.names, self.digests = bytearray(), list[Digests]()
        self.bad: list[Quarantined] = []
        self.doubtful: list[Doubtful] = []
        self.files: dict[str, File] = {}

    def add(self, shard: str, part: Part) -> None:
        index = part.index.copy()
        index["name_end"] += len(self.names)
        self.indices.append(index)
        self.checksums.append(part.checksums)
        self.names += part.names.tobytes()
        self.digests.append(part.digests)
        self.image_sum += part.image_sum
        self.product_sum += part.product_sum
        self.bad += part.bad
        self.doubtful += part.doubtful
        self.files[shard] = part.file


def _refuse_empty(job: Job, indices: dict[str, npt.NDArray[np.void]], quarantine: Sequence[Quarantined]) -> None:
    present = set(indices["train"]["label"].tolist()) if "train" in indices else set()
    for label, name in enumerate(job.source.classes if "train" in indices else ()):
        if label not in present:
            its_own = (bad for bad in quarantine if (bad.split, bad.class_name) == ("train", name))
            why = next((f"{bad.name}: {bad.reason}" for bad in its_own), "none was given")
            raise DataError(f"class {name!r} has no good training picture ({why}): mend the source")
    for split, index in indices.items():
        if not len(index):
            why = next(bad.reason for bad in quarantine if bad.split == split)
            raise DataError(f"{split} has no good picture ({why}): mend the source")


def _statistics(train: _Whole, count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Returns the mean image, 0..255, and the covariance of RGB pixels in [0, 1]."""
    mean_image = train.image_sum / count
    mean_pixel = mean_image.mean(axis=(0, 1))
    mean_product = train.product_sum / (count * mean_image[..., 0].size)
    covariance = (mean_product - np.outer(mean_pixel, mean_pixel)) / 255**2
    return mean_image.astype(np.float32), covariance


def _npy(array: npt.NDArray[np.generic]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
