"""Reads weights and mean images of any dialect: a file is recognised by its contents, not by its name."""

import mmap
import struct
import tempfile
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from alexnet.data.zips import ERRORS
from alexnet.errors import CheckpointError, UsageError
from alexnet.foreign import caffe, convnet, torchvision
from alexnet.foreign.imported import Imported

EXPECTED = "a .caffemodel of Caffe, a .pth or .safetensors of torchvision, or a checkpoint of cuda-convnet"

MAX_BYTES = 2 << 30  # larger files are refused unread: eight times an AlexNet of 1,000 classes
_HEAD = 16  # bytes by which a file is recognised, and the fewest that one has
_MAX_DIRECTORY = 1 << 20  # bytes of an archive's list of members
_MAX_MEAN = 64 << 20  # bytes of a file with a mean image

# The keys of a NetParameter's name, layers (V1), input and layer (V2).
_CAFFE_STARTS = (b"\x0a", b"\x12", b"\x1a", b"\xa2\x06")


def read(path: Path, variant: str | None = None) -> Imported:
    """Reads weights where they lie; the user names the variant if the file does not tell it.

    Raises:
        CheckpointError: The file is damaged, hostile, or no AlexNet.
        UsageError: The file does not exist, or does not tell its variant.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}; give {EXPECTED}")
    size = path.stat().st_size
    if not _HEAD <= size <= MAX_BYTES:
        raise CheckpointError(f"{path} has {size:,} bytes; weights have {_HEAD} to {MAX_BYTES:,}")
    with path.open("rb") as file:
        data = _map(file)
    name, head = str(path), bytes(data[:_HEAD])
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path, data, variant)
    if head[8:10] == b'{"':
        return torchvision.read(name, torchvision.read_safetensors(name, path), variant)
    if head.startswith(torchvision.MAGIC):
        return torchvision.read(name, torchvision.read_older(name, data), variant)
    if head.startswith(b"\x80"):
        return convnet.read(name, data, variant)
    if head.startswith(_CAFFE_STARTS):
        return caffe.read(name, data, variant)
    raise CheckpointError(f"{path} starts with {head[:8]!r}; expected {EXPECTED}")


def read_mean(path: Path, is_bgr: bool) -> NDArray[np.float32]:
    """Reads a mean, RGB (S, S, 3) or (3,), 0..255: Caffe's `.binaryproto`, cuda-convnet's `batches.meta`, or a `.npy`.

    The channels of a `.npy` are blue, green, red, as pycaffe has them, where `is_bgr` is true.

    Raises:
        UsageError: The file does not exist, or is too large.
        CheckpointError: The file is damaged or holds something else.
    """
    if not path.is_file():
        raise UsageError(f"no mean image {path}; it is a .binaryproto, a .npy or a batches.meta")
    if path.stat().st_size > _MAX_MEAN:
        raise UsageError(f"{path} has {path.stat().st_size:,} bytes, too many for a mean image")
    data = path.read_bytes()
    if data.startswith(b"\x93NUMPY"):
        mean = caffe.to_rgb(str(path), _npy(path))
        mean = mean if is_bgr else np.ascontiguousarray(mean[..., ::-1])
    elif data.startswith(b"\x80"):
        mean = convnet.read_mean(str(path), memoryview(data))
    else:
        mean = caffe.read_mean(str(path), memoryview(data))
    if not np.isfinite(mean).all():
        raise CheckpointError(f"{path} holds values that are not finite")
    return mean


def _npy(path: Path) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, OverflowError) as error:
        raise CheckpointError(f"{path} is no array that can be read: {' '.join(str(error).split())[:200]}") from error
    if array.dtype.kind not in "fiu":
        raise CheckpointError(f"{path} holds {array.dtype}, expected numbers")
    return array


def _map(file: IO[bytes]) -> memoryview:
    """Returns a file's bytes without reading them, copied on writing so that arrays over them count as writable."""
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def _read_zip(path: Path, data: memoryview, variant: str | None) -> Imported:
    """Reads a zip archive: torch's, or cuda-convnet's with its one compressed member."""
    name = str(path)
    try:
        _check_directory(data)
        with ZipFile(path) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            if any(each.endswith("/data.pkl") for each in names):
                return torchvision.read(name, torchvision.read_zip(name, data, members), variant)
            if names == {"data"}:
                with tempfile.TemporaryFile() as file:
                    _unpack(archive, members[0], file)
                    unpacked = _map(file)
                return convnet.read(name, unpacked, variant)
    except ERRORS as error:
        raise CheckpointError(f"{path} is no zip archive that can be read: {error}") from error
    shown = ", ".join(sorted(names)[:3])
    raise CheckpointError(f"{path} is a zip archive of {shown}; expected {EXPECTED}")


def _check_directory(data: memoryview) -> None:
    """Refuses an archive with more members than weights have, before the list of them is read."""
    tail = bytes(data[-(1 << 16) - 22 :])
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise BadZipFile("it is truncated")
    (length,) = struct.unpack_from("<I", tail, end + 12)
    wide = tail.rfind(b"PK\x06\x06")
    if 0 <= wide <= len(tail) - 56:
        length = max(length, *struct.unpack_from("<Q", tail, wide + 40))
    if length > _MAX_DIRECTORY:
        raise BadZipFile(f"its list of members has {length:,} bytes")


def _unpack(archive: ZipFile, member: ZipInfo, file: IO[bytes]) -> None:
    """Unpacks a member, at most `MAX_BYTES` of it whatever size it states."""
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise BadZipFile(f"{member.filename} is compressed by method {member.compress_type}")
    if member.file_size > MAX_BYTES:
        raise BadZipFile(f"{member.filename} unpacks to {member.file_size:,} bytes; weights have at most {MAX_BYTES:,}")
    with archive.open(member) as packed:
        done = 0
        while part := packed.read(1 << 20):
            done += len(part)
            if done > member.file_size:
                raise BadZipFile(f"{member.filename} is longer than it states")
            file.write(part)
    if done < _HEAD:
        raise BadZipFile(f"{member.filename} is empty")
    file.flush()
