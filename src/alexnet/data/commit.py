"""What a packing knows of its shards, and how that becomes index, mean image, covariance and dataset.json."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.data import decode
from alexnet.data.listing import Source
from alexnet.data.manifest import FORMAT, MANIFEST, MEAN_IMAGE, VERSION
from alexnet.data.shards import EXAMPLES_PER_SHARD, INDEX, digest, shard_name
from alexnet.errors import DataError
from alexnet.files import write

QUALITY = 90
"""JPEG quality, with chroma at half resolution (4:2:0): about 20 kB a picture of 256 pixels."""

SUBSAMPLING = "420"

Progress = Callable[[int, int], object]
"""Called with the pictures done so far and the pictures of all splits."""

WORK = ".pack"

UNREAD = "cannot be read"
"""How the reason begins where a picture could not be read, as against decoded: that may pass, so it is tried again."""


@dataclass(frozen=True)
class Job:
    """A packing, and all that decides what it writes."""

    source: Source
    directory: Path
    size: int
    quality: int
    on_bad_image: str
    progress: Progress

    @property
    def work(self) -> Path:
        """Where unfinished work lies."""
        return self.directory / WORK

    @property
    def identity(self) -> str:
        """The hash of all that decides what the finished store holds."""
        return identity(self.source, self.size, self.quality)

    def part(self, shard: str) -> Path:
        """Gives where the part of a shard is kept."""
        return self.work / f"{shard}.npz"

    def shards(self) -> Iterator[tuple[str, int, range]]:
        """Gives split, number and places of every shard."""
        for split, listing in self.source.splits.items():
            for shard, start in enumerate(range(0, len(listing), EXAMPLES_PER_SHARD)):
                yield split, shard, range(start, min(start + EXAMPLES_PER_SHARD, len(listing)))


def identity(source: Source, size: int, quality: int) -> str:
    """Gives the hash of all that decides what a finished store holds."""
    lengths = {split: len(listing) for split, listing in source.splits.items()}
    facts = [source.fingerprint, source.classes, lengths, size, quality, SUBSAMPLING, decode.SPEC, VERSION]
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


@dataclass
class Part:
    """What the commit needs to know of one shard; kept in a file until then.

    Attributes:
        image_sum: uint32 (size, size, 3): the pictures added up, before JPEG; integers, exact in any order.
        product_sum: int64 (3, 3): every RGB pixel times its own transpose, added up likewise.
        index: `INDEX` records; `name_end` counts from the first name of the shard.
        names: The names, one after the other, UTF-8.
        bad: The quarantined pictures.
        file: Length and hash of the shard.
    """

    image_sum: npt.NDArray[np.uint32]
    product_sum: npt.NDArray[np.int64]
    index: list[tuple[int, ...]] = field(default_factory=list)
    names: bytes = b""
    bad: list[dict[str, str]] = field(default_factory=list)
    file: dict[str, int | str] = field(default_factory=dict)

    def dump(self) -> bytes:
        """Gives the content of the part's file."""
        rest = json.dumps([self.bad, self.file]).encode()
        index = np.array(self.index, dtype=INDEX)
        buffer = BytesIO()
        np.savez_compressed(
            buffer,
            sums=self.image_sum,
            products=self.product_sum,
            index=index,
            names=np.frombuffer(self.names, np.uint8),
            rest=np.frombuffer(rest, np.uint8),
        )
        return buffer.getvalue()

    @classmethod
    def load(cls, path: Path) -> "Part":
        """Reads a part's file."""
        with np.load(path) as saved:
            bad, file = json.loads(saved["rest"].tobytes())
            index = saved["index"].tolist()
            return cls(saved["sums"], saved["products"], index, saved["names"].tobytes(), bad, file)


def was_unread(bad: dict[str, str]) -> bool:
    """Tells whether a quarantined picture could not be read, so that nobody knows whether it is bad."""
    return bad["reason"].startswith(UNREAD)


def facts_of(path: Path) -> dict[str, int | str]:
    """Gives what the manifest says of a file: its length and hash."""
    return {"bytes": path.stat().st_size, "blake2b": digest(path)}


@dataclass
class _Whole:
    """The parts of one split, added up in order."""

    image_sum: npt.NDArray[np.uint64]
    product_sum: npt.NDArray[np.int64]
    indices: list[npt.NDArray[np.void]] = field(default_factory=list)
    names: bytearray = field(default_factory=bytearray)
    bad: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, dict[str, int | str]] = field(default_factory=dict)

    def add(self, shard: str, part: Part) -> None:
        index = np.array(part.index, dtype=INDEX)
        index["name_end"] += len(self.names)
        self.indices.append(index)
        self.names += part.names
        self.image_sum += part.image_sum
        self.product_sum += part.product_sum
        self.bad += part.bad
        self.files[shard] = part.file


def commit(job: Job) -> None:
    """Joins the parts into index and statistics and writes the manifest, which makes it a store."""
    shape = (job.size, job.size, 3)
    splits = {split: _Whole(np.zeros(shape, np.uint64), np.zeros((3, 3), np.int64)) for split in job.source.splits}
    for split, shard, _ in job.shards():
        name = shard_name(split, shard)
        splits[split].add(name, Part.load(job.part(name)))
    indices = {split: np.concatenate(whole.indices) for split, whole in splits.items()}
    _refuse_empty(job, indices, [bad for whole in splits.values() for bad in whole.bad])
    for split, whole in splits.items():
        write(job.directory / f"{split}.index.npy", _npy(indices[split]), job.work)
        write(job.directory / f"{split}.names", bytes(whole.names), job.work)
    mean_image, covariance = _statistics(splits["train"], len(indices["train"]))
    write(job.directory / MEAN_IMAGE, _npy(mean_image), job.work)
    shards = {name: facts for whole in splits.values() for name, facts in whole.files.items()}
    others = [MEAN_IMAGE, *(f"{split}{end}" for split in splits for end in (".index.npy", ".names"))]
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "name": job.source.name,
        "kind": job.source.kind,
        "licence": job.source.licence,
        "size": job.size,
        "decoding": job.source.decoding,
        "jpeg": {"quality": job.quality, "subsampling": SUBSAMPLING},
        "splits": {split: len(index) for split, index in indices.items()},
        "is_split_drawn": job.source.is_split_drawn,
        "covariance": covariance.tolist(),
        "content_hash": _content_hash(job, shards),
        "fingerprint": job.identity,
        "ignored": len(job.source.ignored),
        "classes": job.source.classes,
        "details": job.source.details,
        "files": shards | {name: facts_of(job.directory / name) for name in others},
        "quarantine": [bad for whole in splits.values() for bad in whole.bad],
    }
    write(job.directory / MANIFEST, json.dumps(manifest, indent=1).encode(), job.work)


def _refuse_empty(job: Job, indices: dict[str, npt.NDArray[np.void]], quarantine: list[dict[str, str]]) -> None:
    first = {(bad["split"], bad["class"]): f"{bad['name']}: {bad['reason']}" for bad in reversed(quarantine)}
    present = set(indices["train"]["label"].tolist())
    for label, name in enumerate(job.source.classes):
        if label not in present:
            why = first.get(("train", name), "none was given")
            raise DataError(f"class {name!r} has no good training picture ({why}): mend the source")
    for split, index in indices.items():
        if not len(index):
            why = next(bad["reason"] for bad in quarantine if bad["split"] == split)
            raise DataError(f"{split} has no good picture ({why}): mend the source")


def _statistics(train: _Whole, count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Gives the mean image, 0..255, and the covariance of RGB pixels in [0, 1]."""
    mean_image = train.image_sum / count
    mean_pixel = mean_image.mean(axis=(0, 1))
    mean_product = train.product_sum / (count * mean_image[..., 0].size)
    covariance = (mean_product - np.outer(mean_pixel, mean_pixel)) / 255**2
    return mean_image.astype(np.float32), covariance


def _content_hash(job: Job, shards: dict[str, dict[str, int | str]]) -> str:
    content = [job.source.classes, job.size, [[name, facts["blake2b"]] for name, facts in shards.items()]]
    return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
