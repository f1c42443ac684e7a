"""Picture files, built byte by byte, that no encoder at hand writes."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

PNG_START = b"\x89PNG\r\n\x1a\n"


def tiff(pixels, photometric=1, bits=None, samples=None, numbers=1, extra=None, palette=None):
    """Gives an uncompressed TIFF of one strip of these bytes, whose tags say whatever one likes."""
    height, width = pixels.shape[:2]
    samples = samples or (pixels.shape[2] if pixels.ndim == 3 else 1)
    bits = bits or 8 * pixels.itemsize
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    tags = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [1]), (262, 3, [photometric]),
        (273, 4, None), (277, 3, [samples]), (278, 4, [height]), (279, 4, [len(data)]), (284, 3, [1]),
        *([(320, 3, palette)] if palette is not None else []), *([(338, 3, extra)] if extra else []),
        (339, 3, [numbers] * samples),
    ]  # fmt: skip
    first = 8 + 2 + 12 * len(tags) + 4
    more, entries = b"", b""
    behind = sum(2 * len(values) for _, kind, values in tags if values and kind == 3 and len(values) > 2)
    for tag, kind, values in tags:
        packed = struct.pack("<I", first + behind) if values is None else b""
        if values is not None:
            packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        count = 1 if values is None else len(values)
        if len(packed) > 4:
            packed, more = struct.pack("<I", first + len(more)), more + packed
        entries += struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + more + data


def bmp_with_alpha(rgb, alpha):
    """Gives a BMP of 32 bits whose header speaks of an alpha channel."""
    height, width = rgb.shape[:2]
    pixels = np.dstack([rgb[..., ::-1], np.full((height, width), alpha, np.uint8)])[::-1].tobytes()
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48) + bytes(16)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixels), 0, 0, 14 + len(head)) + head + pixels


def chunk(kind, content, checksum=None):
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def with_chunk(png, new, before=b"IDAT"):
    """Gives a PNG with one more chunk."""
    place = png.index(before) - 4
    return png[:place] + new + png[place:]


def with_long_text(png):
    """Gives a PNG with more text than Pillow reads."""
    return with_chunk(png, chunk(b"zTXt", b"XML\0\0" + zlib.compress(b"x" * 2_000_000)))


def jpeg_of_scans(scans):
    """Gives a gray progressive JPEG of one block, whose coefficients are said to be zero bit by bit."""

    def segment(marker, content):
        return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content

    one_code = bytes([1] + 15 * [0])
    head = segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC2, b"\x08\0\x08\0\x08\1\1\x11\0")
    head += segment(0xC4, b"\0" + one_code + b"\0") + segment(0xC4, b"\x10" + one_code + b"\0")
    bits = [(coefficient, bit) for coefficient in range(1, 64) for bit in range(13, -1, -1)][: scans - 1]
    refining = (bytes((1, 1, 0, at, at, ((bit + 1) % 14) << 4 | bit)) for at, bit in bits)
    coded = b"".join(segment(0xDA, header) + b"\0" for header in (bytes((1, 1, 0, 0, 0, 0)), *refining))
    return b"\xff\xd8" + head + coded + b"\xff\xd9"


def fax_of_strips(strips, size):
    """Gives a fax-coded TIFF of `size` bytes whose strips all are the same white line and reach to the end."""
    line = saved(Image.new("1", (8, 1), 1), "TIFF", compression="group4")
    start, length = (Image.open(io.BytesIO(line)).tag_v2[tag][0] for tag in (273, 279))
    offsets = 8 + 2 + 12 * 9 + 4
    lengths, content = offsets + 4 * strips, offsets + 8 * strips
    tags = [
        (256, 4, 1, 8), (257, 4, 1, strips), (258, 3, 1, 1), (259, 3, 1, 4), (262, 3, 1, 0), (273, 4, strips, offsets),
        (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, strips, lengths),
    ]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, 9) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    places = struct.pack("<I", content) * strips + struct.pack("<I", size - content) * strips
    return (head + places + line[start : start + length]).ljust(size, b"\0")


def with_wrong_checksum(png, kind):
    place = png.index(kind)
    end = place + 4 + struct.unpack(">I", png[place - 4 : place])[0]
    return png[:end] + bytes([png[end] ^ 1]) + png[end + 1 :]


def gray_alpha(height, width, alpha):
    return np.dstack([np.full((height, width), 100, np.uint8), np.full((height, width), alpha, np.uint8)])


def saved(image, kind, **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def _tag(kind, content):
    return kind + bytes(4) + content


def _xyz(*values):
    return _tag(b"XYZ ", struct.pack(">3i", *(round(65536 * value) for value in values)))


def _profile(space, connection, tags):
    """Gives an ICC profile of version 2."""
    table, content, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(content), len(data))
        content += data
    size = at + len(content)
    head = struct.pack(
        ">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr" if space == b"RGB " else b"prtr", space, connection
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + content


def matrix_profile(red, green, blue, gamma):
    """Gives the profile of a monitor or a camera: the three colours as XYZ of D50, and one exponent."""
    curve = _tag(b"curv", struct.pack(">IH", 1, round(256 * gamma)))
    colours = {b"rXYZ": _xyz(*red), b"gXYZ": _xyz(*green), b"bXYZ": _xyz(*blue)}
    curves = {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    return _profile(b"RGB ", b"XYZ ", {b"wtpt": _xyz(0.9642, 1, 0.8249), **colours, **curves})


ADOBE_RGB = matrix_profile((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.2)
LIKE_SRGB = matrix_profile((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410), 2.2)


def press_profile(lab_of):
    """Gives a CMYK profile: `lab_of(c, m, y, k)` of the 16 corners is L of 0..100 and a, b of -128..127."""
    ramp = bytes(range(256))
    corners = b"".join(
        bytes((round(lab[0] * 2.55), round(lab[1] + 128), round(lab[2] + 128)))
        for lab in (lab_of(n >> 3 & 1, n >> 2 & 1, n >> 1 & 1, n & 1) for n in range(16))
    )
    unit = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = _tag(b"mft1", bytes((4, 3, 2, 0)) + unit + 4 * ramp + corners + 3 * ramp)
    return _profile(b"CMYK", b"Lab ", {b"wtpt": _xyz(0.9642, 1, 0.8249), b"A2B0": table, b"A2B1": table})
