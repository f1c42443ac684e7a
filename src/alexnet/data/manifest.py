"""What a packed store says about itself, `dataset.json`, which is written last.

Stores come from other people and from servers, so nothing in them is trusted before it is checked here.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from alexnet.data.decode import SPEC, WARPED
from alexnet.errors import DataError
from alexnet.files import from_home
from alexnet.records import EVERYTHING, Doubtful, Finite, LeftOut, Quarantined, Record, Selection, Square, read

MANIFEST = "dataset.json"
MEAN_IMAGE = "mean_image.npy"
FORMAT = "alexnet packed store"
VERSION = 1

_OURS = re.compile(rb'"format"\s*:\s*"%s"' % FORMAT.encode())
_REMEDY = "delete the store and pack it again"

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")]
"""The name of a file in the store's own folder: never a path."""

Row = tuple[Finite, Finite, Finite]


def shard_name(split: str, shard: int) -> str:
    """Returns the file name of a shard."""
    return f"{split}-{shard:06d}.tar"


def is_shard(name: str) -> bool:
    """Returns whether a file of a store is a shard."""
    return name.endswith(".tar")


def checksum_file(split: str) -> str:
    """Returns the file name of the checksums of a split's pictures, which stores of version 0.1 do not have."""
    return f"{split}.crc32.npy"


def index_files(split: str) -> tuple[str, str]:
    """Returns the file names of a split's index, and of the names of its examples."""
    return f"{split}.index.npy", f"{split}.names"


def digests_file(split: str) -> str:
    """Returns the name of the file that knows the pictures of a split by the bytes they had in the source.

    Stores of version 0.1 have none.
    """
    return f"{split}.digests.npy"


class File(Record, frozen=True):
    """A file of a store: its length in bytes and the hash of its content, 16 bytes in hexadecimal."""

    length: Annotated[int, Meta(gt=0, le=(1 << 63) - 1)] = msgspec.field(name="bytes")
    blake2b: str

    @classmethod
    def at(cls, path: Path) -> "File":
        """Returns what the file at `path` is."""
        with path.open("rb") as file:
            hashed = file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
        return cls(path.stat().st_size, hashed)

    def holds(self, content: bytes) -> bool:
        """Returns whether this is the whole and undamaged content of the file."""
        return len(content) == self.length and blake2b(content, digest_size=16).hexdigest() == self.blake2b


class Jpeg(Record, frozen=True):
    """How the pictures of a store were compressed: quality 1..100, and the subsampling of the chroma, as in "420"."""

    quality: int = 90
    subsampling: str = "420"


class StoreManifest(Record, frozen=True, kw_only=True):
    """The content of `dataset.json`, in its order; name, kind, licence and classes are the source's."""

    format: str = FORMAT  # other programs use the same file name
    version: int = VERSION
    name: str
    kind: str = ""
    licence: str | None
    size: Annotated[int, Meta(gt=0)]  # side of the pictures in pixels
    decoding: str = SPEC  # what the pictures went through, in words
    jpeg: Jpeg = Jpeg()
    splits: dict[FileName, int]  # the number of examples of each
    is_split_drawn: bool = False  # whether "val" was held out of "train", as the source has no split of its own
    covariance: tuple[Row, Row, Row]  # of the training pixels, RGB in [0, 1]
    content_hash: str  # of everything a training run can see: classes, pictures, labels, names
    fingerprint: str  # a hash of everything that decides what the store holds
    ignored: int  # the number of entries of what is left out, all of them
    layout: str = ""  # what the source was understood to be, in words
    notes: tuple[str, ...] = ()  # sentences on what a person should look at
    left_out: tuple[LeftOut, ...] = ()  # what is no picture of a class, the first `LISTED`
    selection: Selection = EVERYTHING  # what its user said about how the source is to be read
    classes: tuple[str, ...]
    details: Mapping[str, Sequence[int | str]]  # what else is known of the classes, a value for each
    files: dict[FileName, File]  # all but this one
    quarantine: tuple[Quarantined, ...]  # the pictures that were left out
    doubtful: tuple[Doubtful, ...] = ()  # those that were not, but may show nothing

    def __post_init__(self) -> None:
        if not self.splits.keys() & {"train", "test"}:  # `test` alone where networks are only measured
            raise ValueError("`splits` without `train`")
        needed = [MEAN_IMAGE, *(name for split in self.splits for name in index_files(split))]
        if missing := [name for name in needed if name not in self.files]:
            raise ValueError(f"`files` lacks `{missing[0]}`, which `splits` calls for")
        if any(len(values) != len(self.classes) for values in self.details.values()):
            raise ValueError("`details` of another length than `classes`")

    @property
    def square(self) -> Square:
        """How the pictures became square."""
        return "warp" if self.decoding == WARPED else "centre"


class _Stamp(msgspec.Struct):
    version: int


def is_store(path: str | Path) -> bool:
    """Returns whether a finished packed store lies at `path`, even a damaged one."""
    return _is_ours(from_home(path) / MANIFEST)


def read_manifest(directory: Path) -> StoreManifest:
    """Reads the `dataset.json` of a store.

    Raises:
        DataError: The file is missing, another program's, damaged or of another version, or names a class twice.
    """
    path = directory / MANIFEST
    if not _is_ours(path):
        raise DataError(f"{directory} is no packed store (no {MANIFEST} of one in it): pack it or finish packing")
    data = path.read_bytes()
    version = read(_Stamp, data, path, DataError, _REMEDY).version
    if version != VERSION:
        raise DataError(f"{path} is of version {version}, this program reads {VERSION}: pack the store again")
    manifest = read(StoreManifest, data, path, DataError, _REMEDY)
    if len(set(manifest.classes)) < len(manifest.classes):
        raise DataError(f"{path} names a class twice: rename one in the source, {_REMEDY}")
    return manifest


def _is_ours(manifest: Path) -> bool:
    """Returns whether a manifest is a store's by its first megabyte, since other programs use the same file name."""
    if not manifest.is_file():
        return False
    try:
        with manifest.open("rb") as file:
            return _OURS.search(file.read(1 << 20)) is not None
    except OSError as error:
        raise DataError(f"{manifest} cannot be read ({error.strerror}): change its permissions") from error
