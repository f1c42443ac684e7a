"""Canonical Huffman codes over bytes, coded and decoded thousands of symbols at a time.

A stream is cut into chunks of `CHUNK` symbols; the bits that each takes are kept beside it, so that all chunks can be
decoded at once, one symbol of each in a step.
"""

import numpy as np
from numpy.typing import NDArray

LONGEST = 16
"""Bits of the longest code."""

CHUNK = 2048
"""Symbols; no chunk takes more than CHUNK * LONGEST = 32,768 bits."""

_BLOCK = 512 * CHUNK

Bytes = NDArray[np.uint8]


def code_lengths(counts: NDArray[np.int64]) -> Bytes:
    """Gives the code length of each symbol that makes the whole shortest, none above `LONGEST`; 0 for absent symbols.

    Args:
        counts: (S,) how often each symbol comes, S in 2..256.

    Returns:
        (S,) lengths of a complete code: it has two symbols at least, of which one may never come.

    Source: Larmore and Hirschberg 1990, A fast algorithm for optimal length-limited Huffman codes (package-merge).
    """
    present = np.flatnonzero(counts).tolist()
    present += [symbol for symbol in range(2) if symbol not in present][: max(0, 2 - len(present))]
    singles = sorted((max(1, int(counts[symbol])), (symbol,)) for symbol in present)
    row: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(LONGEST):
        pairs = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(row[::2], row[1::2], strict=False)]
        row = sorted(singles + pairs)
    members = [symbol for _, package in row[: 2 * len(present) - 2] for symbol in package]
    return np.bincount(members, minlength=len(counts)).astype(np.uint8)


def codes(lengths: Bytes) -> NDArray[np.uint32]:
    """Gives the code of each symbol: counted upwards by (length, symbol), each code in its lowest bits."""
    found = np.zeros(len(lengths), np.uint32)
    code, last = 0, 0
    for symbol in np.argsort(lengths, kind="stable").tolist():
        length = int(lengths[symbol])
        if length:
            code = (code << (length - last)) if last else 0
            found[symbol], last = code, length
            code += 1
    return found


def encode(symbols: Bytes, lengths: Bytes) -> tuple[Bytes, NDArray[np.uint16]]:
    """Codes symbols.

    Args:
        symbols: (n,) each with a length above 0.
        lengths: Of `code_lengths`.

    Returns:
        The stream, first bit highest in its byte, padded with zeros to whole bytes; and the bits of each chunk.
    """
    code, sizes = codes(lengths), lengths[symbols]
    chunks = np.add.reduceat(sizes, np.arange(0, len(sizes), CHUNK), dtype=np.uint16)
    total = int(chunks.sum(dtype=np.int64))
    stream = np.zeros((total + 7) // 8 + 3, np.uint8)
    start = 0
    for block in range(0, len(symbols), _BLOCK):
        size = sizes[block : block + _BLOCK].astype(np.int64)
        end = start + np.cumsum(size)
        at = end - size
        word = code[symbols[block : block + _BLOCK]] << (24 - size - (at & 7)).astype(np.uint32)
        first, last = start >> 3, int(end[-1]) >> 3
        for i, shift in enumerate((16, 8, 0)):  # bits of different symbols never meet, so adding sets them
            bits = np.bincount((at >> 3) - first, (word >> np.uint32(shift)) & 255, last - first + 1)
            stream[first + i : last + 1 + i] += bits.astype(np.uint8)
        start = int(end[-1])
    return stream[: (total + 7) // 8], chunks


def decode(stream: Bytes, chunks: NDArray[np.uint16], count: int, lengths: Bytes) -> Bytes:
    """Gives the `count` symbols of a stream.

    Args:
        stream: The bytes that `chunks` speaks of.
        chunks: Bits of each chunk.
        count: Symbols in all, 1 or more.
        lengths: Code length of each symbol.

    Raises:
        ValueError: The lengths are of no complete code, or the stream is not what `chunks` and `count` say.
    """
    table = _table(lengths)
    ends = np.cumsum(chunks, dtype=np.int64)
    if len(chunks) != -(-count // CHUNK) or len(stream) != (int(ends[-1]) + 7) // 8 or int(ends[-1]) < count:
        raise ValueError("a stream is not as long as its chunks")
    padded = np.concatenate([stream, np.zeros(CHUNK * LONGEST // 8 + 3, np.uint8)]).astype(np.uint32)
    words = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]
    at = ends - chunks
    symbols = np.empty((CHUNK, len(chunks)), np.uint8)
    in_last = (count - 1) % CHUNK + 1
    for step, row in enumerate(symbols[:count]):
        if step == in_last:  # the last chunk is done, the others go on
            if at[-1] != ends[-1]:
                raise ValueError("a stream does not end with its chunk")
            at, ends = at[:-1], ends[:-1]
        found = table[words[at >> 3] >> (8 - (at & 7)).astype(np.uint32) & 0xFFFF]
        row[: len(at)] = found & 255
        at += found >> 8
    if (at != ends).any():
        raise ValueError("a stream does not end with its chunk")
    return symbols.T.reshape(-1)[:count]


def _table(lengths: Bytes) -> NDArray[np.uint16]:
    """Gives, for each 16 bits that may come, the symbol they begin with and, times 256, the length of its code."""
    symbols = np.argsort(lengths, kind="stable")
    symbols = symbols[lengths[symbols] > 0]
    if (lengths > LONGEST).any() or (1 << (LONGEST - lengths[symbols].astype(np.int64))).sum() != 1 << LONGEST:
        raise ValueError("code lengths are of no complete code")
    entries = symbols.astype(np.uint16) | lengths[symbols].astype(np.uint16) << 8
    return np.repeat(entries, 1 << (LONGEST - lengths[symbols].astype(np.int64)))
