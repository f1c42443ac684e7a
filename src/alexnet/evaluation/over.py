"""Runs a function over the pictures of a split, whatever it is for."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from alexnet.data.pictures import Pictures, prefetch
from alexnet.data.store import Split
from alexnet.team import ALONE, Team

BATCH = 128

Indices = NDArray[np.int64]
Answers = NDArray[np.float32]


def over(
    split: Split,
    size: int,
    function: Callable[[NDArray[np.uint8]], Answers],
    team: Team = ALONE,
    chosen: Indices | None = None,
) -> Iterator[tuple[Indices, Answers]]:
    """Yields what a function answers to the pictures of a split, batch by batch; memory does not grow with the split.

    Args:
        split: The pictures.
        size: Their side, pixels.
        function: Takes (N, size, size, 3) RGB pictures and returns a row a picture, (N, ...).
        team: The processes that divide the pictures among them; each gets all answers.
        chosen: Places in the split of the pictures to take; None takes all, in order.

    Yields:
        The places of a batch in the split, (N,), and the answers, (N, ...).
    """
    places = np.arange(len(split)) if chosen is None else chosen
    pictures, together = Pictures(split, size, memory_budget=0), BATCH * team.images.count

    def batch(number: int) -> tuple[Indices, NDArray[np.uint8]]:
        some = places[number * together : (number + 1) * together]
        return some, pictures.read(team.share(some))

    try:
        for some, mine in prefetch(batch, range(-(-len(places) // together))):
            yield some, team.whole(function(mine), len(some))
    finally:
        pictures.close()
