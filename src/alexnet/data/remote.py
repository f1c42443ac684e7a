"""A packed store at an address: its index is fetched, its pictures are streamed.

    opening        dataset.json, index, names, mean image -> CACHE/remote/KEY
    a picture      out of the cached shard, or as a byte range over the network
    meanwhile      one thread fetches whole shards until the budget is full

Epochs visit pictures in random order over all shards, so a cache smaller than the set must not exchange whole shards:
shards that this run uses stay, and pictures of all others come one by one. Which of the two ways a picture takes
changes nothing but the time.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from alexnet.data.manifest import MANIFEST, File, is_shard, is_store, read_manifest
from alexnet.data.store import Shards, Store
from alexnet.errors import DataError, UsageError
from alexnet.files import alone_in, plain_errors, write
from alexnet.web import Web

TIMEOUT_S = 10.0  # how long the server may be silent
TRIES = 8  # the waits between them add up to 13 s
FIRST_WAIT_S = 0.1
BUDGET_GB = 50.0  # for the shards of all remote stores together; $ALEXNET_CACHE_GB changes it
READERS = 32  # threads that read pictures; each waits for the network most of the time

Span = tuple[int, int]  # first byte, and the byte after the last

Transport = Callable[[str, Span | None], bytes]
"""Returns the file of a name, or the part of it (more or less than the part where the place knows no parts).

It raises FileNotFoundError or PermissionError, and any other OSError where asking again may help.
"""


def is_remote(spec: str | Path) -> bool:
    """Returns whether `spec` is an address rather than a path or a name."""
    return isinstance(spec, str) and "://" in spec


def open_remote(address: str, cache: Path) -> Store:
    """Opens the packed store at the address of its folder: http://, https://, or any that fsspec knows (s3://, ...).

    `cache` keeps the index, and as many shards as the budget allows; several programs may use it at once.

    Raises:
        UsageError: The address is of an unknown kind, or a package for it is missing.
        DataError: There is no store, it is damaged or cannot be reached, or the server does not send parts of files
            and the store is larger than the budget.
    """
    remote = Remote(address)
    manifest = remote.read(MANIFEST)
    root = cache / "remote"
    directory = root / blake2b(manifest, digest_size=8).hexdigest()
    with plain_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with alone_in(root):
            if not is_store(directory) or (directory / MANIFEST).read_bytes() != manifest:
                write(directory / MANIFEST, manifest)
            os.utime(directory / MANIFEST)  # its last use; the file stays, since programs that read the store lock it
            files = read_manifest(directory).files
            for name, file in files.items():
                path = directory / name
                if not is_shard(name) and not (path.is_file() and file.holds(path.read_bytes())):
                    write(path, remote.read(name, file.holds))
    shards = {name: file for name, file in files.items() if is_shard(name)}
    if not shards:
        raise DataError(f"{address} is a packed store without shards: pack it again")
    return Store(directory, RemoteShards(directory, remote, shards))


class RemoteShards(Shards):
    """Reads shards out of the cache, `directory`, or over the network."""

    threads = READERS

    def __init__(self, directory: Path, remote: "Remote", files: dict[str, File]) -> None:
        super().__init__(directory)
        self.location = remote.address
        self.remedy = f"delete {directory}; if it comes again, copy the store to {remote.address} again"
        self._remote, self._files = remote, files
        self._opened = time.time()
        self._fault: DataError | None = None
        self._filler: threading.Thread | None = None
        self._gives_parts = len(remote.read(next(iter(files)), span=(0, 1))) == 1
        size, budget = sum(file.length for file in files.values()), _budget()
        if not self._gives_parts and size > budget:
            raise DataError(
                f"{remote.address} gives no parts of files (HTTP Range), and its {size / 1e9:.1f} GB exceed "
                f"the cache's {budget / 1e9:.1f} GB: set ALEXNET_CACHE_GB higher, or serve it with another program"
            )

    def read(self, name: str, offset: int, length: int) -> memoryview:
        """Returns a part of a shard; errors as in `Shards.read`."""
        if self._fault is not None:
            raise self._fault
        if (self.directory / name).exists():
            with suppress(DataError):  # another program may have dropped it at this moment
                return super().read(name, offset, length)
        if not self._gives_parts:
            if not self._fetch(name):
                raise DataError(f"no room for {name} in {self.directory.parent}: free some, or set ALEXNET_CACHE_GB")
            return super().read(name, offset, length)
        with self._lock:
            if self._filler is None:
                self._filler = threading.Thread(target=self._fill, name="fill", daemon=True)
                self._filler.start()
        return memoryview(self._remote.read(name, lambda part: len(part) == length, (offset, offset + length)))

    def _map(self, name: str) -> memoryview:
        view = super()._map(name)
        with suppress(OSError):
            os.utime(self.directory / name)
        return view

    def _fill(self) -> None:
        for name in self._files:
            with suppress(OSError):
                os.utime(self.directory / name)  # in use from here on: what fetching drops are others
        try:
            all(map(self._fetch, self._files))  # up to the first for which there is no room
        except DataError as error:
            self._fault = error

    def _fetch(self, name: str) -> bool:
        """Puts a shard into the cache, one at a time over all programs, and returns whether there was room for it."""
        path, file = self.directory / name, self._files[name]
        with alone_in(self.directory.parent):
            if not path.exists():
                if not self._make_room(file.length):
                    return False
                write(path, self._remote.read(name, file.holds))
            return True

    def _make_room(self, size: int) -> bool:
        """Drops shards, the longest unused first, but none that was used since this store was opened."""
        shards = [(path, path.stat()) for path in self.directory.parent.glob("*/*.tar")]
        left = _budget() - sum(status.st_size for _, status in shards)
        for path, status in sorted(shards, key=lambda entry: entry[1].st_mtime):
            if left >= size or status.st_mtime >= self._opened:
                break
            path.unlink()
            left += status.st_size
        return left >= size and shutil.disk_usage(self.directory).free > 2 * size


class Remote:
    """The folder at an address, read with patience."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        try:
            parts = urlsplit(address)
            (parts.hostname or "").encode("idna")
        except ValueError as error:
            raise UsageError(f"{address} is no address ({error}): give a path, https://, s3:// or gs://") from error
        self._get = (_over_http if parts.scheme in ("http", "https") else _from_bucket)(self.address)

    def read(self, name: str, is_good: Callable[[bytes], bool] = bool, span: Span | None = None) -> bytes:
        """Returns a file or a part of it whose content `is_good`; tries again where that may help. Raises DataError."""
        where = f"{self.address}/{name}"
        fault: tuple[str, str, Exception | None] = "", "", None
        for attempt in range(TRIES):
            if attempt:
                time.sleep(FIRST_WAIT_S * 2 ** (attempt - 1))
            try:
                data = self._get(name, span)
            except FileNotFoundError as error:
                raise DataError(f"{where} is missing: check the address, or copy the packed store there") from error
            except PermissionError as error:
                raise DataError(f"{where} may not be read ({error}): check the credentials") from error
            except OSError as error:
                fault = f"cannot be reached ({str(error) or type(error).__name__})", "check address and network", error
            else:
                if is_good(data):
                    return data
                fault = "is truncated or damaged", "copy it there again from the packed store", None
        what, remedy, cause = fault
        raise DataError(f"{where} {what}, {TRIES} times: {remedy}, then resume") from cause


def _over_http(address: str) -> Transport:
    web = Web(READERS)
    faults = {404: FileNotFoundError, 410: FileNotFoundError, 401: PermissionError, 403: PermissionError}

    def get(name: str, span: Span | None) -> bytes:
        headers = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
        answer = web.get(f"{address}/{name}", headers, TIMEOUT_S)
        if answer.status in (200, 206):
            return answer.data
        if answer.status == 416:  # the file ends before the span
            return b""
        raise faults.get(answer.status, OSError)(f"HTTP {answer.status} {answer.reason}")

    return get


def _from_bucket(address: str) -> Transport:
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise UsageError(f"{address} needs a package ({error}): pip install 'alexnet[remote]'") from error
    except Exception as error:  # each kind of store has errors of its own
        reason = f"is of no known kind ({error})"
        raise UsageError(f"{address} {reason}: give a path, https://, s3:// or gs://") from error
    limits = {"timeout": TIMEOUT_S} if files.async_impl else {}

    def get(name: str, span: Span | None) -> bytes:
        start, end = span or (None, None)
        try:
            return bytes(files.cat_file(f"{root}/{name}", start=start, end=end, **limits))
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # as above
            raise OSError(f"{type(error).__name__}: {error}") from error

    return get


def _budget() -> float:
    text = os.environ.get("ALEXNET_CACHE_GB") or str(BUDGET_GB)
    try:
        return float(text) * 1e9
    except ValueError as error:
        raise UsageError(f"ALEXNET_CACHE_GB takes a number of gigabytes, got {text!r}") from error
