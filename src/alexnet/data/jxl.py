"""JPEG XL as one of Pillow's readers: `imagecodecs` decodes, and the size is read from the header before."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

CODESTREAM, CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL "
FORMAT = "JXL"

_LENGTHS = (9, 13, 18, 30)  # bits of a side
_RATIOS = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width by height, for codes from 1


class JpegXlFile(ImageFile):
    """A JPEG XL picture that is decoded when its pixels are asked for."""

    format, format_description = FORMAT, "JPEG XL"
    _data = b""

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        self._size, self._mode = size(self._data), "RGB"

    def load(self) -> "PixelAccess | None":
        """Decodes the first frame; libjxl turns it upright."""
        if self._data:
            image = Image.fromarray(_decoded(self._data))
            if sorted(image.size) != sorted(self.size):
                raise ValueError("the header states another size")
            self._mode, self._size, self.im, self._data = image.mode, image.size, image.im, b""
        return super().load()


@cache
def register() -> bool:
    """Has Pillow know the reader; returns whether `imagecodecs` is installed with libjxl."""
    try:
        import imagecodecs
    except ImportError:
        return False
    if not imagecodecs.JPEGXL.available:
        return False
    Image.register_open(FORMAT, JpegXlFile, lambda beginning: beginning.startswith((CODESTREAM, CONTAINER)))
    return True


def size(data: bytes) -> tuple[int, int]:
    """Returns width and height of a picture by its header (ISO/IEC 18181-1, section 9.2.2); raises SyntaxError."""
    stream = data if data.startswith(CODESTREAM) else _codestream(data)
    if not stream.startswith(CODESTREAM) or len(stream) < 12:
        raise SyntaxError("no codestream")
    bits = _Bits(int.from_bytes(stream[2:12], "little"))
    is_small = bits.take(1)
    height = _side(bits, is_small)
    ratio = bits.take(3)
    if not ratio:
        return _side(bits, is_small), height
    width, by = _RATIOS[ratio - 1]
    return height * width // by, height


class _Bits:
    """The bits of a header, the lowest first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        """Returns the next `count` bits as a number."""
        number = self._value & ((1 << count) - 1)
        self._value >>= count
        return number


def _side(bits: _Bits, is_small: int) -> int:
    return 8 * (bits.take(5) + 1) if is_small else bits.take(_LENGTHS[bits.take(2)]) + 1


def _codestream(data: bytes) -> bytes:
    """Returns the beginning of the codestream in a container of boxes."""
    at = 0
    while at + 16 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 16 if length == 1 else 8
        if kind in (b"jxlc", b"jxlp"):
            begin = at + head + 4 * (kind == b"jxlp")
            return data[begin : begin + 16]
        length = int.from_bytes(data[at + 8 : at + 16], "big") if length == 1 else length
        if length < head:
            break
        at += length
    return b""


def _decoded(data: bytes) -> npt.NDArray[np.uint8]:
    """Returns the first frame as uint8, (H, W) or (H, W, 2..4)."""
    import imagecodecs

    pixels: npt.NDArray[np.generic] = np.asarray(imagecodecs.jpegxl_decode(data, index=0))
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels.astype(np.uint32) * 255 + 32_767) // 65_535
    elif pixels.dtype != np.uint8:
        if not 0 <= pixels.min() <= pixels.max() <= 1:
            raise ValueError("floating-point pixels outside 0 to 1")
        pixels = np.rint(pixels * 255)
    return pixels.astype(np.uint8)
