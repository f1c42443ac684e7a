"""Packing a source into a store, once; resumable and atomic.

    for each shard:  read -> decode and fit (threads) -> JPEG -> fsync, rename -> its part (offsets, sums)
    at the end:      parts -> index, mean image, covariance -> dataset.json, the commit point

A shard depends on nothing but its own pictures, so whatever is interrupted is done again with the same bytes.
Work in progress lies in STORE/.pack, which disappears with the commit.
"""

import json
import os
import shutil
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal, TypeVar
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import simplejpeg

from alexnet.data import decode
from alexnet.data.listing import Listing, Source
from alexnet.data.shards import (
    EXAMPLES_PER_SHARD,
    INDEX,
    MANIFEST,
    MEAN_IMAGE,
    VERSION,
    Pixels,
    Split,
    Store,
    digest,
    is_store,
    shard_name,
)
from alexnet.data.sources import open_source
from alexnet.errors import BadImage, DataError, UsageError
from alexnet.files import alone_in, plain_errors, replacing, write

__all__ = ["Split", "Store", "cache_directory", "is_store", "open_store", "pack"]

QUALITY = 90
"""JPEG quality, with chroma at half resolution (4:2:0): about 20 kB a picture of 256 pixels."""

SUBSAMPLING = "420"

Progress = Callable[[int, int], object]
"""Called with the pictures done so far and the pictures of all splits."""

_WORK = ".pack"
_IDENTITY = "identity"
_END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)


def pack(
    source: Source,
    directory: str | Path,
    *,
    size: int = 256,
    quality: int = QUALITY,
    on_bad_image: Literal["skip", "stop"] = "skip",
    progress: Progress | None = None,
    threads: int | None = None,
) -> Store:
    """Packs a source, or goes on where an interrupted packing stopped; a finished store is returned as it is.

    Memory does not grow with the number of pictures. Two programs that pack the same store take turns.

    Args:
        source: What to pack; it is only read.
        directory: Where to; new, empty, or the half-packed store of the same source.
        size: Side of the stored pictures in pixels.
        quality: JPEG quality, 1..100; chroma has half the resolution.
        on_bad_image: "skip" leaves bad pictures out and lists them in `Store.quarantine`; "stop" raises.
        progress: Told after every picture.
        threads: How many decode at once; one a processor by default.

    Raises:
        BadImage: A picture cannot be decoded, and `on_bad_image` is "stop".
        DataError: The disk is full (finished shards are kept), or a class or a split has no good picture.
        UsageError: The directory holds something else, cannot be written, or lies inside the source.
    """
    directory = Path(directory)
    job = _Job(source, directory, size, quality, on_bad_image, progress or (lambda done, total: None))
    _check_arguments(job)
    with plain_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with alone_in(directory):
            if not _is_finished(job):
                _claim(job)
                _pack_shards(job, threads or os.cpu_count() or 1)
                _commit(job)
            shutil.rmtree(job.work, ignore_errors=True)
    return Store(directory)


def open_store(
    spec: str | Path,
    *,
    seed: int = 0,
    size: int = 256,
    on_bad_image: Literal["skip", "stop"] = "skip",
    progress: Progress | None = None,
) -> Store:
    """Opens a store as it is, or packs a source into the cache, or finds it there.

    Args:
        spec: A store's directory, or whatever `open_source` takes.
        seed: Of the held-out quarter, where the source brings no split of its own.
        size: Side of the pictures, for a source.
        on_bad_image: As in `pack`.
        progress: As in `pack`; not called when nothing is packed.

    Raises:
        UsageError, DataError: As `open_source`, `pack` and `Store`.
    """
    if is_store(spec):
        return Store(spec)
    source = open_source(spec, seed=seed)
    place = cache_directory(source, size)
    return pack(source, place, size=size, on_bad_image=on_bad_image, progress=progress)


def cache_directory(source: Source, size: int = 256) -> Path:
    """Gives where a source is packed by itself: below $ALEXNET_CACHE, or else ~/.cache/alexnet.

    A source that was changed or moved, another seed and another size each have a place of their own.
    """
    root = Path(os.environ.get("ALEXNET_CACHE") or "~/.cache/alexnet").expanduser()
    facts = f"{source.path}\n{_identity(source, size, QUALITY)}".encode(errors="replace")
    return root / f"{source.name}-{size}-{blake2b(facts, digest_size=8).hexdigest()}"


@dataclass(frozen=True)
class _Job:
    source: Source
    directory: Path
    size: int
    quality: int
    on_bad_image: str
    progress: Progress

    @property
    def work(self) -> Path:
        return self.directory / _WORK

    @property
    def identity(self) -> str:
        return _identity(self.source, self.size, self.quality)

    def shards(self) -> Iterator[tuple[str, int, range]]:
        """Gives split, number and places of every shard."""
        for split, listing in self.source.splits.items():
            for shard, start in enumerate(range(0, len(listing), EXAMPLES_PER_SHARD)):
                yield split, shard, range(start, min(start + EXAMPLES_PER_SHARD, len(listing)))


@dataclass
class _Part:
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
    def load(cls, path: Path) -> "_Part":
        with np.load(path) as saved:
            bad, file = json.loads(saved["rest"].tobytes())
            index = saved["index"].tolist()
            return cls(saved["sums"], saved["products"], index, saved["names"].tobytes(), bad, file)


def _check_arguments(job: _Job) -> None:
    if job.size < 1:
        raise UsageError(f"size must be at least 1, got {job.size}")
    if not 1 <= job.quality <= 100:
        raise UsageError(f"quality must be in 1..100, got {job.quality}")
    if job.on_bad_image not in ("skip", "stop"):
        raise UsageError(f"on_bad_image must be 'skip' or 'stop', got {job.on_bad_image!r}")
    if job.source.path.is_dir() and job.directory.resolve().is_relative_to(job.source.path):
        raise UsageError(f"the store {job.directory} lies inside its source: choose a folder outside of it")


def _identity(source: Source, size: int, quality: int) -> str:
    """Gives the hash of all that decides what a finished store holds."""
    lengths = {split: len(listing) for split, listing in source.splits.items()}
    facts = [source.fingerprint, source.classes, lengths, size, quality, SUBSAMPLING, decode.SPEC, VERSION]
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def _is_finished(job: _Job) -> bool:
    if not is_store(job.directory):
        return False
    if Store(job.directory).fingerprint != job.identity:
        raise UsageError(f"{job.directory} is a store of another source, size or seed: choose another folder")
    return True


def _claim(job: _Job) -> None:
    """Makes sure that nothing but this very job has written into the directory."""
    note = job.work / _IDENTITY
    if note.is_file():
        if note.read_text() != job.identity:
            raise UsageError(
                f"{job.directory} is half packed from another or changed source, or another size or seed: "
                "delete it or choose another folder"
            )
    elif any(entry.name != _WORK for entry in job.directory.iterdir()):
        raise UsageError(f"{job.directory} is not empty and no store: choose a new or empty folder")
    else:
        job.work.mkdir(exist_ok=True)
        write(note, job.identity.encode(), job.work)


def _pack_shards(job: _Job, threads: int) -> None:
    total = sum(map(len, job.source.splits.values()))
    done = 0
    with ThreadPoolExecutor(threads, "pack") as pool:
        for split, shard, places in job.shards():
            if not _is_kept(job, shard_name(split, shard)):
                tell = partial(_tell, job.progress, done, total)
                part = _write_shard(job, pool, split, shard, places, tell)
                write(_part_path(job, shard_name(split, shard)), part.dump(), job.work)
            done += len(places)
            job.progress(done, total)


def _tell(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _zeros(job: _Job, dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.zeros((job.size, job.size, 3), dtype)


def _part_path(job: _Job, shard: str) -> Path:
    return job.work / f"{shard}.npz"


def _is_kept(job: _Job, shard: str) -> bool:
    """Tells whether an earlier run finished the shard and it is still intact."""
    try:
        return _Part.load(_part_path(job, shard)).file == _facts(job.directory / shard)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return False


def _facts(path: Path) -> dict[str, int | str]:
    return {"bytes": path.stat().st_size, "blake2b": digest(path)}


def _write_shard(
    job: _Job, pool: ThreadPoolExecutor, split: str, shard: int, places: range, tell: Callable[[int], object]
) -> _Part:
    listing = job.source.splits[split]
    part = _Part(_zeros(job, np.uint32), np.zeros((3, 3), np.int64))
    names = bytearray()
    path = job.directory / shard_name(split, shard)
    with replacing(path, job.work) as file:
        pictures = _in_order(pool, lambda i: _prepare(job, listing, i), places)
        for n, (i, picture) in enumerate(zip(places, pictures, strict=True), start=1):
            label = int(listing.labels[i])
            facts = {"split": split, "class": job.source.classes[label], "name": listing.name(i)}
            if isinstance(picture, BadImage):
                part.bad.append(facts | {"reason": picture.reason})
            else:
                part.image_sum += picture.pixels
                part.product_sum += picture.product
                names += listing.name(i).encode()
                offset = _append(file, f"{i:09d}.jpg", picture.jpeg)
                _append(file, f"{i:09d}.json", json.dumps({"label": label} | facts).encode())
                part.index.append((shard, len(picture.jpeg), offset, label, len(names)))
            tell(n)
        file.write(_END_OF_TAR)
    part.names = bytes(names)
    part.file = _facts(path)
    return part


@dataclass(frozen=True)
class _Picture:
    jpeg: bytes
    pixels: Pixels
    product: npt.NDArray[np.int64]


def _prepare(job: _Job, listing: Listing, i: int) -> _Picture | BadImage:
    """Does the work of one picture; runs in a thread."""
    try:
        pixels = decode.load(listing.read(i), listing.name(i), job.size)
    except OSError as error:
        bad = BadImage(listing.name(i), f"cannot be read: {error.strerror or error}")
    except BadImage as error:
        bad = error
    else:
        flat = pixels.reshape(-1, 3).astype(np.float64)  # exact: every sum stays far below 2**53
        jpeg = simplejpeg.encode_jpeg(pixels, job.quality, colorsubsampling=SUBSAMPLING)
        return _Picture(jpeg, pixels, (flat.T @ flat).astype(np.int64))
    if job.on_bad_image == "stop":
        raise bad
    return bad


Item = TypeVar("Item")
Result = TypeVar("Result")


def _in_order(
    pool: ThreadPoolExecutor, task: Callable[[Item], Result], items: Iterable[Item], ahead: int = 64
) -> Iterator[Result]:
    """Maps in the pool, with at most `ahead` results waiting; what is still queued at an error is dropped."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(task, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _append(file: IO[bytes], name: str, data: bytes) -> int:
    """Adds a member without date or owner to a tar file; gives the offset of its data."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    file.write(member.tobuf(tarfile.USTAR_FORMAT))
    offset = file.tell()
    file.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))
    return offset


@dataclass
class _Whole:
    """The parts of one split, added up in order."""

    image_sum: npt.NDArray[np.uint64]
    product_sum: npt.NDArray[np.int64]
    indices: list[npt.NDArray[np.void]] = field(default_factory=list)
    names: bytearray = field(default_factory=bytearray)
    bad: list[dict[str, str]] = field(default_factory=list)
    files: dict[str, dict[str, int | str]] = field(default_factory=dict)

    def add(self, shard: str, part: _Part) -> None:
        index = np.array(part.index, dtype=INDEX)
        index["name_end"] += len(self.names)
        self.indices.append(index)
        self.names += part.names
        self.image_sum += part.image_sum
        self.product_sum += part.product_sum
        self.bad += part.bad
        self.files[shard] = part.file


def _commit(job: _Job) -> None:
    """Joins the parts into index and statistics and writes the manifest, which makes it a store."""
    products = np.zeros((3, 3), np.int64)
    splits = {split: _Whole(_zeros(job, np.uint64), products.copy()) for split in job.source.splits}
    for split, shard, _ in job.shards():
        name = shard_name(split, shard)
        splits[split].add(name, _Part.load(_part_path(job, name)))
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
        "format": "alexnet packed store",
        "version": VERSION,
        "name": job.source.name,
        "kind": job.source.kind,
        "licence": job.source.licence,
        "size": job.size,
        "decoding": decode.SPEC,
        "jpeg": {"quality": job.quality, "subsampling": SUBSAMPLING},
        "splits": {split: len(index) for split, index in indices.items()},
        "covariance": covariance.tolist(),
        "content_hash": _content_hash(job, shards),
        "fingerprint": job.identity,
        "ignored": len(job.source.ignored),
        "classes": job.source.classes,
        "details": job.source.details,
        "files": shards | {name: _facts(job.directory / name) for name in others},
        "quarantine": [bad for whole in splits.values() for bad in whole.bad],
    }
    write(job.directory / MANIFEST, json.dumps(manifest, indent=1).encode(), job.work)


def _refuse_empty(job: _Job, indices: dict[str, npt.NDArray[np.void]], quarantine: list[dict[str, str]]) -> None:
    first = {(bad["split"], bad["class"]): f"{bad['name']}: {bad['reason']}" for bad in reversed(quarantine)}
    present = set(indices["train"]["label"].tolist())
    for label, name in enumerate(job.source.classes):
        if label not in present:
            why = first.get(("train", name), "none was given")
            raise DataError(f"class {name!r} has no good training picture ({why}): mend the source")
    for split, index in indices.items():
        if not len(index):
            raise DataError(f"{split} has no good picture ({quarantine[-1]['reason']}): mend the source")


def _statistics(train: _Whole, count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Gives the mean image, 0..255, and the covariance of RGB pixels in [0, 1]."""
    mean_image = train.image_sum / count
    mean_pixel = mean_image.mean(axis=(0, 1))
    mean_product = train.product_sum / (count * mean_image[..., 0].size)
    covariance = (mean_product - np.outer(mean_pixel, mean_pixel)) / 255**2
    return mean_image.astype(np.float32), covariance


def _content_hash(job: _Job, shards: dict[str, dict[str, int | str]]) -> str:
    content = [job.source.classes, job.size, [[name, facts["blake2b"]] for name, facts in shards.items()]]
    return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
