"""How a tree is read: the names of all pictures in a folder, or in a tar file that is read without unpacking.

`folders.py` says which splits and classes the folders are.
"""

import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path

from alexnet.data import leaving
from alexnet.data.listing import TAR_ERRORS, Names, Spans, stamp
from alexnet.errors import DataError
from alexnet.records import LeftOut

LONGEST_NAME = 4096  # bytes in a tar file, as of a path; names are sorted in a column as wide as the longest


@dataclass
class Tree:
    """The paths in a folder or a tar file, before splits and classes are told apart."""

    fetch: Callable[[int], bytes]
    names: Names = field(default_factory=Names)
    folders: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)  # all that is hidden or no picture
    fingerprint: str = ""


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


def scan_folder(root: Path) -> Tree:
    """Reads the names in a folder and its subfolders, linked ones too; raises DataError where one cannot be read."""
    tree = Tree(fetch=lambda row: Path(root, os.fsdecode(tree.names[row])).read_bytes())
    digest = blake2b(digest_size=16)
    for path, status in _walk(root, "", frozenset()):
        mode = status.st_mode if status else 0
        if why := leaving.hidden(path):
            tree.left_out.append(LeftOut(path=as_text(path), cause=why[0], reason=why[1]))
        elif status is None:
            tree.left_out.append(LeftOut(path=as_text(path), cause="link", reason=_dead(root / path)))
        elif stat.S_ISDIR(mode):
            tree.folders.append(path)
        elif not stat.S_ISREG(mode):
            tree.left_out.append(leaving.special(as_text(path), mode))
        elif bad := leaving.no_picture(as_text(path), partial(_beginning, root / path)):
            tree.left_out.append(bad)
        else:
            tree.names.append(os.fsencode(path))
            digest.update(os.fsencode(f"{path} {status.st_size} {status.st_mtime_ns}\n"))
    tree.fingerprint = digest.hexdigest()
    return tree


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


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yields the path below the root and the status of everything, sorted by folder; a dead link has no status."""
    try:
        own = folder.stat()
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}): change its permissions") from error
    here = (own.st_dev, own.st_ino)
    for entry in ordered if here not in above else []:  # a link back to a folder above counts as an empty folder
        path, status = prefix + entry.name, None
        with suppress(OSError):
            status = entry.stat()
        yield path, status
        if status and stat.S_ISDIR(status.st_mode) and not leaving.hidden(path):
            yield from _walk(Path(entry.path), f"{path}/", above | {here})


def scan_tar(path: Path) -> Tree:
    """Reads the names in an uncompressed tar file; raises DataError as `tar_members` does."""
    spans = Spans(path)
    tree = Tree(spans.fetch, spans.names, fingerprint=stamp(path))
    hidden: set[str] = set()
    for member in tar_members(path):
        name = posixpath.normpath(member.name)
        if (bad := _hidden_in_archive(name)) and bad.path not in hidden:
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


def _hidden_in_archive(name: str) -> LeftOut | None:
    """Returns the highest folder around a member, or the member itself, that is hidden."""
    parts = name.split("/")
    for end in range(1, len(parts) + 1 if name != "." else 0):
        if why := leaving.hidden(parts[end - 1]):
            return LeftOut(path=as_text("/".join(parts[:end])), cause=why[0], reason=why[1])
    return None


def as_text(path: str) -> str:
    """Returns a path as valid UTF-8, with U+FFFD for each byte that is none."""
    return os.fsencode(path).decode("utf-8", "replace")
