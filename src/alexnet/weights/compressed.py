"""Compressed weight files: `sparse` with a network around it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray

from alexnet import records
from alexnet.errors import CheckpointError
from alexnet.files import write
from alexnet.models.network import Network
from alexnet.records import Header
from alexnet.weights import checkpoint, evidence, sparse
from alexnet.weights.checkpoint import MEAN, Checkpoint
from alexnet.weights.sparse import Floats, Symbols

SUFFIX = ".compressed"
NAME = f"model{SUFFIX}"


def is_compressed(path: Path) -> bool:
    """Returns whether a file begins as a compressed one."""
    with path.open("rb") as file:
        return file.read(len(sparse.MAGIC)) == sparse.MAGIC


def save(path: Path, model: Network, mean: NDArray[np.float32], header: Header) -> None:
    """Writes a compressed file, whole or not at all; see `checkpoint.save`.

    The mean image is rounded down to whole numbers.

    Raises:
        DataError: The disk is full.
        ValueError: A weight tensor has more than 256 different values besides zero.
    """
    weights = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in model.state_dict().items()}
    tensors = {name: array + np.float32(0) for name, array in weights.items()}  # -0 would be a value besides zero
    image = mean.astype(np.uint8)
    probe = evidence.record(model.eval(), image.astype(np.float32), header.preprocessing.divide_pixels_by)
    crc32 = _checksum({**tensors, MEAN: image})
    header = structs.replace(header, network=asdict(model.design), probe=probe, crc32=crc32)
    write(path, sparse.pack(msgspec.to_builtins(header), tensors, image))


def read_header(path: Path) -> Header:
    """Returns the header of a compressed file; see `load` for the errors."""
    return _read(path)[2]


def load(path: Path) -> Checkpoint:
    """Reads a compressed file and rebuilds its network.

    Raises:
        CheckpointError: The file is missing, damaged or not compressed, or its parts are another network's.
    """
    data, listing, header = _read(path)
    model = checkpoint.blank(header, path)
    try:
        size = header.preprocessing.stored_size or 0
        expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} | {MEAN: (size, size, 3)}
        parts = sparse.read_parts(listing)
        listed = {part.name: part.shape for part in parts}
        if listed != expected or len(listed) != len(parts):
            wrong = next((name for name in expected if expected[name] != listed.get(name)), "another part")
            raise ValueError(f"{wrong} is not as a {model.variant} has it")
        arrays = sparse.unpack(data, parts)
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}; restore it from a copy") from error
    if header.crc32 != _checksum(arrays):
        raise CheckpointError(f"{path} is damaged: its tensors do not match its checksum; restore it from a copy")
    mean = arrays.pop(MEAN).astype(np.float32)
    checkpoint.fill(model, {name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    evidence.compare(model.eval(), mean, header, path)
    return Checkpoint(model, mean, {}, header)


def _read(path: Path) -> tuple[bytes, dict[str, object], Header]:
    if not path.is_file():
        raise CheckpointError(f"no weight file {path}")
    data = path.read_bytes()
    try:
        listing = sparse.read_header(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no whole compressed file: {error}") from error
    return data, listing, records.read(Header, listing, path, CheckpointError, "restore it from a copy")


def _checksum(arrays: Mapping[str, Floats | Symbols]) -> int:
    return checkpoint.checksum({name: torch.from_numpy(array) for name, array in arrays.items()})
