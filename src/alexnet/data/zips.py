"""Pictures in a zip file, which are read without unpacking it.

`zipfile` reads the directory at the file's end once; what it takes to find a picture is then kept in arrays.
"""

import os
import posixpath
import stat
import struct
import zipfile
import zlib
from array import array
from functools import partial
from pathlib import Path

import numpy as np

from alexnet.data import leaving
from alexnet.data.listing import Names, stamp
from alexnet.data.scan import LONGEST_NAME, Tree, as_text, hidden_in_archive
from alexnet.errors import DataError
from alexnet.records import LeftOut

ERRORS = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, OverflowError, RuntimeError, struct.error)
"""What `zipfile` raises on damaged archives, and on forged ones."""

LARGEST = 1 << 29  # bytes of a picture, unpacked
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNREAD = "packed in a way that is not read: pack it as ordinary zip"
_SIGNATURE = b"PK\3\4"
_HEADER = struct.Struct("<26xHH")  # of a member: the lengths of its name and of what is added to it


class Members:
    """Pictures inside a zip file, each by the place of its header, its packed and unpacked length and its checksum."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self.names = Names()
        self._facts = array("Q")

    def append(self, name: str, member: zipfile.ZipInfo) -> None:
        """Adds a picture."""
        self.names.append(os.fsencode(name))
        self._facts.extend(
            (member.header_offset, member.compress_size, member.file_size, member.CRC, member.compress_type)
        )

    def fetch(self, row: int) -> bytes:
        """Returns the bytes of a picture, or raises OSError where the archive cannot be read or is damaged."""
        offset, packed, length, checksum, is_deflated = self._facts[5 * row : 5 * row + 5]
        with self._archive.open("rb") as file:  # anew for each call: threads have no position in common
            file.seek(offset)
            header = file.read(_HEADER.size)
            if len(header) == _HEADER.size and header.startswith(_SIGNATURE):
                file.seek(sum(_HEADER.unpack(header)), os.SEEK_CUR)
            data = file.read(packed)
        if is_deflated:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, length + 1)
            except zlib.error as error:
                raise OSError(f"{self._archive} is damaged at byte {offset}") from error
        if len(data) != length or zlib.crc32(data) != checksum:
            raise OSError(f"{self._archive} is damaged at byte {offset}")
        return data


def is_zip(path: Path) -> bool:
    """Returns whether a file begins like a zip file; its end is looked at when it is read."""
    with path.open("rb") as file:
        return file.read(4) in (_SIGNATURE, b"PK\5\6")


def scan_zip(path: Path) -> Tree:
    """Reads the names in a zip file.

    Raises:
        DataError: The file is no zip file, is damaged, encrypted or forged.
    """
    members = Members(path)
    tree = Tree(members.names, fingerprint=stamp(path), fetch=members.fetch)
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
            _refuse_forged(path, listed)
            for member in listed:
                name = posixpath.normpath(member.filename.replace("\\", "/"))
                if bad := hidden_in_archive(name):
                    tree.left_out += [bad] if bad not in tree.left_out[-1:] else []
                elif member.filename.endswith("/"):  # `is_dir` fails where there is no name
                    tree.folders.append(name)
                elif bad := _no_picture(archive, member, name):
                    tree.left_out.append(bad)
                else:
                    members.append(name, member)
    except ERRORS as error:
        raise DataError(f"{path} is damaged or no zip file ({error}): fetch it again") from error
    return tree


def _no_picture(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> LeftOut | None:
    """Returns why a member is no picture that can be read."""
    path, mode = as_text(name), member.external_attr >> 16
    if stat.S_ISLNK(mode):
        return LeftOut(path=path, cause="link", reason="a link, which is not followed in an archive")
    if member.file_size > LARGEST or len(os.fsencode(name)) > LONGEST_NAME:
        reason = f"{member.file_size:,} bytes unpacked, or a name longer than any picture has"
        return LeftOut(path=path[:LONGEST_NAME], cause="special", reason=reason)
    if member.compress_type not in METHODS:
        return LeftOut(path=path, cause="special", reason=UNREAD)
    return leaving.no_picture(path, partial(_beginning, archive, member))


def _beginning(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read(leaving.BEGINNING)


def _refuse_forged(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raises where members are encrypted, overlap or reach beyond the file, as in archives made to fill a disk."""
    if any(member.flag_bits & 1 for member in members):
        raise DataError(f"{path} is encrypted: unpack it with its password, and give the folder")
    starts = np.array([member.header_offset for member in members], dtype=np.int64)
    lengths = np.array([member.compress_size for member in members], dtype=np.int64)
    order = np.argsort(starts, kind="stable")
    if (lengths[order] > np.diff(starts[order], append=path.stat().st_size)).any():  # a sum could be too large a number
        raise DataError(f"{path} has members that overlap or reach beyond its end: fetch it again")
