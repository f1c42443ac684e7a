"""How large the pictures of a source are, told from a few of them."""

from contextlib import suppress
from statistics import median_low

import numpy as np

from alexnet.data import decode
from alexnet.data.listing import Source
from alexnet.errors import BadImage

SAMPLE = 48
"""How many pictures are looked at."""


def typical_side(source: Source) -> int | None:
    """Returns the median of the shorter sides of some training pictures, pixels; None where none of them can be read.

    The pictures are spread evenly over the split, so that they are the same each time.
    """
    listing, sides = source.splits["train"], []
    for i in np.unique(np.linspace(0, len(listing) - 1, SAMPLE, dtype=np.int64)):
        with suppress(BadImage, OSError):  # packing will name them
            sides.append(min(decode.header(listing.read(int(i)), listing.name(int(i))).size))
    return median_low(sides) if sides else None
