"""The lecture's augmentation: random crops, reflections and PCA colour, draws apart from transforms.

`draw` rolls the dice for a whole batch; `augment` is pure and turns stored pictures into the network's input.
Crops and reflections: a 224-pixel window has 32 x 32 places in a 256-pixel picture (the paper's count; the source's
offsets 0..32 make 33 x 33), times 2 for the mirror image: 2048.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet import native
from alexnet.config import Train
from alexnet.errors import UsageError
from alexnet.seeds import generator

Floats = NDArray[np.float32]

MIRROR, UPSIDE_DOWN, TRANSPOSE = 1, 2, 4  # flags of a turn, in the order in which they are carried out
ALL_TURNS = 8  # the ways in which a square can lie
CROP = np.dtype([("top", "f4"), ("left", "f4"), ("side", "f4"), ("turn", "i4")])


@dataclass(frozen=True)
class Draws:
    """What was drawn for each of N pictures."""

    crops: NDArray[np.void]  # (N,) of `CROP`: squares in pixels of the stored pictures, and how they are turned
    shifts: Floats  # (N, 3), added to R, G, B, in 0..255
    gains: Floats  # (N,), by which the pixels are multiplied at the end

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, rows: slice) -> "Draws":
        return Draws(self.crops[rows], self.shifts[rows], self.gains[rows])


def draw(train: Train, covariance: NDArray[np.float64], step: int, stored: int, size: int) -> Draws:
    """Draws crops, reflections and colour for the `train.batch_size` pictures of one step.

    `covariance`, (3, 3), is of RGB pixels in [0, 1] over the training split; `stored` and `size` are the sides of the
    stored pictures and of the network's input, in pixels.
    """
    dice, count = generator(train.seed, "augmentation", step), train.batch_size
    crops = centre(count, stored, size)
    if train.crops:
        sides = size * np.sqrt(dice.uniform(train.smallest_crop**2, 1, count)) if train.smallest_crop < 1 else size
        crops["side"] = sides
        crops["top"], crops["left"] = np.floor(dice.uniform(size=(2, count)) * (np.floor(stored - crops["side"]) + 1))
    if train.turns:
        crops["turn"] = dice.integers(0, ALL_TURNS, count)
    elif train.flips:
        crops["turn"] = dice.integers(0, 2, count) * MIRROR
    shifts, division = colour_shifts(train, covariance, dice.standard_normal((count, 3)))
    return Draws(crops, shifts, np.full(count, 1 / (train.divide_pixels_by * division), np.float32))


def margin(stored: int, size: int) -> int:
    """Returns the pixels above and left of the central crop; where the rest is odd, one more is below and right."""
    return (stored - size) // 2


def centre(count: int, stored: int, size: int) -> NDArray[np.void]:
    """Returns the central crop of `size` pixels, `count` times."""
    crops = np.zeros(count, CROP)
    crops["top"] = crops["left"] = margin(stored, size)
    crops["side"] = size
    return crops


def colour_shifts(train: Train, covariance: NDArray[np.float64], normal: NDArray[np.float64]) -> tuple[Floats, float]:
    """Turns standard normal draws, (N, 3), into colour shifts along the principal components of RGB.

    Returns (N, 3) shifts in 0..255, and the number by which the pixels are divided afterwards.

    Source: paper section 4.1 adds the sum of p_i alpha_i lambda_i with *eigenvalues* lambda; the 2012 source
    (`convdata_jpeg.py`) multiplies by their *square roots* and divides the picture by 1 + strength.
    Eigenvalues grow with the square of the pixels' scale: those of `lecture` are of pixels in [0, 1], as in the common
    "Lighting" transform; of pixels in 0..255 the shifts would be 255 times as large.
    """
    if train.colour == "none":
        return np.zeros(normal.shape, np.float32), 1.0
    eigenvalues, components = np.linalg.eigh(covariance)
    spread = np.sqrt(eigenvalues.clip(0)) if train.colour == "source" else eigenvalues
    shifts = 255 * (normal * train.colour_strength * spread) @ components.T
    return shifts.astype(np.float32), 1 + train.colour_strength if train.colour == "source" else 1.0


def views(count: int, number: int, stored: int, size: int, divide_pixels_by: float) -> list[Draws]:
    """Returns the fixed draws of each test view of `count` pictures; sides are in pixels, as in `draw`.

    The `number` of views is 1, the centre; or 10, the four corners and the centre, then their mirror images. The
    network's probabilities are averaged over them.

    Raises:
        UsageError: `number` is neither 1 nor 10.

    Source: paper section 4.1; order as in `--multiview-test` of the 2012 source.
    """
    if number not in (1, 10):
        raise UsageError(f"there is 1 view (the centre) or 10 (corners, centre, mirrored), got {number}")
    last, middle = stored - size, margin(stored, size)
    corners = [(0, 0), (0, last), (middle, middle), (last, 0), (last, last)]
    places = [(middle, middle, 0)] if number == 1 else [(*c, turn) for turn in (0, MIRROR) for c in corners]
    still = np.zeros((count, 3), np.float32), np.full(count, 1 / divide_pixels_by, np.float32)
    draws = []
    for place in places:
        crops = centre(count, stored, size)
        crops["top"], crops["left"], crops["turn"] = place
        draws.append(Draws(crops, *still))
    return draws


def augment(images: NDArray[np.uint8], draws: Draws, mean: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Turns stored pictures, (N, S, S, 3) RGB, into the network's input, (N, 3, size, size), channels-last.

    The mean image, (S, S, 3) float32 in 0..255, is subtracted where the crop lies. Bytes go over to its device, and
    arithmetic stays there. The `dtype` is float32 or bfloat16.

    Raises:
        UsageError: The pictures are of another type or shape.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != mean.shape:
        wanted = f"uint8 (N, {', '.join(map(str, mean.shape))})"
        raise UsageError(f"pictures must be {wanted}, got {images.dtype} {images.shape}")
    if mean.device.type == "cpu" and native.library() is not None:
        return native.augment(images, draws.crops, draws.shifts, draws.gains, mean.numpy(), size, dtype)
    return augment_tensor(torch.from_numpy(images).to(mean.device), draws, mean, size, dtype)


def augment_tensor(images: Tensor, draws: Draws, mean: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """Does the same as `augment` in tensor operations; blends linearly, with pixel centres at half-integers."""
    top, left, side, turn = (torch.from_numpy(draws.crops[name].copy()).to(images.device) for name in CROP.names or ())
    shifts, gains = (torch.from_numpy(array).to(images.device) for array in (draws.shifts, draws.gains))
    pixels = images.float() - mean
    pixels = _resample(pixels, 1, top, side / size, size, (turn & UPSIDE_DOWN).bool())
    pixels = _resample(pixels, 2, left, side / size, size, (turn & MIRROR).bool())
    is_transposed = (turn & TRANSPOSE).bool()[:, None, None, None]
    pixels = torch.where(is_transposed, pixels.transpose(1, 2), pixels) + shifts[:, None, None]
    return (pixels * gains[:, None, None, None]).permute(0, 3, 1, 2).to(dtype)


def _resample(pixels: Tensor, axis: int, start: Tensor, scale: Tensor, size: int, is_flipped: Tensor) -> Tensor:
    """Takes `size` places along one axis of (N, H, W, 3), from `start` on at steps of `scale`, or backwards."""
    places = torch.arange(size, device=pixels.device).expand(len(pixels), size)
    places = torch.where(is_flipped[:, None], size - 1 - places, places)
    at = (start[:, None] + (places + 0.5) * scale[:, None] - 0.5).clamp(0, pixels.shape[axis] - 1)
    low = at.long()
    shape = [len(pixels), 1, 1, 1]
    shape[axis] = size

    def take(index: Tensor) -> Tensor:
        whole = [size if d == axis else length for d, length in enumerate(pixels.shape)]
        return pixels.gather(axis, index.reshape(shape).expand(whole))

    following = (low + 1).clamp(max=pixels.shape[axis] - 1)
    return take(low).lerp_(take(following), (at - low).reshape(shape))
