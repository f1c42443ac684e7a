"""PNG: every chunk that decides a pixel is checked, and metadata never keep a picture from being read."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from alexnet.data.kinds import Unreadable

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_PROFILE = 1 << 20  # bytes of a colour profile; Pillow refuses a picture with a larger one

_TEXT = frozenset((b"tEXt", b"zTXt", b"iTXt"))  # never read, so never a reason for refusal
_PROFILE, _END = b"iCCP", b"IEND"
_FEW, _SMALL = 10_000, 1024  # chunks that any picture may have, each of which costs Pillow microseconds; bytes of more


@dataclass(frozen=True)
class _Chunk:
    kind: bytes
    start: int  # of the whole chunk in the file
    end: int
    is_whole: bool  # its end is in the file and its checksum is right

    @property
    def decides_pixels(self) -> bool:
        """Whether it is critical, which its capital says, or states what is transparent."""
        return not self.kind[0] & 0x20 or self.kind == b"tRNS"


def plain(data: bytes) -> bytes:
    """Returns a PNG without text, without damaged, huge or repeated metadata and without what follows its end.

    Raises:
        ValueError: A chunk that decides pixels is damaged.
        Unreadable: There are more chunks than any program writes.
    """
    chunks = list(_chunks(data))
    for chunk in chunks:
        if chunk.decides_pixels and not chunk.is_whole:
            raise ValueError(f"the checksum of chunk {chunk.kind.decode('latin-1')} is wrong")
    kept = [chunk for chunk in chunks if chunk.is_whole and chunk.kind not in _TEXT]
    profiles = [chunk for chunk in kept if chunk.kind == _PROFILE]
    usable = [chunk for chunk in profiles[-1:] if _is_small(data[chunk.start + 8 : chunk.end - 4])]
    kept = [chunk for chunk in kept if chunk.kind != _PROFILE or chunk in usable]
    if len(kept) == len(chunks):
        return data
    return SIGNATURE + b"".join(data[chunk.start : chunk.end] for chunk in kept)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    at, view = len(SIGNATURE), memoryview(data)
    for _ in range(_FEW + len(data) // _SMALL):
        if at + 8 > len(data):
            return
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        checksum = int.from_bytes(data[end - 4 : end], "big")
        yield _Chunk(kind, at, end, end <= len(data) and zlib.crc32(view[at + 4 : end - 4]) == checksum)
        if kind == _END:
            return
        at = end
    raise Unreadable("a PNG of more chunks than any program writes: save it anew")


def _is_small(profile: bytes) -> bool:
    """Returns whether a compressed colour profile, behind its name and its method, stays within the limit."""
    compressed = profile[profile.find(b"\0") + 2 :]
    try:
        return len(zlib.decompressobj().decompress(compressed, LARGEST_PROFILE + 1)) <= LARGEST_PROFILE
    except zlib.error:
        return False
