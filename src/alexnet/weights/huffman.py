"""Decodes the canonical Huffman codes of compressed files of format 1 (docs/reference/compressed-format.md).

A stream is cut into chunks of `CHUNK` symbols, and the bits of each chunk stand beside it. So all chunks can be decoded
at once, one symbol of each in a step.
"""

import numpy as np
from numpy.typing import NDArray

LONGEST = 16  # bits of the longest code
CHUNK = 2048  # symbols; no chunk takes more than CHUNK * LONGEST = 32,768 bits
Bytes = NDArray[np.uint8]


def decode(stream: Bytes, chunks: NDArray[np.uint16], count: int, lengths: Bytes) -> Bytes:
    """Returns the symbols of a stream, at least one, of which the first bit stands highest in its byte.

    `chunks` holds the bits of each chunk, `lengths` those of each symbol's code: 0 for a symbol that does not occur.
    A ValueError is raised if the lengths belong to no complete code, or if stream, chunks and count disagree.
    """
    symbols = np.argsort(lengths, kind="stable")
    symbols = symbols[lengths[symbols] > 0]
    spans = 1 << (LONGEST - lengths[symbols].astype(np.int64))  # how many of all 16-bit words begin with each code
    if (lengths > LONGEST).any() or spans.sum() != 1 << LONGEST:
        raise ValueError("code lengths are of no complete code")
    table = np.repeat(symbols.astype(np.uint8), spans)
    at = np.cumsum(chunks, dtype=np.int64) - chunks
    total = int(chunks.sum(dtype=np.int64))
    if len(chunks) != -(-count // CHUNK) or len(stream) != (total + 7) // 8 or total < count:
        raise ValueError("a stream is not as long as its chunks")
    padded = np.concatenate([stream, np.zeros(CHUNK * LONGEST // 8 + 3, np.uint8)]).astype(np.uint32)
    words = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]
    decoded = np.empty((CHUNK, len(chunks)), np.uint8)
    for row in decoded:  # the last chunk is decoded beyond its end, into the padding, and cut off below
        row[:] = table[words[at >> 3] >> (8 - (at & 7)).astype(np.uint32) & 0xFFFF]
        at += lengths[row]
    flat = decoded.T.reshape(-1)[:count]
    if (np.add.reduceat(lengths[flat], np.arange(0, count, CHUNK), dtype=np.int64) != chunks).any():
        raise ValueError("a stream does not end with its chunk")
    return flat
