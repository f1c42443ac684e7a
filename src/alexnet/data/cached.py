"""The cache, listed and cleared: what is removed is made again when it is needed.

CACHE/NAME-SIZE-HASH    a packed store
remote/HASH       index and shards of a store at an address
scans, digests    names of the files in large folders; what their pictures are known by
weights           public weights
features/HASH     what an audit computed of every picture of a store
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

from alexnet.data import kept
from alexnet.data.commit import WORK
from alexnet.data.manifest import MANIFEST, is_store, read_manifest
from alexnet.errors import DataError, UsageError
from alexnet.files import alone_in, cache, plain_errors
from alexnet.records import Cached, CachedKind

_IN_FOLDERS: dict[str, CachedKind] = {
    "remote": "remote",
    kept.FOLDER: "scan",
    "digests": "digests",
    "weights": "weights",
    "features": "features",
}
_IN_USE = "is in use by another program"


def content() -> tuple[Cached, ...]:
    """Returns what lies in the cache, by name; what this program has not put there is not in it."""
    return tuple(sorted(_entries(cache()), key=lambda entry: entry.name))


def clear(names: Sequence[str] | None) -> tuple[list[Cached], list[str]]:
    """Removes entries of the cache, None for all, and returns what was removed and the names of what is in use.

    A store that a program packs or reads is left as it is.

    Raises:
        UsageError: There is no entry of such a name, or the cache cannot be written.
    """
    entries = {entry.name: entry for entry in content()}
    if unknown := [name for name in names or () if name not in entries]:
        raise UsageError(f"{cache()} holds no {unknown[0]!r}; alexnet cache list shows what it holds")
    removed, in_use = [], []
    for name in entries if names is None else dict.fromkeys(names):
        try:
            with plain_errors(cache()):
                _remove(cache() / name)
            removed.append(entries[name])
        except _InUse:
            in_use.append(name)
    return removed, in_use


class _InUse(Exception):
    """Another program works with it."""


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    manifest = path / MANIFEST
    with ExitStack() as locks:
        try:
            for place in (path, *[manifest] * manifest.is_file()):
                locks.enter_context(alone_in(place, _IN_USE))
        except UsageError as error:
            raise _InUse from error
        manifest.unlink(missing_ok=True)  # first: without it, what is left of a store is none
        shutil.rmtree(path)


def _entries(root: Path) -> Iterator[Cached]:
    for path in _ordinary(root):
        if path.name in _IN_FOLDERS:
            yield from (_entry(root, each, _IN_FOLDERS[path.name]) for each in _ordinary(path))
        elif is_store(path) or (path / WORK).is_dir():
            yield _entry(root, path, "store")


def _ordinary(folder: Path) -> Iterable[Path]:
    """Returns what lies in a folder, if there is one, without links, which lead out of the cache."""
    return [path for path in folder.iterdir() if not path.is_symlink()] if folder.is_dir() else []


def _entry(root: Path, path: Path, kind: CachedKind) -> Cached:
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    manifest, source = path / MANIFEST, None
    used = (manifest if manifest.is_file() else path).stat().st_mtime
    if kind == "scan" and (scan := kept.read(path)):
        source = scan.source
    with suppress(DataError):
        source = read_manifest(path).name if manifest.is_file() else source
    return Cached(
        name=str(path.relative_to(root)),
        kind=kind,
        bytes=sum(file.stat().st_size for file in files if file.is_file()),
        source=source,
        last_used=datetime.fromtimestamp(used, UTC).isoformat(timespec="seconds"),
    )
