"""From another program's weights to a run folder like any other.

The file is known by its contents, not by its name, and read where it lies, as a memory map: `read` gives one
`Imported`, whichever the dialect, and `convert` settles what is open (mean, classes, dropout's factor) and writes.
"""

import hashlib
import json
import mmap
import platform
import re
import struct
import tempfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet import __version__
from alexnet.data.imagenet import WORDNET, read_classes
from alexnet.errors import CheckpointError, UsageError
from alexnet.files import plain_errors, write
from alexnet.foreign import caffe, convnet, torchvision
from alexnet.foreign.imported import MAX_BYTES, Imported
from alexnet.foreign.mean import read_mean
from alexnet.models.create import create
from alexnet.models.network import Network
from alexnet.models.variants import stored_size, variant
from alexnet.weights import checkpoint, evidence, manifest

KNOWN = "a .caffemodel of Caffe, a .pth or .safetensors of torchvision, or a checkpoint of cuda-convnet"

_MAX_DIRECTORY = 1 << 20
_CAFFE_STARTS = (b"\x0a", b"\x12", b"\x1a", b"\xa2\x06")
"""The keys of a NetParameter's name, layers (V1), input and layer (V2)."""

_ARCHIVE_FAULTS = (BadZipFile, OSError, EOFError, ValueError, RuntimeError, struct.error, zlib.error)
"""What zipfile raises over a damaged archive."""


@dataclass(frozen=True)
class Wanted:
    """What a file cannot say and its user can.

    Attributes:
        mean: File of the mean image; see `mean.read_mean`.
        classes: `imagenet-devkit`, `imagenet-wordnet` or a file; see `imagenet.read_classes`.
        variant: Row of `VARIANTS`.
    """

    mean: Path | None = None
    classes: str | None = None
    variant: str | None = None


def convert(source: Path, run: Path, wanted: Wanted = Wanted()) -> dict[str, Any]:
    """Writes a run folder with the network of another program.

    Args:
        source: Its weights; a folder of cuda-convnet's checkpoints stands for the newest.
        run: Folder to make; new or empty.
        wanted: What the file cannot say.

    Returns:
        The contents of the run's `config.json`; under `converted`, what was mapped, translated and not known.

    Raises:
        CheckpointError: The file is damaged, hostile, or no AlexNet.
        UsageError: There is no such file, the folder holds something, or an option is missing or does not fit.
        DataError: The disk is full.
    """
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise UsageError(f"{run} exists already; give a new folder")
    path = _newest(source) if source.is_dir() else source
    model, mean, description = _build(path, wanted)
    with plain_errors(run):
        run.mkdir(parents=True, exist_ok=True)
    weights = run / "model.safetensors"
    with manifest.renewed(weights):
        checkpoint.save(weights, model, mean, description)
    write(run / "config.json", json.dumps(description, indent=1) + "\n")
    return description


def read(path: Path, asked: str | None = None) -> Imported:
    """Reads weights of any dialect.

    Args:
        path: The file.
        asked: The variant that the user says it is.

    Raises:
        CheckpointError: It is damaged, hostile, or no AlexNet.
        UsageError: There is no such file, or it does not tell its variant.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}; give {KNOWN}")
    size = path.stat().st_size
    if not 16 <= size <= MAX_BYTES:
        raise CheckpointError(f"{path} has {size:,} bytes; weights have 16 to {MAX_BYTES:,}")
    with path.open("rb") as file:
        data = _map(file)
    name, head = str(path), bytes(data[:16])
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(path, data, asked)
    if head[8:10] == b'{"':
        return torchvision.read(name, torchvision.read_safetensors(name, path), asked)
    if head.startswith(torchvision.MAGIC):
        return torchvision.read(name, torchvision.read_older(name, data), asked)
    if head.startswith(b"\x80"):
        return convnet.read(name, data, asked)
    if head.startswith(_CAFFE_STARTS):
        return caffe.read(name, data, asked)
    raise CheckpointError(f"{path} starts with {head[:8]!r}; expected {KNOWN}")


def _map(file: IO[bytes]) -> memoryview:
    """Gives a file's bytes without reading them; private, so that arrays over them may call themselves writable."""
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))


def _read_zip(path: Path, data: memoryview, asked: str | None) -> Imported:
    """Reads a zip archive: torch's, or cuda-convnet's with its one compressed member."""
    name = str(path)
    try:
        _check_directory(data)
        with ZipFile(path) as archive:
            members = archive.infolist()
            names = {member.filename for member in members}
            if any(each.endswith("/data.pkl") for each in names):
                return torchvision.read(name, torchvision.read_zip(name, data, members), asked)
            if names == {"data"}:
                with tempfile.TemporaryFile() as file:
                    _unpack(archive, members[0], file)
                    unpacked = _map(file)
                return convnet.read(name, unpacked, asked)
    except _ARCHIVE_FAULTS as error:
        raise CheckpointError(f"{path} is no zip archive that can be read: {error}") from error
    shown = ", ".join(sorted(names)[:3])
    raise CheckpointError(f"{path} is a zip archive of {shown}; expected {KNOWN}")


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
    """Unpacks a member, at most `MAX_BYTES` of it whatever it says of its size."""
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise BadZipFile(f"{member.filename} is compressed by method {member.compress_type}")
    if member.file_size > MAX_BYTES:
        raise BadZipFile(f"{member.filename} unpacks to {member.file_size:,} bytes; weights have at most {MAX_BYTES:,}")
    with archive.open(member) as packed:
        done = 0
        while part := packed.read(1 << 20):
            done += len(part)
            if done > member.file_size:
                raise BadZipFile(f"{member.filename} is longer than it says")
            file.write(part)
    if done < 16:
        raise BadZipFile(f"{member.filename} is empty")
    file.flush()


def _newest(folder: Path) -> Path:
    """Gives the newest of cuda-convnet's checkpoints, which are named EPOCH.BATCH."""
    found = [path for path in folder.iterdir() if path.is_file() and re.fullmatch(r"\d{1,9}\.\d{1,9}", path.name)]
    if not found:
        raise UsageError(f"{folder} holds no checkpoints of cuda-convnet (named EPOCH.BATCH); give {KNOWN}")
    return max(found, key=lambda path: tuple(map(int, path.name.split("."))))


def _build(path: Path, wanted: Wanted) -> tuple[Network, NDArray[np.float32], dict[str, Any]]:
    """Gives the network, its mean image and its description."""
    found = read(path, wanted.variant)
    own = variant(found.variant)
    said, unknown = list(found.translated), list(found.unknown)
    tensors = dict(found.tensors)
    rate = 0.5 if found.dropout is None else found.dropout
    if found.rescale_dropout != own.rescale_dropout:
        factor = 1 / (1 - rate) if found.rescale_dropout else 1 - rate
        for layer in ("fc7", "fc8"):
            tensors[f"{layer}.weight"] = tensors[f"{layer}.weight"] * factor
        said.append(
            f"dropout: weights of fc7 and fc8 are multiplied by {factor:g}, since the file's network "
            f"{'divides in training' if found.rescale_dropout else 'multiplies at test time'}, unlike {found.variant}"
        )
    classes = _classes(found, wanted, len(tensors["fc8.weight"]), unknown)
    with torch.device("meta"):  # it takes the tensors as they are: most lie in the file
        model = create(
            found.variant, classes=len(classes), input_size=found.input_size, dropout=rate, initialisation="none"
        )
    tensors = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    checkpoint.check(model, tensors, path)
    model.load_state_dict(tensors, assign=True)
    evidence.refuse_untrained(model, path)
    mean = _mean(found, wanted, model, unknown)
    return model.eval(), mean, _describe(path, found, model, classes, mean, said, unknown)


def _classes(found: Imported, wanted: Wanted, count: int, unknown: list[str]) -> tuple[str, ...]:
    if wanted.classes is not None:
        return read_classes(wanted.classes, count)
    if count == 1000:
        order = "sorted by WordNet id" if found.class_order == WORDNET else "by the development kit's number"
        unknown.append(f"its classes: 1,000 outputs were taken for ImageNet's {order}; --classes says otherwise")
        return read_classes(found.class_order, count)
    unknown.append(f"its classes: the {count:,} outputs are only numbered; name them with --classes FILE")
    return tuple(f"output-{i:04d}" for i in range(count))


def _mean(found: Imported, wanted: Wanted, model: Network, unknown: list[str]) -> NDArray[np.float32]:
    """Gives the mean image, (S, S, 3) with S the side of stored pictures."""
    mean = found.mean if wanted.mean is None else read_mean(wanted.mean, found.dialect.startswith("Caffe"))
    if mean is None:
        mean = np.array(convnet.COLOUR if found.dialect == "cuda-convnet" else caffe.ILSVRC_COLOUR, np.float32)
        colour = ", ".join(f"{value:.2f}" for value in mean)
        unknown.append(f"its mean image: ImageNet's mean colour, {colour}, was taken; give it with --mean FILE")
    if mean.ndim == 1:
        side = stored_size(model.variant, model.input_size)
        mean = np.ascontiguousarray(np.broadcast_to(mean, (side, side, 3)))
    if not model.input_size <= len(mean) <= checkpoint.LARGEST:
        raise UsageError(f"the mean image has {len(mean)} pixels a side, the network takes {model.input_size}")
    return mean


def _describe(
    path: Path,
    found: Imported,
    model: Network,
    classes: tuple[str, ...],
    mean: NDArray[np.float32],
    said: list[str],
    unknown: list[str],
) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "variant": model.variant,
        "input_size": model.input_size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "classes": list(classes),
        "preprocessing": {
            "stored_size": len(mean),
            "square": found.square,
            "mean": "one colour" if np.ptp(mean, (0, 1)).max() == 0 else "per pixel",
            "divide_pixels_by": found.divide_pixels_by,
        },
        "converted": {
            "dialect": found.dialect,
            "file": path.name,
            "sha256": digest,
            "layers": found.mapping,
            "translated": said,
            "not_known": unknown,
        },
        "versions": {"alexnet": __version__, "python": platform.python_version(), "torch": torch.__version__},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
