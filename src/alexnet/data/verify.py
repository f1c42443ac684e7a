"""A packed store compared, byte by byte, with what it was when it was packed."""

from collections.abc import Callable
from pathlib import Path

from alexnet.data.manifest import File, is_shard, read_manifest
from alexnet.data.store import Shards, Store
from alexnet.errors import DataError
from alexnet.files import from_home
from alexnet.records import Record


class DamagedFile(Record, frozen=True, kw_only=True):
    """A file of a store that is missing or has another content, and the names of the pictures that it cost."""

    file: str
    is_missing: bool
    pictures: tuple[str, ...] = ()


class Verified(Record, frozen=True, kw_only=True):
    """A store that was checked: the pictures of each split, its number of files, and those that are damaged.

    Without checksums (`has_checksums`), as version 0.1 packed, damaged pictures that can be decoded are not named.
    """

    store: str
    counts: dict[str, int]
    files: int
    has_checksums: bool
    damaged: tuple[DamagedFile, ...]

    @property
    def problem(self) -> str | None:
        """How much is damaged, and what to do; None if nothing is."""
        if not self.damaged:
            return None
        pictures = sum(len(file.pictures) for file in self.damaged)
        what = f"{len(self.damaged)} of {self.files} files of {self.store} are damaged, with {pictures:,} pictures"
        return f"{what}: copy these files again, or delete the store and pack it again"


def verify(directory: str | Path, progress: Callable[[int, int], object] = lambda done, total: None) -> Verified:
    """Compares every file of a store with its hash; tells `progress` how many bytes are done, and of how many.

    Raises:
        DataError: There is no store, or `dataset.json` is damaged.
    """
    directory = from_home(directory)
    manifest = read_manifest(directory)
    total, done, damaged = sum(file.length for file in manifest.files.values()), 0, list[DamagedFile]()
    for name, file in manifest.files.items():
        path = directory / name
        if not path.is_file() or File.at(path) != file:
            damaged.append(DamagedFile(file=name, is_missing=not path.is_file()))
        done += file.length
        progress(done, total)
    is_whole = all(is_shard(file.file) for file in damaged)  # without an index nothing tells which pictures
    store = Store(directory, Shards(directory)) if is_whole else None
    return Verified(
        store=str(directory),
        counts=manifest.splits,
        files=len(manifest.files) + 1,
        has_checksums=store is not None and all(split.has_checksums for split in store.splits.values()),
        damaged=tuple(_with_pictures(file, store) for file in damaged) if store else tuple(damaged),
    )


def _with_pictures(file: DamagedFile, store: Store) -> DamagedFile:
    names = []
    for split in store.splits.values():
        for i in split.in_shard(file.file):
            try:
                split.read(i)
            except DataError:
                names.append(split.name(i))
    return DamagedFile(file=file.file, is_missing=file.is_missing, pictures=tuple(names))
