"""Pictures that must be refused, and odd ones that must not."""

import io
import struct
import tarfile
import zlib

import numpy as np
from pictures import encoded, photograph
from PIL import Image


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def jpeg_header(width, height):
    data = bytearray(JPEG)
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def tar_header(name, kind=tarfile.REGTYPE, data=b"", size=None):
    """Gives a member of a tar file; its size, where given, is a lie."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, len(data) if size is None else size
    return member.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


CHAIN = tar_header("x", tarfile.GNUTYPE_LONGNAME, b"a/1.jpg") * 2000

JPEG = encoded(photograph(120, 160), quality=90)
PROGRESSIVE = encoded(photograph(120, 160), quality=90, progressive=True)
CMYK = encoded(photograph(120, 160), mode="CMYK", quality=90)
PNG = encoded(kind="PNG")
HALF = len(JPEG) // 2
END = b"\xff\xd9"

DAMAGED = {
    "empty": b"",
    "one byte": b"\xff",
    "zeros": bytes(5000),
    "only the marker": b"\xff\xd8\xff",
    "half a jpeg": JPEG[:HALF],
    "half a jpeg with an end marker": JPEG[:HALF] + END,
    "half a progressive jpeg": PROGRESSIVE[: len(PROGRESSIVE) // 2],
    "half a progressive jpeg with an end marker": PROGRESSIVE[: len(PROGRESSIVE) // 2] + END,
    "half a CMYK jpeg with an end marker": CMYK[: len(CMYK) // 2] + END,
    "jpeg with a hole": JPEG[:HALF] + bytes(60) + JPEG[HALF + 60 :],
    "jpeg header only": JPEG[:300],
    "half a png": PNG[: len(PNG) // 2],
    "png with a flipped bit": PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:],
    "half a webp": encoded(kind="WEBP")[:400],
    "half a tiff": encoded(kind="TIFF")[:4000],
    "half a bmp": encoded(kind="BMP")[:4000],
    "html": b"\n<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "text": b"this is not a picture",
    "png bomb": png_header(60_000, 60_000),
    "jpeg bomb": jpeg_header(60_000, 60_000),
    "unwanted format": encoded(kind="ICO"),
    "float tiff above one": encoded(np.full((40, 40), 1.5, np.float32), kind="TIFF"),
}


def _with_exif(block):
    return encoded(photograph(40, 60), quality=95, exif=block)


def _animation():
    frames = [Image.fromarray(photograph(40, 60, seed)) for seed in (0, 1)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


ODD = {
    "two bytes after the end": JPEG + b"ab",
    "a second picture after the end": JPEG + JPEG,
    "progressive": PROGRESSIVE,
    "gray jpeg": encoded(mode="L"),
    "CMYK jpeg": CMYK,
    "a png named jpg": PNG,
    "palette": encoded(kind="PNG", mode="P"),
    "one bit": encoded(kind="PNG", mode="1"),
    "gray with alpha": encoded(kind="PNG", mode="LA"),
    "16 bit": encoded(np.full((40, 60), 30_000, np.uint16), kind="PNG"),
    "animation": _animation(),
    "webp": encoded(kind="WEBP"),
    "tiff": encoded(kind="TIFF"),
    "CMYK tiff": encoded(kind="TIFF", mode="CMYK"),
    "bmp": encoded(kind="BMP"),
    "ppm": encoded(kind="PPM"),
    "broken exif": _with_exif(b"Exif\0\0MM\0*\0\0\0\x08\0\xff\xff"),
    "rubbish exif": _with_exif(b"Exif\0\0rubbish"),
    "unknown orientation": _with_exif(b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\0"),
    "one pixel": encoded(photograph(1, 1), kind="PNG"),
    "one line": encoded(photograph(1, 300), kind="PNG"),
    "float tiff": encoded(np.full((40, 40), 0.5, np.float32), kind="TIFF"),
    "rare subsampling": encoded(photograph(64, 64), subsampling=1),
}
