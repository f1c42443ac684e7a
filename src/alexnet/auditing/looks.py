"""What a picture looks like, in numbers that say whether it may show nothing, and as a thumbnail."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

THUMBNAIL = 56  # pixels a side
LUMA = torch.tensor([0.299, 0.587, 0.114])  # of red, green and blue: BT.601


class Looks(NamedTuple):
    """Figures of a stored picture; levels are of 255, gray."""

    spread: float  # standard deviation of the levels of that colour which varies most
    low: float  # level that 19 pixels of 20 are above
    high: float  # level that 19 pixels of 20 are below
    sharpness: float  # standard deviation of the Laplacian, as a part of that of the levels


def looks(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns the figures of pictures (N, S, S, 3), a row each in the order of `Looks`; S is at least 3."""
    pixels = torch.from_numpy(pictures).float()
    gray = pixels @ LUMA
    inner = gray[:, 1:-1, 1:-1]
    laplacian = gray[:, :-2, 1:-1] + gray[:, 2:, 1:-1] + gray[:, 1:-1, :-2] + gray[:, 1:-1, 2:] - 4 * inner
    spread = pixels.flatten(1, 2).std(1, correction=0).amax(1)
    sharpness = laplacian.flatten(1).std(1, correction=0) / gray.flatten(1).std(1, correction=0).clamp_min(1e-6)
    low, high = np.percentile(gray[:, ::2, ::2].flatten(1).numpy(), (5, 95), axis=1)
    return np.stack([spread.numpy(), low, high, sharpness.numpy()], 1).astype(np.float32)


def thumbnails(pictures: NDArray[np.uint8], side: int = THUMBNAIL) -> NDArray[np.uint8]:
    """Returns pictures (N, S, S, 3) in gray, each (side, side) the means of areas."""
    gray = torch.from_numpy(pictures).float() @ LUMA
    return adaptive_avg_pool2d(gray, side).round().to(torch.uint8).numpy()
