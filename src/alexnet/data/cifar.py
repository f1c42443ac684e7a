"""CIFAR-10 and CIFAR-100 from their official python archives.

Source: https://www.cs.toronto.edu/~kriz/cifar.html. The archives hold pickles; an unpickler that knows
nothing but numpy arrays reads them, so that a forged archive cannot run code.
"""

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.data.listing import Listing, Names, Source, stamp
from alexnet.errors import DataError

ARCHIVES = ("cifar-10-python.tar.gz", "cifar-100-python.tar.gz")

LAYOUTS = {  # file of names -> key of the names, key of the labels, files of each split
    "batches.meta": (b"label_names", b"labels", [f"data_batch_{k}" for k in range(1, 6)], ["test_batch"]),
    "meta": (b"fine_label_names", b"fine_labels", ["train"], ["test"]),
}

LICENCE = "no licence stated; A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009)"

_ALLOWED: dict[str, Any] = {
    "_reconstruct": np.empty(0).__reduce__()[0],
    "ndarray": np.ndarray,
    "dtype": np.dtype,
    "encode": lambda text, _: text.encode("latin1"),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] in ("numpy", "_codecs") and name in _ALLOWED:
            return _ALLOWED[name]
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into it")


def find(path: Path) -> Path | None:
    """Gives the archive or the unpacked folder that `path` is or holds."""
    if path.is_file():
        return path if path.name in ARCHIVES else None
    for meta, (_, _, train, _) in LAYOUTS.items():
        if (path / meta).is_file() and (path / train[0]).is_file():
            return path
    archives = [path / name for name in ARCHIVES if (path / name).is_file()]
    return archives[0] if len(archives) == 1 else None


def open_cifar(path: Path) -> Source:
    """Gives CIFAR-10 or CIFAR-100 with its "train" and "test"; pictures are read as lossless PNG.

    Args:
        path: The archive, or the folder that it unpacks to. Its pixels are held in memory (184 MB).

    Raises:
        DataError: A file is missing or damaged, or is not what its name says.
    """
    open_file = _folder_reader(path) if path.is_dir() else _archive_reader(path)
    meta = "batches.meta" if open_file("batches.meta") else "meta"
    names_key, labels_key, train, test = LAYOUTS[meta]
    names = _unpickle(path, meta, open_file).get(names_key, [])
    classes = tuple(name.decode() for name in names if isinstance(name, bytes))
    if not 2 <= len(set(classes)) == len(names):
        raise DataError(f"{path}: {meta} does not name the classes: fetch it again")
    splits = {
        split: _listing([(file, _batch(path, file, open_file, labels_key, len(classes))) for file in files])
        for split, files in (("train", train), ("test", test))
    }
    return Source(
        name="cifar-10" if meta == "batches.meta" else "cifar-100",
        kind="cifar",
        classes=classes,
        splits=splits,
        fingerprint="".join(map(stamp, [path] if path.is_file() else [path / file for file in train + test])),
        path=path.resolve(),
        licence=LICENCE,
    )


Reader = Callable[[str], bytes | None]


def _folder_reader(folder: Path) -> Reader:
    return lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None


def _archive_reader(path: Path) -> Reader:
    try:
        with tarfile.open(path) as tar:
            files = {Path(m.name).name: tar.extractfile(m).read() for m in tar if m.isreg()}  # type: ignore[union-attr]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{path} is damaged ({error}): fetch it again") from error
    return files.get


def _unpickle(path: Path, name: str, open_file: Reader) -> dict[bytes, Any]:
    data = open_file(name)
    if data is None:
        raise DataError(f"{path} has no file {name}: fetch it again")
    try:
        content = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a pickle may fail in any way
        raise DataError(f"{path}: {name} is damaged or no CIFAR file ({error}): fetch it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: {name} is no CIFAR file: fetch it again")
    return content


Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def _batch(path: Path, name: str, open_file: Reader, labels_key: bytes, classes: int) -> Batch:
    """Gives pixels uint8 (N, 32, 32, 3) and labels int64 (N,)."""
    content = _unpickle(path, name, open_file)
    try:
        labels = np.array(content[labels_key], dtype=np.int64)
        pixels = np.asarray(content[b"data"]).reshape(len(labels), 3, 32, 32).transpose(0, 2, 3, 1)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{path}: {name} is damaged ({error}): fetch it again") from error
    if pixels.dtype != np.uint8 or labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
        raise DataError(f"{path}: {name} has labels or pixels out of range: fetch it again")
    return pixels, labels


def _listing(batches: list[tuple[str, Batch]]) -> Listing:
    names = Names()
    for name, (_, labels) in batches:
        for i in range(len(labels)):
            names.append(f"{name}/{i:05d}.png".encode())
    pixels = np.concatenate([batch[0] for _, batch in batches])
    labels = np.concatenate([batch[1] for _, batch in batches])
    return Listing(labels, np.arange(len(labels)), names, lambda row: _png(pixels[row]))


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
