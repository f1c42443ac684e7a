"""What a scan of many files tells, kept in the cache so that the next command need not work it out again.

A file is the BLAKE2b of its content, and the content: a `KeptScan` as MessagePack. A file that is missing, damaged, of
another version or of a folder that has changed is as good as none.
"""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import msgspec

from alexnet import __version__
from alexnet.data.listing import Names
from alexnet.errors import AlexNetError
from alexnet.files import cache, plain_errors, write
from alexnet.records import LeftOut

VERSION = f"1, alexnet {__version__}"  # the program decides what is left out of a scan, and why
FEWEST = 5000  # a scan of fewer pictures takes no longer than to look it up
FOLDER = "scans"
_SUM = 16  # bytes


@dataclass
class Scan:
    """The paths in a folder or an archive, before splits and classes are told apart."""

    names: Names = field(default_factory=Names)
    folders: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)  # all that is hidden or no picture
    fingerprint: str = ""


class KeptScan(msgspec.Struct, frozen=True, array_like=True):
    """The content of a file; `source` is the path that was scanned, `state` a hash of all that was in it."""

    version: str
    source: str
    state: bytes
    names: tuple[bytes, bytes]
    folders: bytes  # separated by zeros
    left_out: list[LeftOut]
    fingerprint: str


def place(source: Path) -> Path:
    """Returns the file in which the scan of a folder or an archive is kept."""
    return cache() / FOLDER / blake2b(os.fsencode(source.resolve()), digest_size=8).hexdigest()


def keep(source: Path, state: bytes, scan: Scan) -> None:
    """Keeps a scan if it is long and the cache can be written; `state` is a hash of all that was scanned."""
    if len(scan.names) < FEWEST:
        return
    folders = os.fsencode("\0".join(scan.folders))
    name = os.fsencode(source.resolve()).decode("utf-8", "replace")
    file = KeptScan(VERSION, name, state, scan.names.dump(), folders, scan.left_out, scan.fingerprint)
    content = msgspec.msgpack.encode(file)
    path = place(source)
    with suppress(OSError, AlexNetError), plain_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, _sum(content) + content)


def recall(source: Path, state: bytes) -> Scan | None:
    """Returns the scan that was kept of a source, if that is in the state in which it was scanned."""
    path = place(source)
    file = read(path)
    if file is None or file.state != state:
        return None
    with suppress(OSError):
        os.utime(path)  # its last use
    folders = os.fsdecode(file.folders).split("\0") if file.folders else []
    return Scan(Names.of(*file.names), folders, file.left_out, file.fingerprint)


def read(path: Path) -> KeptScan | None:
    """Reads a kept scan; returns None where there is none, or none that is sound and of this version."""
    try:
        data = path.read_bytes()
        content = data[_SUM:]
        if data[:_SUM] != _sum(content):
            return None
        file = msgspec.msgpack.decode(content, type=KeptScan)
        return file if file.version == VERSION else None
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def _sum(content: bytes) -> bytes:
    return blake2b(content, digest_size=_SUM).digest()
