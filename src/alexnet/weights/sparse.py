"""Few weights with few values, in few bytes: the compressed format, in numpy alone (docs/compressed-format.md).

8 bytes          b"ALEXNETC"
4 bytes          length of the header, little-endian
header           a JSON object; `parts` lists what follows
parts            one after the other, each coded as its entry says
"""

import json
import zlib
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.weights import huffman

MAGIC = b"ALEXNETC"
VALUES = 256
"""A shared tensor has at most so many different values besides zero."""

SKIP = 255
"""The gap symbol that passes SKIP zeros and no weight; any smaller one passes as many zeros and then a weight."""

LARGEST = 1 << 28
"""Elements of all parts together: 1 GiB as float32."""

Floats = NDArray[np.float32]


def pack(header: dict[str, Any], tensors: dict[str, Floats], image: NDArray[np.uint8]) -> bytes:
    """Codes tensors and a picture.

    Args:
        header: JSON values to keep.
        tensors: Name -> values; a tensor of two dimensions or more has at most `VALUES` different ones besides zero.
        image: (S, S, 3).

    Raises:
        ValueError: A tensor has more values.
    """
    parts, content = [], []
    for name, tensor in tensors.items():
        facts, data = _shared(tensor) if tensor.ndim > 1 else ({"coding": "float32"}, _bytes(tensor, "<f4"))
        parts.append({"name": name, "shape": list(tensor.shape), **facts})
        content.append(data)
    rows = zlib.compress(np.diff(image, axis=0, prepend=np.uint8(0)).tobytes(), 9)
    parts.append({"name": "mean_image", "shape": list(image.shape), "coding": "rows", "bytes": len(rows)})
    text = json.dumps({**header, "parts": parts}).encode()
    return b"".join([MAGIC, len(text).to_bytes(4, "little"), text, *content, rows])


def read_header(data: bytes) -> dict[str, Any]:
    """Gives the header of a compressed file.

    Raises:
        ValueError: It is none, or it is cut off.
    """
    if data[:8] != MAGIC:
        raise ValueError("it does not begin as one")
    header = json.loads(data[12 : _start(data)])
    if not isinstance(header, dict) or not isinstance(header.get("parts"), list):
        raise ValueError("its header lists no parts")
    return header


def unpack(data: bytes, parts: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Decodes the parts of a compressed file.

    Args:
        data: The whole file.
        parts: Of its header.

    Returns:
        Name -> float32 values; `mean_image` uint8 (S, S, 3).

    Raises:
        ValueError, KeyError, TypeError: The file is damaged. What it makes us allocate is bounded by its length and by
            its shapes, together at most `LARGEST`.
    """
    if sum(_elements(part) for part in parts) > LARGEST:
        raise ValueError(f"it claims more than {LARGEST:,} numbers")
    reader = _Reader(data, _start(data))
    arrays = {part["name"]: _DECODERS[part["coding"]](reader, part).reshape(part["shape"]) for part in parts}
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes are left over")
    return arrays


def gap_symbols(places: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Codes ascending places as the gaps between them."""
    gaps = np.diff(places, prepend=-1) - 1
    ends = np.cumsum(gaps // SKIP + 1)
    symbols = np.full(ends[-1], SKIP, np.uint8)
    symbols[ends - 1] = gaps % SKIP
    return symbols


def _shared(tensor: Floats) -> tuple[dict[str, Any], bytes]:
    flat = tensor.reshape(-1)
    places = np.flatnonzero(flat)
    codebook, values = np.unique(flat[places], return_inverse=True)
    if not 1 <= len(codebook) <= VALUES:
        raise ValueError(f"a tensor of {len(codebook)} values besides zero; it may have 1 to {VALUES}")
    gaps = gap_symbols(places)
    streams = []
    for symbols, alphabet in ((values.astype(np.uint8), max(2, len(codebook))), (gaps, 256)):
        lengths = huffman.code_lengths(np.bincount(symbols, minlength=alphabet))
        stream, chunks = huffman.encode(symbols, lengths)
        streams += [lengths.tobytes(), _bytes(chunks, "<u2"), stream.tobytes()]
    facts = {"coding": "shared", "values": len(codebook), "kept": len(places), "gaps": len(gaps)}
    return facts, b"".join([_bytes(codebook, "<f4"), *streams])


def _bytes(array: NDArray[Any], kind: str) -> bytes:
    return array.astype(kind).tobytes()


def _start(data: bytes) -> int:
    return 12 + int.from_bytes(data[8:12], "little")


def _elements(part: dict[str, Any]) -> int:
    shape = part["shape"]
    if not shape or not all(isinstance(side, int) and side > 0 for side in shape):
        raise ValueError(f"it claims a shape of {shape!r}")
    return prod(shape)


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, count: int, kind: str) -> NDArray[Any]:
        """Gives the next `count` numbers."""
        end = self.at + count * np.dtype(kind).itemsize
        if not isinstance(count, int) or count < 0 or end > len(self.data):
            raise ValueError("it is cut off")
        found = np.frombuffer(self.data[self.at : end], kind)
        self.at = end
        return found


def _read_plain(reader: _Reader, part: dict[str, Any]) -> Floats:
    return reader.take(_elements(part), "<f4").astype(np.float32)


def _read_rows(reader: _Reader, part: dict[str, Any]) -> NDArray[np.uint8]:
    size, inflate = _elements(part), zlib.decompressobj()
    try:
        rows = inflate.decompress(reader.take(part["bytes"], "u1").tobytes(), size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(rows) != size or not inflate.eof:
        raise ValueError("the mean image has another size")
    return np.cumsum(np.frombuffer(rows, np.uint8).reshape(part["shape"]), 0, np.uint8)


def _read_shared(reader: _Reader, part: dict[str, Any]) -> Floats:
    size = _elements(part)
    if not (1 <= part["values"] <= VALUES and 1 <= part["kept"] <= part["gaps"] <= size):
        raise ValueError(f"{part['name']} has more weights or values than places")
    codebook = reader.take(part["values"], "<f4")
    values = _read_stream(reader, part["kept"], max(2, part["values"]))
    gaps = _read_stream(reader, part["gaps"], 256)
    steps = gaps.astype(np.uint16)  # SKIP passes SKIP places, any other symbol one more than it says
    steps += gaps != SKIP
    ends = np.cumsum(steps, dtype=np.int64)
    places = ends[gaps != SKIP] - 1
    if len(places) != len(values) or ends[-1] > size or int(values.max()) >= len(codebook):
        raise ValueError(f"{part['name']} has weights outside its shape or values outside its codebook")
    flat = np.zeros(size, np.float32)
    flat[places] = codebook[values]
    return flat


def _read_stream(reader: _Reader, count: int, alphabet: int) -> NDArray[np.uint8]:
    lengths = reader.take(alphabet, "u1")
    chunks = reader.take(-(-count // huffman.CHUNK), "<u2")
    stream = reader.take((int(chunks.sum(dtype=np.int64)) + 7) // 8, "u1")
    return huffman.decode(stream, chunks, count, lengths)


_DECODERS: dict[str, Callable[[_Reader, dict[str, Any]], NDArray[Any]]] = {
    "float32": _read_plain,
    "shared": _read_shared,
    "rows": _read_rows,
}
