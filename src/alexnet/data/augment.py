"""The lecture's augmentation: random crops, reflections and PCA colour, draws apart from transforms.

`draw` rolls the dice for a whole batch; `augment` is pure and turns stored pictures into the network's input. Test
views go the same way with fixed draws (`data/views.py`).

Crops and reflections: a 224-pixel window has 32 x 32 places in a 256-pixel picture (the paper's count; the source's
offsets 0..32 give 33 x 33), times 2 for the mirror image: 2048.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet import native
from alexnet.config import Train
from alexnet.seeds import generator

Floats = NDArray[np.float32]

MIRROR, UPSIDE_DOWN, TRANSPOSE = 1, 2, 4
CROP = np.dtype([("top", "f4"), ("left", "f4"), ("side", "f4"), ("turn", "i4")])


@dataclass(frozen=True)
class Draws:
    """What was drawn for each picture of a batch.

    Attributes:
        crops: (N,) of `CROP`: a square in pixels of the stored picture, and flags of `turn`: mirrored, upside
            down, then transposed.
        shifts: (N, 3) added to R, G, B, in 0..255.
        gains: (N,) that pixels are multiplied by at the end.
    """

    crops: NDArray[np.void]
    shifts: Floats
    gains: Floats

    def __len__(self) -> int:
        return len(self.crops)


def draw(train: Train, covariance: NDArray[np.float64], step: int, stored: int, size: int) -> Draws:
    """Draws crops, reflections and colour for the batch of one step.

    Args:
        train: Settings, with the seed and the batch size.
        covariance: (3, 3) of RGB pixels in [0, 1] over the training split.
        step: Which update it is for.
        stored: Side of the stored pictures, pixels.
        size: Side of the network's input, pixels.

    Returns:
        Draws for `train.batch_size` pictures.
    """
    dice = generator(train.seed, "augmentation", step)
    count = train.batch_size
    crops = centre(count, stored, size)
    if train.crops:
        sides = size * np.sqrt(dice.uniform(train.smallest_crop**2, 1, count)) if train.smallest_crop < 1 else size
        crops["side"] = sides
        crops["top"], crops["left"] = np.floor(dice.uniform(size=(2, count)) * (stored - crops["side"] + 1))
    if train.turns:
        crops["turn"] = dice.integers(0, 8, count)
    elif train.flips:
        crops["turn"] = dice.integers(0, 2, count) * MIRROR
    shifts, division = colour_shifts(train, covariance, dice.standard_normal((count, 3)))
    return Draws(crops, shifts, np.full(count, 1 / (train.divide_pixels_by * division), np.float32))


def centre(count: int, stored: int, size: int) -> NDArray[np.void]:
    """Gives the central crop, `count` times."""
    crops = np.zeros(count, CROP)
    crops["top"] = crops["left"] = (stored - size) // 2
    crops["side"] = size
    return crops


def colour_shifts(train: Train, covariance: NDArray[np.float64], normal: NDArray[np.float64]) -> tuple[Floats, float]:
    """Turns standard normal draws into colour shifts along the principal components of RGB.

    Args:
        train: `colour` and `colour_strength`.
        covariance: (3, 3) of RGB pixels in [0, 1].
        normal: (N, 3), one factor for each component.

    Returns:
        (N, 3) shifts in 0..255, and what the pixels are divided by afterwards.

    Source: paper section 4.1 adds the sum of p_i alpha_i lambda_i with *eigenvalues* lambda; the 2012 source
    (`convdata_jpeg.py`) multiplies by their *square roots* and divides the picture by 1 + strength.
    Differs: the popular "Lighting" transform uses eigenvalues of another, smaller covariance.
    """
    if train.colour == "none":
        return np.zeros(normal.shape, np.float32), 1.0
    eigenvalues, components = np.linalg.eigh(covariance)
    spread = np.sqrt(eigenvalues.clip(0)) if train.colour == "source" else eigenvalues
    shifts = 255 * (normal * train.colour_strength * spread) @ components.T
    return shifts.astype(np.float32), 1 + train.colour_strength if train.colour == "source" else 1.0


def augment(images: NDArray[np.uint8], draws: Draws, mean: Floats, size: int, dtype: torch.dtype) -> Tensor:
    """Turns stored pictures into the network's input.

    Args:
        images: (N, S, S, 3) RGB.
        draws: For N pictures.
        mean: (S, S, 3) mean image in 0..255, subtracted where the crop lies.
        size: Side of the input, pixels.
        dtype: float32 or bfloat16.

    Returns:
        (N, 3, size, size), channels-last, on the CPU.
    """
    if native.library() is not None:
        return native.augment(images, draws.crops, draws.shifts, draws.gains, mean, size, dtype)
    return augment_tensor(torch.from_numpy(images), draws, torch.from_numpy(mean), size, dtype)


def augment_tensor(images: Tensor, draws: Draws, mean: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """The same in tensor operations, on the device of `images` and `mean`.

    Between pixels it blends linearly, pixel centres at half-integers.
    """
    device, (count, stored) = images.device, images.shape[:2]
    top, left, side, turn = (torch.from_numpy(draws.crops[name].copy()).to(device) for name in CROP.names or ())
    places = torch.arange(size, device=device)
    y, x = places[:, None].expand(count, size, size), places.expand(count, size, size)
    is_transposed, is_upside_down, is_mirrored = (
        (turn & flag).bool()[:, None, None] for flag in (TRANSPOSE, UPSIDE_DOWN, MIRROR)
    )
    y, x = torch.where(is_transposed, x, y), torch.where(is_transposed, y, x)
    y, x = torch.where(is_upside_down, size - 1 - y, y), torch.where(is_mirrored, size - 1 - x, x)
    rows, row_share = _between(y, top, side / size, stored)
    columns, column_share = _between(x, left, side / size, stored)
    picture = torch.arange(count, device=device)[:, None, None]

    def pixels(down: int, right: int) -> Tensor:
        at = (rows + down).clamp(max=stored - 1), (columns + right).clamp(max=stored - 1)
        return images[picture, *at].float() - mean[at]

    upper = pixels(0, 0).lerp_(pixels(0, 1), column_share)
    lower = pixels(1, 0).lerp_(pixels(1, 1), column_share)
    shifts, gains = (torch.from_numpy(array).to(device) for array in (draws.shifts, draws.gains))
    blended = upper.lerp_(lower, row_share) + shifts[:, None, None]
    return (blended * gains[:, None, None, None]).permute(0, 3, 1, 2).to(dtype)


def _between(places: Tensor, start: Tensor, scale: Tensor, stored: int) -> tuple[Tensor, Tensor]:
    """Gives, for each place of the output, the stored pixel before it and the share of the next one."""
    start, scale = start[:, None, None], scale[:, None, None]
    at = (start + (places + 0.5) * scale - 0.5).clamp(0, stored - 1)
    low = at.long()
    return low, (at - low)[..., None]
