"""Pictures that are read without a fault and yet may show nothing: of one colour, or nearly black."""

import numpy as np
import numpy.typing as npt

from alexnet.records import Doubt

SAME = 2  # levels of 255 by which a colour may vary in a picture of one colour, as JPEG makes it
DARK = 32  # the brightest level of a picture that is nearly black; 12 bits in 16 reach 15

_COARSE = 16  # pixels between those that are looked at first


def doubt(pixels: npt.NDArray[np.uint8]) -> Doubt | None:
    """Returns what is doubtful about a picture, uint8 (H, W, 3), or None."""
    if _is_of_one_colour(pixels[::_COARSE, ::_COARSE]) and _is_of_one_colour(pixels):
        return "one colour"
    return "nearly black" if pixels.max() < DARK else None


def _is_of_one_colour(pixels: npt.NDArray[np.uint8]) -> bool:
    return int(np.ptp(pixels.reshape(-1, 3), axis=0).max()) <= SAME
