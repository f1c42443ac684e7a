"""Few weights with few values, in few bytes: the compressed format, in numpy and msgspec alone.

8 bytes          b"ALEXNETC"
4 bytes          length of the header, little-endian
header           a JSON object; `parts` lists what follows, `seal` is a checksum of all other fields
parts            one after the other, each coded as its entry says

Described in docs/reference/compressed-format.md.
"""

import json
import zlib
from dataclasses import dataclass
from math import prod
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct, field
from numpy.typing import NDArray

from alexnet.records import SEAL, seal
from alexnet.weights import huffman

MAGIC = b"ALEXNETC"
FORMAT = 2  # what `pack` writes; `unpack` reads this and all earlier ones. Files of format 1 do not state it
VALUES = 256  # most different values besides zero that a tensor may have
SKIP = 255  # the gap symbol that passes 255 zeros and no weight; any smaller one passes as many zeros and a weight
LARGEST = 1 << 28  # most elements of all parts together: 1 GiB as float32

Floats = NDArray[np.float32]
Symbols = NDArray[np.uint8]
Positive = Annotated[int, Meta(ge=1)]


@dataclass
class _Reader:
    data: bytes
    at: int

    def take(self, count: int, kind: str) -> NDArray[Any]:
        start, self.at = self.at, self.at + count * np.dtype(kind).itemsize
        if self.at > len(self.data):
            raise ValueError("it is cut off")
        return np.frombuffer(self.data[start : self.at], kind)

    def inflate(self, length: int, size: int) -> Symbols:
        """Returns the `size` bytes that zlib has packed into the next `length`, and unpacks at most one byte more."""
        stream, packed = zlib.decompressobj(), self.take(length, "u1").tobytes()
        try:
            content = stream.decompress(packed, size + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if len(content) != size or not stream.eof or stream.unused_data:
            raise ValueError(f"a stream of {length:,} bytes has another size than {size:,} bytes")
        return np.frombuffer(content, np.uint8)

    def decode(self, count: int, alphabet: int) -> Symbols:
        lengths = self.take(alphabet, "u1")
        chunks = self.take(-(-count // huffman.CHUNK), "<u2")
        stream = self.take((int(chunks.sum(dtype=np.int64)) + 7) // 8, "u1")
        return huffman.decode(stream, chunks, count, lengths)


class _Tensor(Struct, frozen=True, tag_field="coding"):
    name: str
    shape: Annotated[tuple[Positive, ...], Meta(min_length=1)]

    @property
    def size(self) -> int:
        return prod(self.shape)


class _Plain(_Tensor, frozen=True, tag="float32"):
    """Numbers as they are."""

    def read(self, reader: _Reader) -> Floats:
        return reader.take(self.size, "<f4").astype(np.float32)


class _Rows(_Tensor, frozen=True, tag="rows"):
    """A picture, each row as its difference from the row above, in a zlib stream of `length` bytes."""

    length: Positive = field(name="bytes")

    def read(self, reader: _Reader) -> Symbols:
        return np.cumsum(reader.inflate(self.length, self.size).reshape(self.shape), 0, np.uint8)


class _Sparse(_Tensor, frozen=True):
    """Weights of which `kept` are not zero; those have a codebook of `values` entries, and take `gaps` gap symbols."""

    values: int
    kept: int
    gaps: int

    def __post_init__(self) -> None:
        if not (1 <= self.values <= VALUES and 1 <= self.kept <= self.gaps <= self.size):
            raise ValueError(f"{self.name} has more weights or values than places")

    def symbols(self, reader: _Reader) -> tuple[Symbols, Symbols]:
        """Returns the place in the codebook of each weight that is not zero, and the gaps between them."""
        raise NotImplementedError

    def read(self, reader: _Reader) -> Floats:
        codebook = reader.take(self.values, "<f4")
        codes, gaps = self.symbols(reader)
        steps = gaps.astype(np.uint16)  # SKIP passes SKIP places, any other symbol one more than it says
        steps += gaps != SKIP
        ends = np.cumsum(steps, dtype=np.int64)
        places = ends[gaps != SKIP] - 1
        if len(places) != len(codes) or ends[-1] > self.size or int(codes.max()) >= len(codebook):
            raise ValueError(f"{self.name} has weights outside its shape or values outside its codebook")
        flat = np.zeros(self.size, np.float32)
        flat[places] = codebook[codes]
        return flat


class _Deflated(_Sparse, frozen=True, tag="deflate"):
    """Codes and gaps in one zlib stream of `length` bytes and of Huffman codes alone, so at least a bit a symbol."""

    length: Positive = field(name="bytes")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kept + self.gaps > 8 * self.length:
            raise ValueError(f"{self.name} has more symbols than bits")

    def symbols(self, reader: _Reader) -> tuple[Symbols, Symbols]:
        symbols = reader.inflate(self.length, self.kept + self.gaps)
        return symbols[: self.kept], symbols[self.kept :]


class _HuffmanCoded(_Sparse, frozen=True, tag="shared"):
    """Codes and gaps in two streams, as format 1 has them."""

    def symbols(self, reader: _Reader) -> tuple[Symbols, Symbols]:
        return reader.decode(self.kept, max(2, self.values)), reader.decode(self.gaps, 256)


Entry = _Plain | _Rows | _Deflated | _HuffmanCoded  # how one tensor is stored: an entry of the header's `parts`


def pack(header: dict[str, object], tensors: dict[str, Floats], image: NDArray[np.uint8]) -> bytes:
    """Returns a header of any JSON values, tensors by their names, and a picture (S, S, 3) as a compressed file.

    A ValueError is raised if a tensor of two dimensions or more has no value besides zero, or more than `VALUES`.
    """
    coded: list[tuple[Entry, bytes]] = [_coded(name, tensor) for name, tensor in tensors.items()]
    rows = zlib.compress(np.diff(image, axis=0, prepend=np.uint8(0)).tobytes(), 9)
    coded.append((_Rows("mean_image", image.shape, len(rows)), rows))
    parts = [msgspec.to_builtins(part) for part, _ in coded]
    fields = {**header, "format": FORMAT, "parts": parts}
    text = json.dumps({**fields, SEAL: seal(fields)}).encode()
    return b"".join([MAGIC, len(text).to_bytes(4, "little"), text, *(content for _, content in coded)])


def read_header(data: bytes) -> dict[str, object]:
    """Returns the header of a compressed file, as JSON has it.

    Raises:
        ValueError: The file is not compressed, is cut off, or has a later format.
    """
    if data[:8] != MAGIC:
        raise ValueError("it does not begin as one")
    header = json.loads(data[12 : _start(data)])
    if not isinstance(header, dict) or not isinstance(header.get("parts"), list):
        raise ValueError("its header lists no parts")
    if header.get("format", 1) not in range(1, FORMAT + 1):
        raise ValueError(f"its format is {header['format']!r}, this version of alexnet reads 1 to {FORMAT}")
    return header


def read_parts(header: dict[str, object]) -> tuple[Entry, ...]:
    """Returns the parts that a header lists, or raises a ValueError if one of their fields is not as it must be."""
    return msgspec.convert(header["parts"], tuple[Entry, ...])


def unpack(data: bytes, parts: tuple[Entry, ...]) -> dict[str, Floats | Symbols]:
    """Returns the tensors of a compressed file, float32 by their names, and `mean_image`, uint8 (S, S, 3).

    Memory is bounded by the length of the file and by its shapes, together at most `LARGEST`.

    Raises:
        ValueError: The file is damaged, or `parts` are not the entries of its header.
    """
    if sum(part.size for part in parts) > LARGEST:
        raise ValueError(f"it claims more than {LARGEST:,} numbers")
    reader = _Reader(data, _start(data))
    arrays = {part.name: part.read(reader).reshape(part.shape) for part in parts}
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes are left over")
    return arrays


def gap_symbols(places: NDArray[np.int64]) -> Symbols:
    """Returns ascending places coded as the gaps between them."""
    gaps = np.diff(places, prepend=-1) - 1
    ends = np.cumsum(gaps // SKIP + 1)
    symbols = np.full(ends[-1], SKIP, np.uint8)
    symbols[ends - 1] = gaps % SKIP
    return symbols


def _coded(name: str, tensor: Floats) -> tuple[Entry, bytes]:
    if tensor.ndim == 1:
        return _Plain(name, tensor.shape), tensor.astype("<f4").tobytes()
    flat = tensor.reshape(-1)
    places = np.flatnonzero(flat)
    codebook, codes = np.unique(flat[places], return_inverse=True)
    if not 1 <= len(codebook) <= VALUES:
        raise ValueError(f"a tensor of {len(codebook)} values besides zero; it may have 1 to {VALUES}")
    gaps = gap_symbols(places)
    coder = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    stream = coder.compress(codes.astype(np.uint8).tobytes())
    stream += coder.flush(zlib.Z_BLOCK)  # so that the gaps get a Huffman code of their own
    stream += coder.compress(gaps.tobytes()) + coder.flush()
    part = _Deflated(name, tensor.shape, len(codebook), len(places), len(gaps), len(stream))
    return part, codebook.astype("<f4").tobytes() + stream


def _start(data: bytes) -> int:
    return 12 + int.from_bytes(data[8:12], "little")
