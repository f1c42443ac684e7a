"""From the bytes of a picture file to upright, square RGB pixels: the only decoder and the only resize.

    bytes -> may a reader try it? -> Pillow reads the header -> RGB -> upright -> square
             kinds, png, tiff                            jpeg, rgb

Damage is an error, never a gray patch. What costs no pixel (metadata, a warning about a header) is no damage.

A picture becomes square by its centre, as the paper has it (section 2), or warped, as Caffe's tools have it
(`convert_imageset --resize_height=256 --resize_width=256` of create_imagenet.sh).
"""

import io
import re
import warnings
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from alexnet import native
from alexnet.data import jpeg, kinds, memory, png, rgb, tiff
from alexnet.errors import BadImage
from alexnet.records import Square

Pixels = rgb.Pixels

# Larger pictures are refused by their header, before any pixel is decoded: Pillow's own bomb limit for JPEG, which can
# be decoded at a smaller scale, and less for all others, which take about 8 bytes a pixel.
MAX_PIXELS, MAX_PIXELS_WHOLE = 178_956_970, 64_000_000

# What a picture went through, in words that are written into every store.
SPEC = (
    "RGB, upright, over white; shorter side resized by Pillow's antialiased bilinear; centre square; "
    "a JPEG that is all of that already keeps its bytes"
)
WARPED = "RGB, upright, over white; both sides resized by plain bilinear, without regard to shape"

_PILLOW = re.compile(r"PIL\.")
_PLAIN_PNM, _COMMENT = (b"P1", b"P2", b"P3"), re.compile(rb"#[^\r\n]*[\r\n]?")


@dataclass(frozen=True)
class Header:
    """What a picture file says of itself: its format, as Pillow names it, and width and height in pixels, as stored."""

    format: str
    size: tuple[int, int]


def header(data: bytes, name: str) -> Header:
    """Reads what a picture file says of itself, without decoding its pixels; errors call the picture `name`.

    Raises:
        BadImage: No reader may try the data, the header is damaged, or it states too many pixels.
    """
    with _open(data, name) as picture:
        return Header(str(picture.format), picture.size)


def load(data: bytes, name: str, size: int, square: Square = "centre", most: int = MAX_PIXELS) -> Pixels:
    """Returns a picture of at most `most` pixels, made square the fastest way: uint8 (size, size, 3), RGB.

    A JPEG of at least four times `size` whose centre is taken is shrunk inside its DCT first, by two or more but never
    below twice `size`, so that the antialiased resize still decides every pixel. Errors call the picture `name`.

    Raises:
        BadImage: The picture cannot be decoded.
    """
    enough = 0 if square == "warp" else 2 * size
    picture = _open(data, name, most)
    with memory.room(_cost(picture, enough)):
        pixels = _upright(data, name, picture, enough)
        return warp(pixels, size) if square == "warp" else fit(pixels, size)


def decode(data: bytes, name: str, enough: int = 0) -> Pixels:
    """Returns the pixels of a picture, upright: uint8 (H, W, 3), RGB.

    A JPEG may come shrunk, but has `enough` pixels a side if that is not 0. EXIF orientation is honoured, and a broken
    EXIF block ignored. Alpha is laid over white. 16-bit gray is scaled, not clipped. Colours of a profile far from sRGB
    are converted. An animation is its first frame. Bytes after the end are harmless.

    Raises:
        BadImage: The data are empty, truncated, damaged or of an unknown format, or have too many pixels.
    """
    picture = _open(data, name)
    with memory.room(_cost(picture, enough)):
        return _upright(data, name, picture, enough)


def fit(image: Pixels, size: int) -> Pixels:
    """Returns the centre square of a picture, uint8 (H, W, 3), resized (up or down) to (size, size, 3).

    Only the central box is resized; its filter still sees the pixels around it. The kernel that does so in place of
    Pillow, a quarter of the time, gives the same bits as Pillow 13.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    if side == size:
        return np.ascontiguousarray(image[top : top + side, left : left + side])
    if native.library() is not None:
        return native.resize(image, top, left, side, size)
    box = (left, top, left + side, top + side)
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box))


def warp(image: Pixels, size: int) -> Pixels:
    """Returns the whole picture, uint8 (H, W, 3), stretched to (size, size, 3) without regard to its shape.

    Both sides are resized by OpenCV's plain bilinear, which blends four pixels however much it shrinks.
    """
    picture = Image.fromarray(image)
    whole = (0, 0, *picture.size)
    return np.asarray(picture.transform((size, size), Image.Transform.EXTENT, whole, Image.Resampling.BILINEAR))


def decode_stored(jpeg: bytes | memoryview, size: int, into: Pixels | None = None) -> Pixels:
    """Returns a stored picture, uint8 (size, size, 3), RGB, in the memory of `into` if that is given, contiguous.

    Raises:
        ValueError: The picture is damaged or of another size; `into` may hold a part of it.
    """
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(jpeg, buffer=into)
    except ValueError as error:
        raise ValueError(f"damaged ({error})") from error
    if pixels.shape != (size, size, 3):
        raise ValueError(f"no picture of side {size}")
    return pixels


def is_jpeg_of(data: bytes, pixels: Pixels) -> bool:
    """Returns whether a file is a JPEG of these very pixels, which another compression would only harm."""
    if not data.startswith(jpeg.START) or len(data) > pixels.nbytes:
        return False
    try:
        has_size = simplejpeg.decode_jpeg_header(data)[:2] == pixels.shape[:2]
        return has_size and np.array_equal(simplejpeg.decode_jpeg(data), pixels)
    except ValueError:  # a kind that only Pillow knows
        return False


def _open(data: bytes, name: str, most: int = MAX_PIXELS) -> ImageFile:
    """Reads the header only."""
    # A filter for good, since `catch_warnings` is not safe between threads.
    if ("ignore", None, Warning, _PILLOW, 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW.pattern)
    most = min(most, MAX_PIXELS if data.startswith(jpeg.START) else MAX_PIXELS_WHOLE)
    try:
        kinds.refuse(data, name)
        if data.startswith(jpeg.START):
            jpeg.refuse(data)
        elif data.startswith(png.SIGNATURE):
            data = png.plain(data)
        elif data.startswith(kinds.TIFF):
            tiff.refuse(data)
        elif data.startswith(_PLAIN_PNM):
            data = _COMMENT.sub(b"", data)  # which Pillow does too, in a time that grows with their number squared
        picture = Image.open(io.BytesIO(data), formats=kinds.readers(data))
        if picture.width * picture.height > most:
            raise Image.DecompressionBombError
    except Image.DecompressionBombError as error:
        raise BadImage(name, f"more than {most:,} pixels: make it smaller") from error
    except UnidentifiedImageError as error:
        raise BadImage(name, kinds.unknown(data)) from error
    except kinds.Unreadable as error:
        raise BadImage(name, str(error)) from error
    except Exception as error:  # decoders raise whatever they like on damaged data
        raise BadImage(name, f"damaged: {_one_line(error)}") from error
    return picture


def _cost(picture: ImageFile, enough: int) -> int:
    """Returns how many pixels of memory a picture takes, where one decoded whole by Pillow takes its own number."""
    pixels = picture.width * picture.height
    if picture.format not in ("JPEG", "MPO"):
        return pixels
    return pixels // (8 if enough and "progressive" not in picture.info else 2)  # progressive: all coefficients at once


def _upright(data: bytes, name: str, picture: ImageFile, enough: int) -> Pixels:
    try:
        pixels = jpeg.decode(data, picture, enough) if picture.format in ("JPEG", "MPO") else None
        if pixels is None:
            pixels = rgb.from_pillow(picture, data)
        elif picture.mode == "RGB":
            pixels = rgb.to_srgb(pixels, picture.info.get("icc_profile"))
        orientation = _orientation(picture)
        picture.close()  # its memory
    except kinds.Unreadable as error:
        raise BadImage(name, str(error)) from error
    except Exception as error:  # as above
        raise BadImage(name, f"damaged: {_one_line(error)}") from error
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    rows, columns = (-1 if orientation in reversed_in else 1 for reversed_in in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return np.ascontiguousarray(pixels[::rows, ::columns])


def _orientation(picture: ImageFile) -> int:
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # Pillow's EXIF reader lets struct, Syntax, Key and Type errors through
        return 1


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
