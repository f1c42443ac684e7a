"""Test views: the centre, or the paper's ten."""

import numpy as np

from alexnet.data.augment import MIRROR, Draws, centre, margin
from alexnet.errors import UsageError


def views(count: int, number: int, stored: int, size: int, divide_pixels_by: float) -> list[Draws]:
    """Returns the draws of each view, for `count` pictures.

    Args:
        count: Pictures.
        number: 1, the centre; or 10, the four corners and the centre, then their mirror images.
        stored: Side of the stored pictures, pixels.
        size: Side of the network's input, pixels.
        divide_pixels_by: As in training.

    Returns:
        `number` draws; the network's probabilities are averaged over them.

    Raises:
        UsageError: `number` is neither 1 nor 10.

    Source: paper section 4.1; order as in `--multiview-test` of the 2012 source.
    """
    if number not in (1, 10):
        raise UsageError(f"there is 1 view (the centre) or 10 (corners, centre, mirrored), got {number}")
    last, middle = stored - size, margin(stored, size)
    corners = [(0, 0), (0, last), (middle, middle), (last, 0), (last, last)]
    places = [(middle, middle, 0)] if number == 1 else [(*c, turn) for turn in (0, MIRROR) for c in corners]
    return [_fixed(count, stored, size, place, divide_pixels_by) for place in places]


def _fixed(count: int, stored: int, size: int, place: tuple[int, int, int], divide_pixels_by: float) -> Draws:
    crops = centre(count, stored, size)
    crops["top"], crops["left"], crops["turn"] = place
    return Draws(crops, np.zeros((count, 3), np.float32), np.full(count, 1 / divide_pixels_by, np.float32))
