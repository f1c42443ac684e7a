"""How large the pictures of a source are, told from a few of them."""

from contextlib import suppress
from statistics import median_low

from alexnet.data import decode
from alexnet.data.listing import Source, spread
from alexnet.errors import BadImage

SAMPLE = 48
"""How many pictures are looked at."""


def typical_side(source: Source) -> int | None:
    """Returns the median of the shorter sides of some training pictures, pixels; None where none of them can be read.

    The pictures are spread evenly over the split, so that they are the same each time.
    """
    listing, sides = source.splits["train"], []
    for i in spread(len(listing), SAMPLE):
        with suppress(BadImage, OSError):  # packing will name them
            sides.append(min(decode.header(listing.read(i), listing.name(i)).size))
    return median_low(sides) if sides else None
