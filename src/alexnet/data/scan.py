"""How a tree is read: the names of all pictures in a folder, or in a tar file that is read without unpacking.

`folders.py` says which splits and classes the folders are.
"""

import os
import posixpath
import stat
import tarfile
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from alexnet.data import kept, leaving
from alexnet.data.kept import Scan
from alexnet.data.listing import TAR_ERRORS, Spans, stamp
from alexnet.errors import DataError
from alexnet.observer import Observer
from alexnet.records import LeftOut

LONGEST_NAME = 4096  # bytes in a tar file, as of a path; names are sorted in a column as wide as the longest
READERS = 16  # threads that read folders
_KIND = 0o170000  # what `stat.S_IFMT` keeps of a mode


@dataclass
class Tree(Scan):
    """A scan, and how to read its pictures."""

    fetch: Callable[[int], bytes] = field(kw_only=True)  # as in `Listing`


def tar_members(path: Path, start: int = 0) -> Iterator[tarfile.TarInfo]:
    """Yields the members of a tar file without keeping them, and refuses one that is compressed, damaged or truncated.

    It may begin at any byte, `start`, of the file at `path`; `offset_data` counts from the start of that file.
    """
    with path.open("rb") as file:
        file.seek(start)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # it keeps every member otherwise
                    _refuse_forged(member, tar.offset)
                    yield member
        except TAR_ERRORS as error:
            if isinstance(error, OSError) and error.errno:
                raise DataError(f"{path} cannot be read ({error.strerror}): see to its disk and try again") from error
            reason = str(error) or type(error).__name__
            raise DataError(f"{path} is no plain tar ({reason}): uncompress it or fetch it again") from error
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes any rubbish as the end
            raise DataError(f"{path} is damaged or truncated at byte {tar.offset:,}: fetch it again")


def _refuse_forged(member: tarfile.TarInfo, end: int) -> None:
    """Raises for a member with which tarfile would read for ever, or fill the memory."""
    if not 0 <= member.size < 1 << 63 or end < member.offset_data:
        raise tarfile.ReadError(f"a member of impossible size at byte {member.offset:,}")
    if (length := len(os.fsencode(member.name))) > LONGEST_NAME:
        raise tarfile.ReadError(f"a name of {length:,} bytes, more than {LONGEST_NAME:,}, at byte {member.offset:,}")


def pictures_below(root: Path) -> list[Path]:
    """Returns the picture files in a folder and its subfolders that packing would find; hidden ones are left out."""
    names = scan_folder(root).names
    return sorted(root / os.fsdecode(names[i]) for i in range(len(names)))


def scan_folder(root: Path, observer: Observer | None = None) -> Tree:
    """Reads the names in a folder and its subfolders, linked ones too.

    Every file's status is read each time, since a picture that is changed in place leaves its folder as it was. A scan
    of many files is kept in the cache, and serves again where no name, kind, size or time of change differs. What
    changes none of them, such as other bytes of the same number under the old time, is not noticed.

    Raises:
        DataError: A folder cannot be read.
    """
    folders = _read_all(root, observer or Observer())
    digest = blake2b(digest_size=16)
    for folder in folders.values():
        digest.update(b"%b\0%b\0" % (os.fsencode(folder.path), folder.names) + folder.facts.tobytes())
    scan = kept.recall(root, digest.digest())
    if scan is None:
        scan = _scan(root, folders)
        kept.keep(root, digest.digest(), scan)
    names = scan.names
    return Tree(**vars(scan), fetch=lambda row: Path(root, os.fsdecode(names[row])).read_bytes())


_Above = frozenset[tuple[int, int]]  # device and number of folders around another, and of itself


class _Folder(NamedTuple):
    """What is in a folder, sorted by name."""

    path: str  # below the root, with a slash at its end; empty for the root
    names: bytes  # separated by zeros
    facts: "array[int]"  # all kinds, then all sizes, then all times; zeros for what has no status, as a dead link
    above: _Above  # empty for a link back to a folder above, which is not read again

    @property
    def length(self) -> int:
        """The number of entries."""
        return len(self.facts) // 3

    def entries(self) -> Iterator[tuple[str, int, int, int]]:
        """Yields the name, kind (as in `stat.S_IFMT`), size in bytes and time of change in ns of each entry."""
        names = os.fsdecode(self.names).split("\0") if self.length else []
        return zip(names, *(self.facts[i * self.length : (i + 1) * self.length] for i in range(3)), strict=True)

    def folders(self) -> list[str]:
        """Returns the names of the folders in it that are read too."""
        if stat.S_IFDIR not in self.facts[: self.length]:  # as in most: a class
            return []
        return [name for name, kind, _, _ in self.entries() if kind == stat.S_IFDIR and not leaving.hidden(name)]


def _read_all(root: Path, observer: Observer) -> dict[str, _Folder]:
    """Reads all folders, level by level, each in a thread: on a disk of the network most of the time is waiting."""
    folders, count = dict[str, _Folder](), 0
    level: list[tuple[str, _Above]] = [("", frozenset())]
    pool = ThreadPoolExecutor(READERS, "scan")
    try:
        while level:
            below: list[tuple[str, _Above]] = []
            for folder in pool.map(lambda each: _read(root, *each), level):
                folders[folder.path] = folder
                count += folder.length
                observer.scanned(count)
                below += [(f"{folder.path}{name}/", folder.above) for name in folder.folders()]
            level = below
    finally:
        pool.shutdown(cancel_futures=True)
    return folders


def _read(root: Path, path: str, above: _Above) -> _Folder:
    folder = root / path
    try:
        own = folder.stat()
        if (own.st_dev, own.st_ino) in above:
            return _Folder(path, b"", array("q"), frozenset())
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
        states = _states(folder, names)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}): change its permissions") from error
    facts = array("q", [state.st_mode & _KIND if state else 0 for state in states])
    facts.extend([state.st_size if state else 0 for state in states])
    facts.extend([state.st_mtime_ns if state else 0 for state in states])
    return _Folder(path, os.fsencode("\0".join(names)), facts, above | {(own.st_dev, own.st_ino)})


def _states(folder: Path, names: list[str]) -> Sequence[os.stat_result | None]:
    """Returns the status of each entry of a folder, None for a dead link."""
    if os.stat not in os.supports_dir_fd:
        return [_state(folder / name, None) for name in names]
    handle = os.open(folder, os.O_RDONLY)
    try:
        return [os.stat(name, dir_fd=handle) for name in names]
    except OSError:
        return [_state(name, handle) for name in names]
    finally:
        os.close(handle)


def _state(place: str | Path, handle: int | None) -> os.stat_result | None:
    try:
        return os.stat(place, dir_fd=handle)
    except OSError:
        return None


def _scan(root: Path, folders: Mapping[str, _Folder]) -> Scan:
    """Returns the pictures and all else in the order of a walk: what is in a folder follows its name at once."""
    scan, digest = Scan(), blake2b(digest_size=16)

    def add(folder: _Folder) -> None:
        for name, kind, size, changed in folder.entries():
            path = folder.path + name
            if why := leaving.hidden(name):
                scan.left_out.append(LeftOut(path=as_text(path), cause=why[0], reason=why[1]))
            elif kind == stat.S_IFDIR and not folders[f"{path}/"].above:
                scan.left_out.append(LeftOut(path=as_text(path), cause="copy", reason="a link to a folder around it"))
            elif kind == stat.S_IFDIR:
                scan.folders.append(path)
                add(folders[f"{path}/"])
            elif bad := _no_picture(root / path, as_text(path), kind):
                scan.left_out.append(bad)
            else:
                scan.names.append(os.fsencode(path))
                digest.update(os.fsencode(f"{path} {size} {changed}\n"))

    add(folders[""])
    scan.fingerprint = digest.hexdigest()
    return scan


def _no_picture(place: Path, path: str, kind: int) -> LeftOut | None:
    if not kind:
        return LeftOut(path=path, cause="link", reason=_dead(place))
    if kind != stat.S_IFREG:
        return leaving.special(path, kind)
    return leaving.no_picture(path, partial(_beginning, place))


def _dead(link: Path) -> str:
    try:
        return f"a dead link to {as_text(str(link.readlink()))}"
    except OSError as error:
        return f"cannot be found ({error.strerror})"


def _beginning(path: Path, offset: int = 0) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(leaving.BEGINNING)
    except OSError:
        return b""


def scan_tar(path: Path) -> Tree:
    """Reads the names in an uncompressed tar file; raises DataError as `tar_members` does."""
    spans = Spans(path)
    tree = Tree(spans.names, fingerprint=stamp(path), fetch=spans.fetch)
    hidden: set[str] = set()
    for member in tar_members(path):
        name = posixpath.normpath(member.name)
        if (bad := hidden_in_archive(name)) and bad.path not in hidden:
            tree.left_out.append(bad)
            hidden.add(bad.path)
        elif bad:
            continue
        elif member.isdir():
            tree.folders += [name] if name != "." else []
        elif member.issym() or member.islnk():
            reason = f"a link to {as_text(member.linkname)}, which is not followed in an archive"
            tree.left_out.append(LeftOut(path=as_text(name), cause="link", reason=reason))
        elif not member.isreg() or member.issparse():
            tree.left_out.append(leaving.special(as_text(name), 0))
        elif bad := leaving.no_picture(as_text(name), partial(_beginning, path, member.offset_data)):
            tree.left_out.append(bad)
        else:
            spans.append(name, member)
    return tree


def hidden_in_archive(name: str) -> LeftOut | None:
    """Returns the highest folder around a member, or the member itself, that is hidden."""
    parts = name.split("/")
    for end in range(1, len(parts) + 1 if name != "." else 0):
        if why := leaving.hidden(parts[end - 1]):
            return LeftOut(path=as_text("/".join(parts[:end])), cause=why[0], reason=why[1])
    return None


def as_text(path: str) -> str:
    """Returns a path as valid UTF-8, with U+FFFD for each byte that is none."""
    return os.fsencode(path).decode("utf-8", "replace")
