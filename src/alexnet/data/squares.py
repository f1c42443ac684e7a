"""How a picture becomes square: its centre, as the paper has it, or warped, as Caffe's tools have it.

Source: paper section 2; `convert_imageset --resize_height=256 --resize_width=256` of Caffe's create_imagenet.sh, which
is OpenCV's plain bilinear resize: it blends four pixels however much it shrinks.
"""

from dataclasses import replace

import numpy as np
from PIL import Image

from alexnet.data import decode
from alexnet.data.decode import Pixels
from alexnet.data.listing import Listing, Source

WARPED = "RGB, upright, over white; both sides resized by plain bilinear, without regard to shape"
"""`decode.SPEC` of warped pictures."""


def load(data: bytes, name: str, size: int, square: str = "centre") -> Pixels:
    """Gives a picture as a square: uint8 (size, size, 3), RGB.

    Args:
        data: The bytes of a picture file.
        name: What errors call the picture.
        size: Side of the result in pixels.
        square: `centre` or `warp`.

    Raises:
        BadImage: The picture cannot be decoded.
    """
    return decode.load(data, name, size) if square == "centre" else warp(decode.decode(data, name), size)


def warp(image: Pixels, size: int) -> Pixels:
    """Gives the whole picture, uint8 (H, W, 3), stretched to (size, size, 3)."""
    height, width = image.shape[:2]
    whole = (0, 0, width, height)
    stretched = Image.fromarray(image).transform((size, size), Image.Transform.EXTENT, whole, Image.Resampling.BILINEAR)
    return np.asarray(stretched)


def warped(source: Source, size: int) -> Source:
    """Gives a source whose pictures are warped squares already, so that packing leaves them as they are."""
    splits = {name: _warped(listing, size) for name, listing in source.splits.items()}
    return replace(source, splits=splits, fingerprint=f"{source.fingerprint}warped to {size}\n", decoding=WARPED)


def _warped(listing: Listing, size: int) -> Listing:
    def fetch(row: int) -> bytes:
        name = listing.names[row].decode("utf-8", "replace")
        pixels = warp(decode.decode(listing.fetch(row), name), size)
        return b"P6 %d %d 255\n" % (size, size) + pixels.tobytes()

    return replace(listing, fetch=fetch)
