"""Packing a source into a store, once; resumable and atomic.

    for each shard:  read -> decode and fit (threads) -> JPEG -> fsync, rename -> its part (offsets, sums)
    at the end:      commit.py joins the parts

A shard depends on nothing but its own pictures, so whatever is interrupted is done again with the same bytes.
Work in progress lies in STORE/.pack, which disappears with the commit.
"""

import json
import shutil
import tarfile
from array import array
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zlib import crc32

import numpy as np
import numpy.typing as npt
import simplejpeg

from alexnet import machine
from alexnet.config import RANGES
from alexnet.data import decode
from alexnet.data.commit import QUALITY, SUBSAMPLING, WORK, Job, OnBadImage, Part, Progress, commit
from alexnet.data.doubt import doubt
from alexnet.data.listing import Source
from alexnet.data.manifest import MANIFEST, File, is_store, shard_name
from alexnet.data.pictures import prefetch
from alexnet.data.store import INDEX, Store
from alexnet.errors import BadImage, DataError, UsageError
from alexnet.files import alone_in, plain_errors, replacing, write
from alexnet.records import Doubt, Doubtful, Quarantined

_IDENTITY = "identity"
_END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)
_AHEAD = 64  # pictures that wait for their turn in the shard


def pack(
    source: Source,
    directory: str | Path,
    *,
    size: int = 256,
    quality: int = QUALITY,
    on_bad_image: OnBadImage = "skip",
    progress: Progress | None = None,
    threads: int | None = None,
    retry: bool = False,
) -> Store:
    """Packs a source, or goes on where an interrupted packing stopped; a finished store is returned as it is.

    Memory does not grow with the number of pictures. Two programs that pack the same store take turns.

    Args:
        source: What to pack; it is only read.
        directory: The folder of the store: new, empty, or the half-packed store of the same source.
        size: Side of the stored pictures in pixels.
        quality: JPEG quality, 1..100; chroma has half the resolution.
        on_bad_image: "skip" leaves bad pictures out and lists them in `Store.quarantine`; "stop" raises.
        progress: Called after every picture.
        threads: The number of threads that decode; one for each core by default.
        retry: Whether a finished store is packed again if a picture that could not be read then can be read now. The
            content changes, so that runs on it cannot be resumed: only a person decides that.

    Raises:
        BadImage: A picture cannot be read or decoded, now or when the store was packed, and `on_bad_image` is "stop".
        DataError: The disk is full (finished shards are kept), or a class or a split has no good picture.
        UsageError: The directory holds something else, cannot be written, or lies inside the source.
    """
    directory = Path(directory)
    job = Job(source, directory, size, quality, on_bad_image, progress or (lambda done, total: None))
    _check_arguments(job)
    with plain_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with alone_in(directory):
            if not _is_finished(job, retry):
                _claim(job)
                _pack_shards(job, threads or machine.cores())
                commit(job)
            shutil.rmtree(job.work, ignore_errors=True)
    return Store(directory)


def _check_arguments(job: Job) -> None:
    smallest, largest = RANGES["stored_size"]
    if not smallest <= job.size <= largest:
        raise UsageError(f"size must be in {smallest}..{largest}, got {job.size}")
    if not 1 <= job.quality <= 100:
        raise UsageError(f"quality must be in 1..100, got {job.quality}")
    if job.on_bad_image not in ("skip", "stop"):
        raise UsageError(f"on_bad_image must be 'skip' or 'stop', got {job.on_bad_image!r}")
    if job.source.path.is_dir() and job.directory.resolve().is_relative_to(job.source.path):
        raise UsageError(f"the store {job.directory} lies inside its source: choose a folder outside of it")


def _is_finished(job: Job, retry: bool) -> bool:
    """Returns whether the store is finished; on `retry`, one whose unread pictures can be read becomes half packed."""
    if not is_store(job.directory):
        return False
    store = Store(job.directory)
    if store.fingerprint != job.identity:
        raise UsageError(f"{job.directory} is a store of another source, size or seed: choose another folder")
    is_tried_again = retry and _has_become_readable(job.source, store.quarantine)
    left_out = [bad for bad in store.quarantine if not (is_tried_again and bad.was_unread)]
    if job.on_bad_image == "stop" and left_out:
        raise BadImage(left_out[0].name, left_out[0].reason)
    if is_tried_again:
        _sign(job)
        (job.directory / MANIFEST).unlink()
    return not is_tried_again


def _has_become_readable(source: Source, quarantine: Iterable[Quarantined]) -> bool:
    """Returns whether a picture can be read that could not be read when the store was packed."""
    unread = {(bad.split, bad.name) for bad in quarantine if bad.was_unread}
    for split, listing in source.splits.items() if unread else ():
        for i in range(len(listing)):
            if (split, listing.name(i)) in unread:
                with suppress(OSError):
                    with suppress(BadImage):  # it can be read, though not decoded
                        listing.read(i)
                    return True
    return False


def _sign(job: Job) -> None:
    job.work.mkdir(exist_ok=True)
    write(job.work / _IDENTITY, job.identity.encode(), job.work)


def _claim(job: Job) -> None:
    """Makes sure that nothing but this job has written into the directory."""
    note = job.work / _IDENTITY
    if note.is_file():
        if note.read_bytes() != job.identity.encode():
            other = "from another or changed source, or another size or seed"
            raise UsageError(f"{job.directory} is half packed {other}: delete it or choose another folder")
    elif any(entry.name != WORK for entry in job.directory.iterdir()):
        raise UsageError(f"{job.directory} is not empty and no store: choose a new or empty folder")
    else:
        _sign(job)


def _pack_shards(job: Job, threads: int) -> None:
    done = 0
    for split, shard, places in job.shards():
        if not _is_kept(job, shard_name(split, shard)):
            part = _write_shard(job, threads, split, shard, places, done)
            write(job.part(shard_name(split, shard)), part.dump(), job.work)
        done += len(places)
        job.progress(done, job.total)


def _is_kept(job: Job, shard: str) -> bool:
    """Returns whether an earlier run finished the shard, it is still intact, and no picture has to be tried again."""
    try:
        part = Part.load(job.part(shard), job.size)
        is_intact = part.file == File.at(job.directory / shard)
    except (OSError, DataError):
        return False
    return is_intact and not any(job.on_bad_image == "stop" or bad.was_unread for bad in part.bad)


def _write_shard(job: Job, threads: int, split: str, shard: int, places: range, done: int) -> Part:
    listing = job.source.splits[split]
    image_sum, product_sum = np.zeros((job.size, job.size, 3), np.uint32), np.zeros((3, 3), np.int64)
    index: list[tuple[int, ...]] = []
    checksums, names, digests = array("L"), bytearray(), array("Q")
    bad: list[Quarantined] = []
    doubtful: list[Doubtful] = []
    path = job.directory / shard_name(split, shard)
    prepared = prefetch(lambda i: _prepare(job, split, i), places, threads, ahead=_AHEAD)
    with replacing(path, job.work) as file, closing(prepared) as pictures:
        for n, (i, picture) in enumerate(zip(places, pictures, strict=True), start=1):
            if isinstance(picture, Quarantined):
                bad.append(picture)
            else:
                label, name = int(listing.labels[i]), listing.name(i)
                image_sum += picture.pixels
                product_sum += picture.product
                names += name.encode()
                digests.append(picture.digest)
                offset = _append(file, f"{i:09d}.jpg", picture.jpeg)
                facts = {"label": label, "split": split, "class": job.source.classes[label], "name": name}
                _append(file, f"{i:09d}.json", json.dumps(facts).encode())
                if picture.doubt:
                    class_name = job.source.classes[label]
                    doubtful.append(Doubtful(split=split, class_name=class_name, name=name, doubt=picture.doubt))
                checksums.append(crc32(picture.jpeg))
                index.append((shard, len(picture.jpeg), offset, label, len(names)))
            job.progress(done + n, job.total)
        file.write(_END_OF_TAR)
    written, known_by = np.array(index, dtype=INDEX), np.array(digests, np.uint64)
    crcs, texts = np.array(checksums, np.uint32), np.frombuffer(bytes(names), np.uint8)
    lists = tuple(bad), File.at(path), tuple(doubtful)
    return Part(image_sum, product_sum, written, crcs, texts, known_by, *lists)


@dataclass(frozen=True)
class _Picture:
    jpeg: bytes
    pixels: decode.Pixels
    product: npt.NDArray[np.int64]
    digest: int
    doubt: Doubt | None


def _prepare(job: Job, split: str, i: int) -> _Picture | Quarantined:
    """Reads, decodes and encodes one picture, in a thread."""
    listing = job.source.splits[split]
    name = listing.name(i)
    try:
        data = listing.read(i)
        pixels = decode.load(data, name, job.size, job.source.square)
    except OSError as error:
        reason, was_unread = f"cannot be read: {error.strerror or error}", True
    except BadImage as error:
        reason, was_unread = error.reason, False
    else:
        flat = pixels.reshape(-1, 3).astype(np.float64)  # exact: every sum stays far below 2**53
        jpeg, known_by = data, listing.digest(i, data)
        if job.source.square == "warp" or not decode.is_jpeg_of(data, pixels):
            jpeg = simplejpeg.encode_jpeg(pixels, job.quality, colorsubsampling=SUBSAMPLING)
        return _Picture(jpeg, pixels, (flat.T @ flat).astype(np.int64), known_by, doubt(pixels))
    if job.on_bad_image == "stop":
        raise BadImage(name, reason)
    class_name = job.source.classes[int(listing.labels[i])]
    return Quarantined(split=split, class_name=class_name, name=name, reason=reason, was_unread=was_unread)


def _append(file: IO[bytes], name: str, data: bytes) -> int:
    """Adds a member without date or owner to a tar file and returns the offset of its data."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    file.write(member.tobuf(tarfile.USTAR_FORMAT))
    offset = file.tell()
    file.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))
    return offset
