"""Pictures that are read without a fault and yet may show nothing: of one colour, dark, bright, blurred or tiny."""

import io
from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.auditing.cached_features import LUMA
from alexnet.data.listing import Listing
from alexnet.data.pictures import Pictures, prefetch
from alexnet.data.store import Store
from alexnet.evaluation.evaluate import BATCH
from alexnet.observer import Observer
from alexnet.records import Member, Odd, Oddity

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


def odd(store: Store, sizes: Sizes, observer: Observer) -> Iterator[Odd]:
    """Yields what is odd about pictures; of one colour, dark and bright only the first is said."""
    observer.began("looking at pictures")
    done, total = 0, sum(map(len, store.splits.values()))
    for split, part in store.splits.items():
        batches = [np.arange(start, min(start + BATCH, len(part))) for start in range(0, len(part), BATCH)]
        pictures = Pictures(part, store.size, memory_budget=0)
        try:
            for places, batch in zip(batches, prefetch(pictures.read, batches), strict=True):
                for place, pixels in zip(places.tolist(), batch, strict=True):
                    name = part.name(place)
                    size = sizes.get(name)
                    for oddity, figure in _oddities(pixels, size):
                        class_name = store.classes[part.labels[place]]
                        member = Member(split=split, place=place, name=name, class_name=class_name)
                        yield Odd(picture=member, oddity=oddity, figure=figure, threshold=THRESHOLDS[oddity])
                done += len(places)
                observer.advanced(done, total)
        finally:
            pictures.close()


def _oddities(pixels: NDArray[np.uint8], size: tuple[int, int] | None) -> Iterator[tuple[Oddity, float]]:
    gray = pixels @ LUMA.numpy()
    spread = float(pixels.reshape(-1, 3).std(0).max())
    low, high = np.percentile(gray[::2, ::2], (5, 95)).tolist()
    if spread < THRESHOLDS["one colour"]:
        yield "one colour", spread
    elif high < THRESHOLDS["dark"]:
        yield "dark", high
    elif low > THRESHOLDS["bright"]:
        yield "bright", low
    elif size is None or min(size) >= len(pixels):
        laplacian = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * gray[1:-1, 1:-1]
        sharpness = float(laplacian.std() / gray.std().clip(1e-6))
        if sharpness < THRESHOLDS["blurred"]:
            yield "blurred", sharpness
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
            # Pillow raises whatever it likes; packing says what is wrong with a file.
            with suppress(Exception), Image.open(io.BytesIO(listing.read(i))) as picture:
                sizes[listing.name(i)] = picture.size
            done += 1
            observer.advanced(done, total)
    return sizes
