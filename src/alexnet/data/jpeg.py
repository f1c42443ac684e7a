"""JPEG: which of libjpeg's warnings cost pixels.

`simplejpeg` decodes strictly, so that every warning is an error, but libjpeg keeps the words of the first one only. A
picture with a warning is therefore mended (everything that libjpeg warns of and no pixel depends on is put right) and
decoded strictly once more: whatever libjpeg still warns of means missing pixels.
"""

import io
import re
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from alexnet.data.kinds import Unreadable

Pixels = npt.NDArray[np.uint8]

START, END = b"\xff\xd8", b"\xff\xd9"

_APP0, _ADOBE, _SCAN, _START, _END = 0xE0, 0xEE, 0xDA, 0xD8, 0xD9
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_FRAMES = _SEQUENTIAL | {0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment
_METADATA = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE, _END})
_WHOLE_BLOCK = bytes((0, 63, 0))  # the first and last coefficient and the bits that a sequential scan holds
_CODED = 0x00  # what stands for a marker where coded pixels follow a scan's header
_MOST_SCANS = 100  # programs write a dozen; a few bytes make libjpeg go through all pixels once more
_MOST = 10_000  # segments; a picture has dozens, and each costs Pillow microseconds
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # restart markers belong to the scan


def refuse(data: bytes) -> None:
    """Raises Unreadable for a JPEG that has more segments, or more scans over its pixels, than any program writes."""
    components, is_progressive, scans = b"", False, 0
    for marker, content in _segments(data):
        if marker in _FRAMES:
            components, is_progressive = content[5:6], marker in _PROGRESSIVE
        elif marker == _SCAN:
            if not is_progressive and content[:1] == components:  # the only scan that is read
                return
            if (scans := scans + 1) > _MOST_SCANS:
                raise Unreadable(f"a JPEG of more than {_MOST_SCANS} scans, as no program writes it: save it anew")


def decode(data: bytes, picture: Image.Image, enough: int) -> Pixels | None:
    """Decodes strictly and returns None for the kinds of JPEG that only Pillow turns into RGB.

    Args:
        data: The file.
        picture: The file as Pillow opened it.
        enough: The picture may come shrunk, but has as many pixels a side if that is not 0.

    Raises:
        ValueError: The picture lacks pixels.
    """
    shrink = {"min_height": enough, "min_width": enough, "min_factor": 2} if 0 < 2 * enough <= min(picture.size) else {}
    options = {"colorspace": "cmyk"} if picture.mode == "CMYK" else shrink
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, **options)
    except ValueError:
        mended = mend(data)
        if not _is_known(mended):
            _refuse_truncated(mended)
            return None
        pixels = simplejpeg.decode_jpeg(mended, **options)
    return None if picture.mode == "CMYK" else pixels


def check(data: bytes, channels: int) -> None:
    """Raises ValueError for a JPEG of so many channels that lacks pixels; what only Pillow knows is not judged."""
    mended = mend(data)
    if _is_known(mended):
        simplejpeg.decode_jpeg(mended, **({"colorspace": "cmyk"} if channels == 4 else {}))


def mend(data: bytes) -> bytes:
    """Returns the first picture of a file without what libjpeg warns of although no pixel depends on it.

    That is: the revision of JFIF, the colour code of Adobe, all other metadata, the parameters of a scan that can only
    be whole blocks, bytes between segments, padding behind a scan, and a missing end marker behind the only scan.
    """
    segments = list(_segments(data))
    kind, frame = next(((marker, content) for marker, content in segments if marker in _FRAMES), (0, b""))
    parts = [START]
    for marker, content in segments:
        if marker == _APP0 and content.startswith(b"JFIF\0") and len(content) >= 14:
            content = content[:5] + b"\1\1" + content[7:]
        elif marker == _ADOBE and content.startswith(b"Adobe") and len(content) >= 12 and content[11] > 2:
            content = content[:11] + (b"\2" if frame[5:6] == b"\4" else b"\1") + content[12:]  # as libjpeg takes it
        elif marker == _SCAN and kind in _SEQUENTIAL:
            content = content[:-3] + _WHOLE_BLOCK
        if marker not in _METADATA:
            head = [] if marker == _CODED else [bytes((0xFF, marker)), (len(content) + 2).to_bytes(2, "big")]
            parts += [*head, content]
    markers = [marker for marker, _ in segments]
    holds_all = kind in _SEQUENTIAL and markers.count(_SCAN) == 1
    return b"".join(parts) + (END if holds_all or _END in markers else b"")


def _without_padding(scan: bytes) -> bytes:
    """Returns coded pixels without zeros at their end, or 8 and more of another byte; FF keeps the zero behind it."""
    last = scan[-1:]
    rest = scan.rstrip(last)  # a regular expression for a run at the end takes the square of the length
    if last == b"\0":
        return rest + b"\0" if rest.endswith(b"\xff") else rest
    return scan if len(scan) - len(rest) < 8 else rest


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields markers and what belongs to them, and `_CODED` with pixels without padding, to the end of the picture.

    Raises:
        Unreadable: There are more than any program writes.
    """
    at = len(START)
    for _ in range(_MOST):
        mark = _MARKER.search(data, at)
        if mark is None:
            return
        marker, at = mark[1][0], mark.end()
        if marker in _ALONE:
            continue
        if marker == _END:
            yield marker, b""
        if marker in (_START, _END):
            return
        end = at + max(int.from_bytes(data[at : at + 2], "big"), 2)
        yield marker, data[at + 2 : end]
        at = end
        if marker == _SCAN:
            following = _AFTER_SCAN.search(data, end)
            at = following.start() if following else len(data)
            yield _CODED, _without_padding(data[end:at].rstrip(b"\xff"))
    raise Unreadable(f"a JPEG of more than {_MOST:,} segments, as no program writes it: save it anew")


def _is_known(data: bytes) -> bool:
    """Returns whether TurboJPEG has a name for the subsampling; a few kinds only Pillow decodes."""
    with suppress(ValueError):
        simplejpeg.decode_jpeg_header(data, strict=False)
        return True
    return False


def _refuse_truncated(data: bytes) -> None:
    """Raises OSError for a picture that Pillow would fill with gray: without an end marker it waits for more pixels."""
    with Image.open(io.BytesIO(data.removesuffix(END)), formats=("JPEG",)) as picture:
        picture.load()
