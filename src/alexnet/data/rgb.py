"""From a picture that Pillow has opened to RGB of 8 bits: depth, palettes, alpha and colour profiles.

Pictures are turned strip by strip, so that little more than one and its result are in memory.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from alexnet.data import colour, tiff
from alexnet.data.kinds import Unreadable

Pixels = npt.NDArray[np.uint8]

_STRIP = 1 << 20  # pixels

# Cameras and microscopes write 10, 12 or 14 bits into 16 and state nowhere what is white.
_FEW = 1 << 14


def from_pillow(picture: ImageFile, data: bytes) -> Pixels:
    """Returns the pixels of a picture in the file `data`: uint8 (H, W, 3), over white, in sRGB.

    Raises:
        Unreadable: Nothing states which of its numbers is white.
        Exception: The picture is damaged; decoders raise whatever they like.
    """
    is_deep = any(";16" in str(tile) for tile in picture.tile)  # before its pixels are read
    if isinstance(picture, TiffImageFile):
        tiff.load(picture, data)
        if (palette := tiff.narrow_palette(picture)) is not None:
            return np.take(palette, np.asarray(picture), axis=0)
    picture.load()
    if picture.mode.startswith(("I", "F")):
        return _from_gray(picture)
    if is_deep and picture.mode != "CMYK":
        _refuse_nearly_black(picture)
    return _from_colours(picture)


def to_srgb(pixels: Pixels, profile: object) -> Pixels:
    """Returns RGB pixels, (H, W, 3), of a colour profile in sRGB, in the same memory; see `colour.transform`."""
    if by := colour.transform(profile, "RGB"):
        rows = max(1, _STRIP // pixels.shape[1])
        for top in range(0, len(pixels), rows):
            pixels[top : top + rows] = np.asarray(by.apply(Image.fromarray(pixels[top : top + rows])))
    return pixels


def _strips(picture: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    width, height = picture.size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        yield slice(top, bottom), picture.crop((0, top, width, bottom))


def _from_gray(picture: Image.Image) -> Pixels:
    """Scales gray of more than 8 bits, or floating-point gray of 0 to 1."""
    extrema = np.array(
        [(np.asarray(strip).min(), np.asarray(strip).max()) for _, strip in _strips(picture)]
    )  # unlike Pillow, with NaN
    least, greatest = extrema.min(), extrema.max()
    is_float = picture.mode == "F"
    white, is_negative = tiff.look(picture) if isinstance(picture, TiffImageFile) else (65535, False)
    white = 1 if is_float else white
    if not 0 <= least <= greatest <= white:
        kind = "floating-point pixels outside 0 to 1" if is_float else "32-bit pixels"
        raise Unreadable(f"{kind} have no stated white: scale them to 8 bits, 0 to 255")
    if white == 65535 and least < greatest < _FEW:
        raise Unreadable(_nearly_black(int(greatest)))
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for rows, strip in _strips(picture):
        gray = np.asarray(strip)
        gray = np.rint(gray * 255) if is_float else (gray.astype(np.uint32) * 255 + white // 2) // white
        pixels[rows] = (255 - gray if is_negative else gray)[..., None]
    return pixels


def _refuse_nearly_black(picture: Image.Image) -> None:
    """Raises Unreadable for colours of 16 bits, of which Pillow has kept the upper 8, that use few of them."""
    extrema = _extrema(picture)[: len(picture.getbands()) - picture.mode.endswith("A")]
    greatest = 256 * int(extrema.max()) + 255
    if greatest < _FEW and np.ptp(extrema, axis=1).any():
        raise Unreadable(_nearly_black(greatest))


def _nearly_black(greatest: int) -> str:
    return (
        f"16-bit pixels of {greatest:,} or less, which would be nearly black: scale all pictures to 8 bits alike "
        "(12-bit ones: divide by 16)"
    )


def _from_colours(picture: Image.Image) -> Pixels:
    profile, is_press = picture.info.get("icc_profile"), picture.mode == "CMYK"
    by = None if picture.mode in ("1", "L", "LA", "La") else colour.transform(profile, "CMYK" if is_press else "RGB")
    has_alpha = picture.has_transparency_data and not _is_alpha_unused(picture)
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for rows, strip in _strips(picture):
        if has_alpha:
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip.convert("RGBA"))
        if not (by and is_press):
            strip = strip.convert("RGB")
        pixels[rows] = np.asarray(by.apply(strip) if by else strip)
    return pixels


def _is_alpha_unused(picture: Image.Image) -> bool:
    """Returns whether alpha is zero everywhere over colours, as programs leave it that know no alpha."""
    if picture.mode not in ("RGBA", "LA"):
        return False
    *colours, alpha = _extrema(picture)[:, 1].tolist()
    return not alpha and any(colours)


def _extrema(picture: Image.Image) -> npt.NDArray[np.int64]:
    """Returns the least and the greatest number in each band, (N, 2)."""
    return np.array(picture.getextrema(), dtype=np.int64).reshape(-1, 2)
