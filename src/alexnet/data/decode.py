"""From the bytes of a picture file to upright, square RGB pixels: the only decoder and the only resize.

`simplejpeg` decodes ordinary JPEG (it releases the GIL and reports every libjpeg warning); Pillow reads
the headers and decodes the rest. Damage is an error, never a gray patch: a libjpeg warning counts.

A picture becomes square by its centre, as the paper has it (section 2), or warped, as Caffe's tools have it
(`convert_imageset --resize_height=256 --resize_width=256` of create_imagenet.sh).
"""

import io
import re
import warnings

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import ExifTags, Image, UnidentifiedImageError

from alexnet.errors import BadImage
from alexnet.records import Square

Pixels = npt.NDArray[np.uint8]

# Larger pictures are refused by their header, before any pixel is decoded: Pillow's own bomb limit for JPEG, which can
# be decoded at a smaller scale, and less for all others, which take about 20 bytes a pixel.
MAX_PIXELS, MAX_PIXELS_WHOLE = 178_956_970, 64_000_000

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")  # Pillow's other readers never see the data

# What a picture went through, in words that are written into every store.
SPEC = (
    "RGB, upright, over white; shorter side resized by Pillow's antialiased bilinear; centre square; "
    "a JPEG that is all of that already keeps its bytes"
)
WARPED = "RGB, upright, over white; both sides resized by plain bilinear, without regard to shape"

_PHONES = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")  # the container that phones keep pictures in
_JPEG = b"\xff\xd8"
_PILLOW = re.compile(r"PIL\.")


def load(data: bytes, name: str, size: int, square: Square = "centre") -> Pixels:
    """Returns a picture, made square the fastest way: uint8 (size, size, 3), RGB.

    A JPEG of at least four times `size` whose centre is taken is shrunk inside its DCT first, by two or more but never
    below twice `size`, so that the antialiased resize still decides every pixel. Errors call the picture `name`.

    Raises:
        BadImage: The picture cannot be decoded.
    """
    if square == "warp":
        return warp(decode(data, name), size)
    return fit(decode(data, name, enough=2 * size), size)


def decode(data: bytes, name: str, enough: int = 0) -> Pixels:
    """Returns the pixels of a picture, upright: uint8 (H, W, 3), RGB.

    A JPEG may come shrunk, but has `enough` pixels a side if that is not 0. EXIF orientation is honoured, and a broken
    EXIF block ignored. Alpha is laid over white. 16-bit gray is scaled, not clipped. An animation is its first frame.
    Bytes after the end are harmless.

    Raises:
        BadImage: The data are empty, truncated, damaged or of an unknown format, or have too many pixels.
    """
    if not data:
        raise BadImage(name, "the file is empty")
    # A filter for good, since `catch_warnings` is not safe between threads.
    if ("ignore", None, Warning, _PILLOW, 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)
    picture = _open(data, name)
    try:
        pixels = _jpeg_pixels(data, picture, enough) if picture.format in ("JPEG", "MPO") else None
        return _upright(_pixels(picture) if pixels is None else pixels, picture)
    except Exception as error:  # decoders raise whatever they like on damaged data
        raise BadImage(name, f"damaged: {_one_line(error)}") from error


def fit(image: Pixels, size: int) -> Pixels:
    """Returns the centre square of a picture, uint8 (H, W, 3), resized (up or down) to (size, size, 3).

    Only the central box is resized; its filter still sees the pixels around it.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    if side == size:
        return np.ascontiguousarray(image[top : top + side, left : left + side])
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box))


def warp(image: Pixels, size: int) -> Pixels:
    """Returns the whole picture, uint8 (H, W, 3), stretched to (size, size, 3) without regard to its shape.

    Both sides are resized by OpenCV's plain bilinear, which blends four pixels however much it shrinks.
    """
    picture = Image.fromarray(image)
    whole = (0, 0, *picture.size)
    return np.asarray(picture.transform((size, size), Image.Transform.EXTENT, whole, Image.Resampling.BILINEAR))


def decode_stored(jpeg: bytes | memoryview, size: int) -> Pixels:
    """Returns a stored picture, uint8 (size, size, 3), RGB; raises ValueError if it is damaged or of another size."""
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(jpeg)
    except ValueError as error:
        raise ValueError(f"damaged ({error})") from error
    if pixels.shape != (size, size, 3):
        raise ValueError(f"no picture of side {size}")
    return pixels


def is_jpeg_of(data: bytes, pixels: Pixels) -> bool:
    """Returns whether a file is a JPEG of these very pixels, which another compression would only harm."""
    if not data.startswith(_JPEG) or len(data) > pixels.nbytes:
        return False
    try:
        has_size = simplejpeg.decode_jpeg_header(data)[:2] == pixels.shape[:2]
        return has_size and np.array_equal(simplejpeg.decode_jpeg(data), pixels)
    except ValueError:  # a kind that only Pillow knows
        return False


def _open(data: bytes, name: str) -> Image.Image:
    """Reads the header only."""
    most = MAX_PIXELS if data.startswith(_JPEG) else MAX_PIXELS_WHOLE
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        if picture.width * picture.height > most:
            raise Image.DecompressionBombError
    except Image.DecompressionBombError as error:
        raise BadImage(name, f"more than {most:,} pixels: make it smaller") from error
    except UnidentifiedImageError as error:
        raise BadImage(name, _what_else(data)) from error
    except Exception as error:  # as above
        raise BadImage(name, f"damaged header: {_one_line(error)}") from error
    return picture


def _what_else(data: bytes) -> str:
    if data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "HTML or XML text, not a picture"
    if data[4:8] == b"ftyp" and data[8:12] in _PHONES:
        return "HEIC or AVIF, which is not read: convert it to JPEG"
    return f"not a picture in a known format ({', '.join(FORMATS)})"


def _jpeg_pixels(data: bytes, picture: Image.Image, enough: int) -> Pixels | None:
    """Decodes strictly and returns None for the kinds of JPEG that only Pillow turns into RGB."""
    if picture.mode == "CMYK":
        simplejpeg.decode_jpeg(data, "cmyk")  # for its verdict: Pillow hides libjpeg's warnings
        return None
    try:
        simplejpeg.decode_jpeg_header(data)
    except ValueError:  # a subsampling that only Pillow knows
        return None
    shrink = {"min_height": enough, "min_width": enough, "min_factor": 2}
    pixels: Pixels = simplejpeg.decode_jpeg(data, **(shrink if 0 < 2 * enough <= min(picture.size) else {}))
    return pixels


def _pixels(picture: Image.Image) -> Pixels:
    picture.load()
    if picture.mode.startswith("I"):
        gray = np.asarray(picture)
        if gray.min() < 0 or gray.max() > 65535:
            raise ValueError("32-bit pixels have no stated white")
        scaled = ((gray.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 0..65535 to 0..255, rounded
        return np.repeat(scaled[..., None], 3, axis=2)
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no stated white")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.asarray(picture.convert("RGB"))


def _upright(pixels: Pixels, picture: Image.Image) -> Pixels:
    try:
        orientation = int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow's EXIF reader lets struct, Syntax, Key and Type errors through
        orientation = 1
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    rows, columns = (-1 if orientation in reversed_in else 1 for reversed_in in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return np.ascontiguousarray(pixels[::rows, ::columns])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
