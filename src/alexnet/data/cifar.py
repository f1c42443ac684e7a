"""CIFAR-10 and CIFAR-100 from their official python archives.

Source: https://www.cs.toronto.edu/~kriz/cifar.html. The archives hold pickles, which `alexnet.pickles` reads, so that
a forged archive cannot run code.
"""

import io
import tarfile
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet import pickles
from alexnet.data.listing import TAR_ERRORS, Listing, Names, Source, read_to_end, stamp
from alexnet.errors import DataError

LAYOUTS = {  # file of names -> key of the names, key of the labels, files of each split
    "batches.meta": ("label_names", "labels", [f"data_batch_{k}" for k in range(1, 6)], ["test_batch"]),
    "meta": ("fine_label_names", "fine_labels", ["train"], ["test"]),
}
FILES = {name for meta, (_, _, train, test) in LAYOUTS.items() for name in (meta, *train, *test)}

LICENCE = "no licence stated; A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009)"

MAX_BYTES = 256 << 20  # of a file in the archive; the largest, the training split of CIFAR-100, has 155 MB

Files = dict[str, bytes]
Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]  # pixels (N, 32, 32, 3), labels (N,)


def find(path: Path) -> Path | None:
    """Returns the archive or the unpacked folder that `path` is or holds, else None."""
    if path.is_file():
        return path if _is_archive(path) else None
    for meta, (_, _, train, _) in LAYOUTS.items():
        if (path / meta).is_file() and (path / train[0]).is_file():
            return path
    files = [each for each in path.glob("cifar-*.tar*") if each.is_file()] if path.is_dir() else []
    archives = [each for each in files if _is_archive(each)]
    if len(archives) > 1:
        raise DataError(f"{path} holds {' and '.join(each.name for each in sorted(archives))}: give one of them")
    return archives[0] if archives else None


def _is_archive(path: Path) -> bool:
    """Returns whether the first members of an archive, compressed or not, are files of CIFAR, whatever its name is."""
    if path.name.startswith(("cifar-10-python", "cifar-100-python")):  # a damaged one too: reading it says how
        return True
    members: list[str] = []
    with suppress(*TAR_ERRORS), tarfile.open(path) as tar:
        members += (member.name for member in islice(tar, 3) if member.isreg())
    parts = [name.split("/") for name in members]
    if any(each[-1].startswith("data_batch_") and each[-1].endswith((".bin", ".mat")) for each in parts):
        raise DataError(f"{path} is CIFAR for other programs: fetch the version for Python")
    return any(each[-1] in FILES and (len(each) == 1 or each[-2].startswith("cifar-")) for each in parts)


def open_cifar(path: Path) -> Source:
    """Opens CIFAR-10 or CIFAR-100, from its archive or the folder that this unpacks to.

    The pixels are held in memory (184 MB), and pictures are read as lossless PNG. Errors are those of `open_source`.
    """
    files = _read_folder(path) if path.is_dir() else _read_archive(path)
    meta = "batches.meta" if files.get("batches.meta") else "meta"
    names_key, labels_key, train, test = LAYOUTS[meta]
    names = _unpickle(path, meta, files).get(names_key)
    classes = tuple(_text(name) for name in names if isinstance(name, str | bytes)) if isinstance(names, list) else ()
    if not isinstance(names, list) or not 2 <= len(set(classes)) == len(names):
        raise DataError(f"{path}: {meta} does not name the classes: fetch it again")
    splits = {
        split: _listing({name: _batch(path, name, files, labels_key, len(classes)) for name in batches})
        for split, batches in (("train", train), ("test", test))
    }
    return Source(
        name="cifar-10" if meta == "batches.meta" else "cifar-100",
        kind="cifar",
        classes=classes,
        splits=splits,
        fingerprint="".join(map(stamp, [path] if path.is_file() else [path / name for name in train + test])),
        path=path.resolve(),
        licence=LICENCE,
    )


def _read_folder(folder: Path) -> Files:
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def _read_archive(path: Path) -> Files:
    files = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.size > MAX_BYTES:
                    raise DataError(f"{path} holds {member.name} of {member.size:,} bytes: fetch it again")
                if member.isreg() and (name := Path(member.name).name) in FILES:
                    files[name] = tar.extractfile(member).read()  # type: ignore[union-attr]  # regular files only
            read_to_end(tar)
    except TAR_ERRORS as error:
        raise DataError(f"{path} is damaged ({error}): fetch it again") from error
    return files


def _unpickle(path: Path, name: str, files: Files) -> dict[str, object]:
    if name not in files:
        raise DataError(f"{path} has no file {name}: fetch it again")
    try:
        content, _ = pickles.read(memoryview(files[name]))
    except pickles.PickleError as error:
        raise DataError(f"{path}: {name} is damaged or no CIFAR file ({error}): fetch it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: {name} is no CIFAR file: fetch it again")
    return {_text(key): value for key, value in content.items() if isinstance(key, str | bytes)}


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("latin-1")


def _batch(path: Path, name: str, files: Files, labels_key: str, classes: int) -> Batch:
    content = _unpickle(path, name, files)
    labels, data = content.get(labels_key), content.get("data")
    if not isinstance(labels, list) or not all(isinstance(each, int) and 0 <= each < classes for each in labels):
        raise DataError(f"{path}: {name} has no labels of the classes: fetch it again")
    values = data.values if isinstance(data, pickles.Array) else None
    if values is None or values.dtype != np.uint8 or values.size != len(labels) * 3 * 32 * 32:
        raise DataError(f"{path}: {name} has no picture for each label: fetch it again")
    pixels = values.view(np.uint8).reshape(len(labels), 3, 32, 32)
    return pixels.transpose(0, 2, 3, 1), np.array(labels, dtype=np.int64)


def _listing(batches: dict[str, Batch]) -> Listing:
    names = Names(f"{name}/{i:05d}.png".encode() for name, (_, part) in batches.items() for i in range(len(part)))
    pixels, labels = map(np.concatenate, zip(*batches.values(), strict=True))
    return Listing(labels, np.arange(len(labels)), names, lambda row: _png(pixels[row]))


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
