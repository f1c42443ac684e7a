"""Whether a fax-coded TIFF holds the pixels that were decoded from it.

libtiff decodes damaged data to the end, often without a word. The code of a picture is unique, though (ITU-T
Recommendations T.4, section 4.1, and T.6, section 2.2.5), so that coding what was decoded gives the same bits again if
nothing is damaged. Only in two dimensions, and with fill bits, does Group 3 leave the encoder a choice.
"""

import io
from typing import cast

from PIL import Image, ImageOps
from PIL.TiffImagePlugin import ROWSPERSTRIP, STRIPBYTECOUNTS, STRIPOFFSETS, TiffImageFile

UNIQUE = ("group4", "group3", "tiff_ccitt")  # Pillow's names of the ways to code

_FILL_ORDER, _PHOTOMETRIC, _GROUP_3_OPTIONS = 266, 262, 292
_END = 4  # bytes at most of the end mark of a strip, 24 bits, and its padding
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

_Places = tuple[int, ...]


def is_sound(picture: TiffImageFile, data: bytes) -> bool:
    """Returns whether a loaded picture in the file `data` is what its strips hold; where that is unknown, it is."""
    tags, coding = picture.tag_v2, str(picture.info.get("compression"))
    if coding not in UNIQUE or tags.get(_GROUP_3_OPTIONS) or STRIPOFFSETS not in tags or STRIPBYTECOUNTS not in tags:
        return True
    white_is_zero = tags.get(_PHOTOMETRIC, 0) == 0
    rows = min(cast(int, tags.get(ROWSPERSTRIP, picture.height)), picture.height)
    tops = range(0, picture.height, rows)
    for top, offset, length in zip(tops, tags[STRIPOFFSETS], tags[STRIPBYTECOUNTS], strict=True):
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        code = _code(ImageOps.invert(strip) if white_is_zero else strip, coding)
        held = data[offset : offset + length]
        held = held.translate(_TURNED) if tags.get(_FILL_ORDER) == 2 else held
        is_ended = held.startswith(code) or len(held) <= len(code)  # some programs leave out the end mark
        if not (is_ended and held.startswith(code[:-_END])):
            return False
    return True


def _code(strip: Image.Image, coding: str) -> bytes:
    """Returns the code of black and white pixels, with its end mark."""
    file = io.BytesIO()
    strip.save(file, "TIFF", compression=coding, tiffinfo={ROWSPERSTRIP: strip.height})
    with Image.open(file, formats=("TIFF",)) as coded:
        tags = cast(TiffImageFile, coded).tag_v2
        (offset,), (length,) = cast(_Places, tags[STRIPOFFSETS]), cast(_Places, tags[STRIPBYTECOUNTS])
    return file.getvalue()[offset : offset + length]
