"""Pictures that are read without a fault and yet may show nothing: of one colour, dark, bright, blurred or tiny."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from alexnet.auditing.cached_features import CachedFeatures
from alexnet.auditing.looks import Looks
from alexnet.data import decode
from alexnet.data.listing import Listing
from alexnet.errors import BadImage
from alexnet.observer import Observer
from alexnet.records import Odd, Oddity

THRESHOLDS: dict[Oddity, float] = {
    "one colour": 3.0,
    "dark": 50.0,
    "bright": 215.0,
    "blurred": 0.045,
    "tiny": 32.0,
    "odd shape": 3.0,
}
"""Where a picture becomes odd. Levels are of 255, gray.

one colour  the standard deviation of the levels is below
dark        19 pixels of 20 are below this level
bright      19 pixels of 20 are above this level
blurred     the standard deviation of the Laplacian is below this part of that of the levels, in the stored picture;
            a picture that was enlarged for the store is not examined
tiny        the shorter side of the file's picture is below, in pixels
odd shape   the longer side is more than this many times the shorter one
"""

Sizes = Mapping[str, tuple[int, int]]
"""Name of a picture -> width and height of the file's picture."""


def odd(cached: CachedFeatures, sizes: Sizes) -> Iterator[Odd]:
    """Yields what is odd about pictures; of one colour, dark and bright only the first is said."""
    for row, figures in enumerate(map(Looks._make, cached.looks.tolist())):
        picture = cached.member(row)
        for oddity, figure in _oddities(figures, cached.store.size, sizes.get(picture.name)):
            yield Odd(picture=picture, oddity=oddity, figure=figure, threshold=THRESHOLDS[oddity])


def _oddities(figures: Looks, side: int, size: tuple[int, int] | None) -> Iterator[tuple[Oddity, float]]:
    """Yields what is odd about a picture whose stored side is `side` and whose file had some size, in pixels."""
    if figures.spread < THRESHOLDS["one colour"]:
        yield "one colour", figures.spread
    elif figures.high < THRESHOLDS["dark"]:
        yield "dark", figures.high
    elif figures.low > THRESHOLDS["bright"]:
        yield "bright", figures.low
    elif (size is None or min(size) >= side) and figures.sharpness < THRESHOLDS["blurred"]:
        yield "blurred", figures.sharpness
    if size is not None and min(size) < THRESHOLDS["tiny"]:
        yield "tiny", min(size)
    if size is not None and max(size) > THRESHOLDS["odd shape"] * min(size):
        yield "odd shape", max(size) / max(1, min(size))


def sizes_of(listings: Mapping[str, Listing], observer: Observer) -> Sizes:
    """Returns the sizes of pictures by the headers of their files; those without a readable one are left out."""
    observer.began("reading sizes")
    total, sizes, done = sum(map(len, listings.values())), {}, 0
    for listing in listings.values():
        for i in range(len(listing)):
            with suppress(BadImage, OSError):  # packing says what is wrong with a file
                sizes[listing.name(i)] = decode.header(listing.read(i), listing.name(i)).size
            done += 1
            observer.advanced(done, total)
    return sizes
