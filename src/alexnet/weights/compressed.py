"""Compressed weight files: `sparse` with a network around it."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet.errors import CheckpointError, UsageError
from alexnet.files import write
from alexnet.models.alexnet import AlexNet
from alexnet.models.network import Network
from alexnet.weights import checkpoint, sparse
from alexnet.weights.checkpoint import MEAN, Checkpoint

SUFFIX = ".compressed"
NAME = f"model{SUFFIX}"


def is_compressed(path: Path) -> bool:
    """Says whether a file begins as a compressed one."""
    with path.open("rb") as file:
        return file.read(len(sparse.MAGIC)) == sparse.MAGIC


def save(path: Path, model: Network, mean: NDArray[np.float32], header: dict[str, Any]) -> None:
    """Writes a compressed file, whole or not at all.

    Args:
        path: Where to.
        model: Its weights have at most 256 different values a tensor besides zero.
        mean: (S, S, 3) mean image, 0..255, whole numbers.
        header: JSON values to keep: classes, preprocessing, ...

    Raises:
        DataError: The disk is full.
        ValueError: A tensor has more values.
    """
    weights = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in model.state_dict().items()}
    tensors = {name: array + np.float32(0) for name, array in weights.items()}  # -0 becomes 0
    image = mean.astype(np.uint8)
    crc32 = _checksum({**tensors, MEAN: image})
    header = {**header, "network": checkpoint.network(model), "crc32": crc32}
    write(path, sparse.pack(header, tensors, image))


def read_header(path: Path) -> dict[str, Any]:
    """Gives what a compressed file says of itself.

    Raises:
        CheckpointError: It is missing or damaged, or no compressed file.
    """
    return _read(path)[1]


def load(path: Path) -> Checkpoint:
    """Reads a compressed file and rebuilds its network.

    Raises:
        CheckpointError: The file is missing, damaged, of another program, or of another network.
    """
    data, header = _read(path)
    try:
        settings = dict(header["network"])
        with torch.device("meta"):  # shapes alone: nothing is allocated before they are those of the file
            model = AlexNet(settings.pop("variant"), classes=len(header["classes"]), initialisation="none", **settings)
    except (UsageError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} holds a network that this version cannot build: {error}") from error
    parts = header["parts"]
    try:
        size = header["preprocessing"]["stored_size"]
        expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()} | {MEAN: [size, size, 3]}
        found = {part["name"]: part["shape"] for part in parts}
        if found != expected or len(found) != len(parts):
            wrong = next((name for name in expected if expected[name] != found.get(name)), "another part")
            raise ValueError(f"{wrong} is not as a {model.variant} has it")
        arrays = sparse.unpack(data, parts)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; restore it from a copy") from error
    if header["crc32"] != _checksum(arrays):
        raise CheckpointError(f"{path} is damaged: its tensors do not match its checksum; restore it from a copy")
    mean = arrays.pop(MEAN).astype(np.float32)
    model = model.to_empty(device="cpu")
    checkpoint.fill(model, {name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    return Checkpoint(model.eval(), mean, {}, header)


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    if not path.is_file():
        raise CheckpointError(f"no weight file {path}")
    data = path.read_bytes()
    try:
        header = sparse.read_header(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no whole compressed file: {error}") from error
    if not header.keys() >= {"network", "classes", "preprocessing", "crc32"}:
        raise CheckpointError(f"{path} was not written by alexnet: it lacks classes, network or checksum")
    return data, header


def _checksum(arrays: dict[str, NDArray[Any]]) -> int:
    """Gives the CRC-32 of the arrays' bytes, in the order of their names."""
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].reshape(-1).view(np.uint8), crc)  # type: ignore[arg-type]
    return crc
