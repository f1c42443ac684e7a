"""How to normalise, as one value that the kernels for processors and for GPUs take alike."""

from typing import NamedTuple


class Normalisation(NamedTuple):
    """The settings of `models.lrn.local_response_norm`, in its order.

    Attributes:
        size: Channels in the window; odd.
        alpha: Factor of the sum of squares.
        beta: Exponent.
        k: Constant added to the sum.
        towers: Separate channel ranges.
        rectify: Whether max(images, 0) is normalised.
    """

    size: int
    alpha: float
    beta: float
    k: float
    towers: int
    rectify: bool
