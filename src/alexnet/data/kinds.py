"""What a file is by its first bytes: which of Pillow's readers sees it, or why none does."""

from functools import cache
from pathlib import PurePath

from PIL import features

from alexnet.data import jxl


class Unreadable(ValueError):
    """A file that is whole, as far as is known, but no picture that can be read: why, with the remedy."""


_ALWAYS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000")  # Pillow's other readers never see the data

_NAMES = {"HEIF": "HEIC", "AVIF": "AVIF", jxl.FORMAT: "JPEG XL"}

_HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
_AVIF = frozenset((b"avif", b"avis"))

_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")

RAW = "the raw data of a camera, which are not read: develop them to JPEG or TIFF"
_BEGINNINGS = {
    b"FUJIFILMCCD-RAW": RAW,
    b"IIRO": RAW,
    b"IIRS": RAW,
    b"MMOR": RAW,
    b"IIU\0": RAW,
    b"8BPS": "Photoshop's own format, which is not read: export it as PNG",
    b"%PDF": "PDF, not a picture: export its pages as PNG",
}
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
RAW_ENDINGS = frozenset({".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".srw"})


def readers(data: bytes) -> tuple[str, ...]:
    """Returns the names of Pillow's readers that may try a file."""
    if data.startswith((jxl.CODESTREAM, jxl.CONTAINER)):
        return (jxl.FORMAT,)
    brands = _brands(data)
    if _AVIF & brands:
        return ("AVIF",)
    return ("HEIF",) if _HEIC & brands else _ALWAYS


def refuse(data: bytes, name: str) -> None:
    """Raises Unreadable for a file that no reader may try.

    The data of a camera are often a TIFF whose first picture is a tiny preview, so that the ending of `name` counts.
    """
    if not data:
        raise Unreadable("the file is empty")
    for beginning, reason in _BEGINNINGS.items():
        if data.startswith(beginning):
            raise Unreadable(reason)
    is_tiff = data.startswith(TIFF)
    if data[4:12] == b"ftypcrx " or (is_tiff and data[8:10] == b"CR"):
        raise Unreadable(RAW)
    if is_tiff and PurePath(name).suffix.lower() in RAW_ENDINGS:
        raise Unreadable(RAW)
    if data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        is_drawing = b"<svg" in data[:4096]
        raise Unreadable("SVG, a drawing: export it as PNG" if is_drawing else "HTML or XML text, not a picture")
    reader = readers(data)[0]
    if reader == "HEIF" and not _has_heif():
        raise Unreadable("HEIC, which needs the package pillow-heif: install 'alexnet[heif]'")
    if reader == jxl.FORMAT and not jxl.register():
        raise Unreadable("JPEG XL, which needs the package imagecodecs: install 'alexnet[jxl]'")
    if reader == "AVIF" and not features.check("avif"):
        raise Unreadable("AVIF, which needs Pillow 11.3 or newer: update it")


def unknown(data: bytes) -> str:
    """Returns what is said of a file that no reader has opened."""
    if len(readers(data)) == 1:
        return f"damaged {_NAMES[readers(data)[0]]}"
    if data.startswith(TIFF):
        return "TIFF of a kind that is not read: save it as RGB of 8 bits"
    if data.startswith(_STARTS):
        return "damaged header"
    return f"not a picture in a known format ({', '.join((*_ALWAYS, *_NAMES.values()))})"


def _brands(data: bytes) -> frozenset[bytes]:
    """Returns the formats that a file of ISO's base media format says it follows."""
    if data[4:8] != b"ftyp":
        return frozenset()
    box = data[: min(int.from_bytes(data[:4], "big"), 256)]
    return frozenset(box[at : at + 4] for at in (8, *range(16, len(box), 4)))


@cache
def _has_heif() -> bool:
    """Returns whether HEIC can be read, and has Pillow know its reader."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener(thumbnails=False)
    return True
