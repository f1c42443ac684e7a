"""Whether a fax-coded TIFF holds the pixels that were decoded from it.

libtiff decodes damaged data of Group 4 to the end, often without a word. The code of a picture is unique, though (ITU-T
Recommendation T.6, section 2.2.5), so that coding what was decoded gives the same bits again where nothing is damaged.
"""

import io
from typing import cast

from PIL import Image, ImageOps
from PIL.TiffImagePlugin import ROWSPERSTRIP, STRIPBYTECOUNTS, STRIPOFFSETS, TiffImageFile

GROUP_4 = "group4"

_FILL_ORDER, _PHOTOMETRIC = 266, 262
_END = 4  # bytes at most of the end mark of a strip, 24 bits, and its padding
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

_Places = tuple[int, ...]


def is_sound(picture: TiffImageFile, data: bytes) -> bool:
    """Returns whether a loaded picture of Group 4 in the file `data` is what its strips hold; tiles are not judged."""
    tags = picture.tag_v2
    if STRIPOFFSETS not in tags or STRIPBYTECOUNTS not in tags:
        return True
    white_is_zero = tags.get(_PHOTOMETRIC, 0) == 0
    rows = min(cast(int, tags.get(ROWSPERSTRIP, picture.height)), picture.height)
    tops = range(0, picture.height, rows)
    for top, offset, length in zip(tops, tags[STRIPOFFSETS], tags[STRIPBYTECOUNTS], strict=True):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        code = _code(ImageOps.invert(strip) if white_is_zero else strip)
        held = data[offset : offset + length]
        held = held.translate(_TURNED) if tags.get(_FILL_ORDER) == 2 else held
        is_ended = held.startswith(code) or len(held) <= len(code)  # some programs leave out the end mark
        if not (is_ended and held.startswith(code[:-_END])):
            return False
    return True


def _code(strip: Image.Image) -> bytes:
    """Returns the code of black and white pixels, with its end mark."""
    file = io.BytesIO()
    strip.save(file, "TIFF", compression=GROUP_4, tiffinfo={ROWSPERSTRIP: strip.height})
    with Image.open(file) as coded:
        tags = cast(TiffImageFile, coded).tag_v2
        (offset,), (length,) = cast(_Places, tags[STRIPOFFSETS]), cast(_Places, tags[STRIPBYTECOUNTS])
    return file.getvalue()[offset : offset + length]
