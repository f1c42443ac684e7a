"""One bound on the pictures that all threads decode at the same time, in pixels."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 128_000_000  # pixels decoded at the same time; a pixel takes about 8 bytes

_SMALL = 1_000_000  # pictures of fewer pixels are not counted: even a hundred of them take less than one large picture

_changed = threading.Condition()
_free = MOST


@contextmanager
def room(pixels: int) -> Iterator[None]:
    """Waits until so many pixels more may be decoded, and counts them meanwhile; one picture always may."""
    global _free
    if pixels < _SMALL:
        yield
        return
    pixels = min(pixels, MOST)
    with _changed:
        _changed.wait_for(lambda: _free >= pixels)
        _free -= pixels
    try:
        yield
    finally:
        with _changed:
            _free += pixels
            _changed.notify_all()
