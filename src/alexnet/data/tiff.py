"""TIFF: what its tags say that Pillow does not, and what libtiff finds wrong while it decodes.

libtiff decodes damaged fax data to the end and only writes to the terminal. It has one handler of such messages for the
whole process, which Pillow leaves alone; ours keeps them by thread and prints nothing.
"""

import ctypes
import io
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import _imaging
from PIL.TiffImagePlugin import STRIPBYTECOUNTS, STRIPOFFSETS, ImageFileDirectory_v2, TiffImageFile

from alexnet.data import fax, jpeg
from alexnet.data.kinds import RAW, Unreadable

_BITS, _PHOTOMETRIC, _SAMPLES, _PALETTE, _EXTRA, _NUMBERS, _DNG = 258, 262, 277, 320, 338, 339, 50706
_TILE_OFFSETS, _TILE_LENGTHS, _JPEG_TABLES = 324, 325, 347
_WHITE_IS_ZERO, _RGB, _INDEXED, _CMYK = 0, 2, 3, 5
_FILTERED = (32803, 34892)  # pixels behind the colour filter of a camera, and raw ones
_UNSIGNED, _SIGNED, _FLOAT, _COMPLEX = 1, 2, 3, {5, 6}
_LAB = (8, 9, 10)
_COLOURS = {_RGB: 3, _CMYK: 4, 6: 3, 8: 3, 9: 3, 10: 3}  # channels by photometric interpretation; others have one

_FEW, _SHARED = 10_000, 1 << 28  # strips that any picture may have; bytes that several of them may hold in common


def refuse(data: bytes) -> None:
    """Raises Unreadable for a TIFF whose first picture has no stated look."""
    tags = _tags(data)
    bits, samples = _values(tags, _BITS, 1), _values(tags, _SAMPLES, 1)[0]
    photometric, numbers = _values(tags, _PHOTOMETRIC, 1)[0], _values(tags, _NUMBERS, _UNSIGNED)
    if _DNG in tags or photometric in _FILTERED:
        raise Unreadable(RAW)
    colours = _COLOURS.get(photometric, 1)
    if samples > colours + (3 if colours > 1 else 1):  # alpha, and what Photoshop keeps beside colours
        raise Unreadable(f"{samples} bands: make a picture of three, RGB")
    if _SIGNED in numbers and bits[0] < 32:  # of 32, as Pillow writes numbers of 16 bits, the range decides
        raise Unreadable("signed pixels, which have no stated white: scale them to 8 bits, 0 to 255")
    if _COMPLEX & set(numbers):
        raise Unreadable("complex pixels, which have no stated look: make a picture of 8 bits, 0 to 255")
    if _FLOAT in numbers and (samples, bits[0]) != (1, 32):
        raise Unreadable(f"floating-point pixels, {samples} of {bits[0]} bits: scale them to 8 bits, 0 to 255")
    if photometric == _INDEXED and bits[0] > 8:
        raise Unreadable(f"a palette of {bits[0]} bits: save it as RGB")
    if photometric in _LAB:
        raise Unreadable("Lab colours: save it as RGB")


def look(picture: TiffImageFile) -> tuple[int, bool]:
    """Returns of a gray picture of more than 8 bits which number is white (4,095 for 12 bits), and if zero is instead.

    Pillow minds a white zero only in pixels of up to 8 bits.
    """
    bits, photometric = _values(picture.tag_v2, _BITS, 16)[0], _values(picture.tag_v2, _PHOTOMETRIC, 1)[0]
    return (1 << min(bits, 16)) - 1, photometric == _WHITE_IS_ZERO


def narrow_palette(picture: TiffImageFile) -> npt.NDArray[np.uint8] | None:
    """Returns the colours, (N, 3), of a palette that a careless program wrote with 8 bits instead of 16."""
    if picture.mode != "P" or _PALETTE not in picture.tag_v2:
        return None
    colours = np.array(picture.tag_v2[_PALETTE])
    return None if colours.max(initial=0) > 255 else colours.reshape(3, -1).T.astype(np.uint8)


def load(picture: TiffImageFile, data: bytes) -> None:
    """Decodes a picture in the file `data`.

    Raises:
        Unreadable: It has more strips than any program writes, each of which costs libtiff and `fax` microseconds.
        Exception: It is damaged: whatever Pillow likes, and ValueError.
    """
    lengths = picture.tag_v2.get(STRIPBYTECOUNTS) or picture.tag_v2.get(_TILE_LENGTHS) or ()
    if len(lengths) > _FEW + len(data) // 1024 or sum(lengths) > len(data) + _SHARED:
        raise Unreadable("a TIFF of more strips than any program writes: save it anew")
    _listen()
    _heard.modules = []
    picture.load()
    if _heard.modules:
        raise ValueError(f"{_heard.modules[0]} found bad data")
    if not fax.is_sound(picture, data):
        raise ValueError("the strips hold other pixels than were decoded")
    if picture.info.get("compression") == "jpeg":
        _check_jpegs(picture, data)


def _check_jpegs(picture: TiffImageFile, data: bytes) -> None:
    """Raises ValueError where a strip or a tile, each a JPEG with tables in common, lacks pixels: libtiff is silent."""
    tags = picture.tag_v2
    head = bytes(tags.get(_JPEG_TABLES, b""))[: -len(jpeg.END)] or jpeg.START
    offsets, lengths = (STRIPOFFSETS, STRIPBYTECOUNTS) if STRIPOFFSETS in tags else (_TILE_OFFSETS, _TILE_LENGTHS)
    for offset, length in zip(tags[offsets], tags[lengths], strict=True):
        jpeg.check(head + data[offset + len(jpeg.START) : offset + length], len(picture.getbands()))


_heard = threading.local()


@cache
def _listen() -> object:
    """Takes over libtiff's messages, where it can be reached, and returns what must live as long as the process."""
    handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)

    def listener(is_error: bool) -> Callable[[bytes | None, bytes | None, Any], None]:
        def keep(module: bytes | None, message: bytes | None, values: object) -> None:
            module = module or b""
            if module.startswith((b"Fax", b"JPEGLib")) or (is_error and b"Decode" in module):
                getattr(_heard, "modules", []).append(module.decode("latin-1"))

        return keep

    kept = handler(listener(True)), handler(listener(False))
    try:
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(kept[0])
        library.TIFFSetWarningHandler(kept[1])
    except (OSError, AttributeError):  # linked into Pillow without a name
        return None
    return kept


def _tags(data: bytes) -> ImageFileDirectory_v2:
    file = io.BytesIO(data)
    head = file.read(8)
    tags = ImageFileDirectory_v2(head + file.read(8) if 43 in head[2:4] else head)
    file.seek(tags.next)
    tags.load(file)
    return tags


def _values(tags: ImageFileDirectory_v2, tag: int, default: int) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return value if isinstance(value, tuple) and value else (value if isinstance(value, int) else default,)
