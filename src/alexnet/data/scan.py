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
from hashlib import blake2b
from pathlib import Path

from alexnet.data.listing import TAR_ERRORS, Names, Spans, stamp
from alexnet.errors import DataError

# The endings of picture names; every other file is ignored and listed. The decoder refuses the last four, so that each
# such picture is named and none is left out in silence.
PICTURES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
    | {".heic", ".heif", ".avif", ".jxl"}
)

LONGEST_NAME = 4096  # bytes in a tar file, as of a path; names are sorted in a column as wide as the longest
_HIDDEN = frozenset({"__MACOSX", "@eaDir"})


@dataclass
class Tree:
    """The paths in a folder or a tar file, before splits and classes are told apart."""

    fetch: Callable[[int], bytes]
    names: Names = field(default_factory=Names)
    folders: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)  # all that is hidden or no picture; a hidden folder counts once
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
        mode = status.st_mode if status and not _is_hidden(path) else 0
        if stat.S_ISDIR(mode):
            tree.folders.append(path)
        elif status and _is_picture(path) and stat.S_ISREG(mode):
            tree.names.append(os.fsencode(path))
            digest.update(os.fsencode(f"{path} {status.st_size} {status.st_mtime_ns}\n"))
        else:
            tree.ignored.append(as_text(path))
    tree.fingerprint = digest.hexdigest()
    return tree


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
        if status and stat.S_ISDIR(status.st_mode) and not _is_hidden(path):
            yield from _walk(Path(entry.path), f"{path}/", above | {here})


def scan_tar(path: Path) -> Tree:
    """Reads the names in an uncompressed tar file; raises DataError as `tar_members` does."""
    spans = Spans(path)
    tree = Tree(spans.fetch, spans.names, fingerprint=stamp(path))
    for member in tar_members(path):
        name = posixpath.normpath(member.name)
        if member.isdir():
            tree.folders += [name] if name != "." and not _is_hidden(name) else []
        elif _is_picture(name) and not _is_hidden(name) and member.isreg() and not member.issparse():
            spans.append(name, member)
        else:
            tree.ignored.append(as_text(name))
    return tree


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") or part in _HIDDEN for part in path.split("/"))


def _is_picture(path: str) -> bool:
    return posixpath.splitext(path)[1].lower() in PICTURES


def as_text(path: str) -> str:
    """Returns a path as valid UTF-8, with U+FFFD for each byte that is none."""
    return os.fsencode(path).decode("utf-8", "replace")
