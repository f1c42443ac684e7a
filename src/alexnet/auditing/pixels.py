"""Whether two pictures are one, by their pixels: one is laid over the other, and what then agrees is measured.

Gray thumbnails are laid over each other in two steps. The middle of one, in several sizes, is looked for in the other
at half their resolution; from the best place, Gauss and Newton's steps find the affine map, the brightness and the
contrast that leave the least difference. What must agree then is the detail: means over neighbourhoods, in which all
skies and all white backgrounds agree, are subtracted first.
"""

from collections.abc import Sequence
from itertools import product
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from alexnet.records import Alignment

ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)
SCALES = (0.8, 0.89, 1.0, 1.12, 1.25)
SHIFTS = (0.0, 0.5)  # pixels, at a quarter of the resolution
LIKELY = 0.8  # correlation at a quarter of the resolution, below which two are not looked at any closer
PROMISING = 0.55  # agreement at half of the resolution, below which likewise
STEPS, LAST_STEPS = 3, 1  # of Gauss and Newton, at half of the resolution and at the whole
OVERLAP = 0.4  # of a thumbnail's area: two that share less do not agree
NEIGHBOURHOOD = 5  # pixels a side
NOISE = 10.0  # variance of a neighbourhood in squared gray levels, below which it says little


def turned(pictures: Tensor, alignment: int) -> Tensor:
    """Returns pictures (N, S, S) mirrored and turned by the place of an alignment in `ALIGNMENTS`."""
    mirrored = pictures.flip(-1) if alignment >= 4 else pictures
    return torch.rot90(mirrored, alignment % 4, (-2, -1))


@torch.inference_mode()
def agreements(first: Tensor, second: Tensor, alignments: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Returns how well two gray thumbnails agree, for each of N pairs, and in which of some alignments.

    Args:
        first: (N, S, S), gray levels.
        second: Likewise.
        alignments: The places in `ALIGNMENTS` of those to try.

    Returns:
        The agreements, (N,), 0..1, and the places of the best alignments, (N,).
    """
    quarter = shrunk(first, 4)
    tries = [_rough(quarter, turned(shrunk(second, 4), alignment)) for alignment in alignments]
    likeness, best = torch.stack([likeness for likeness, _ in tries]).max(0)
    maps = torch.stack([maps for _, maps in tries])[best, torch.arange(len(first))]
    alignment = torch.tensor(alignments)[best]
    agreement = torch.zeros(len(first))
    for number in alignments:
        rows = ((alignment == number) & (likeness >= LIKELY)).nonzero()[:, 0]
        one, other, map_ = first[rows], turned(second[rows], number), maps[rows]
        map_, promise = _laid_over(shrunk(one, 2), shrunk(other, 2), map_, STEPS)
        left = promise >= PROMISING
        agreement[rows[left]] = _laid_over(one[left], other[left], map_[left], LAST_STEPS)[1]
    return agreement, alignment


def shrunk(pictures: Tensor, factor: int) -> Tensor:
    """Returns pictures (N, S, S) at a fraction of their side."""
    return F.avg_pool2d(pictures[:, None], factor)[:, 0]


def _rough(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the best correlation of the middle of `second`, in some size, with any place of `first`, and its map.

    Maps, (N, 2, 3), lead from the first picture into the second; both have coordinates from -1 to 1.
    """
    side = first.shape[-1]
    window = side - 2 * (side * 3 // 14)  # it has a place in the middle
    places = side - window + 1
    patches = _standardised(F.unfold(first[:, None], window).mT)
    tries = torch.tensor(list(product(SCALES, SHIFTS, SHIFTS)))
    rows, columns = (
        torch.stack([_scaling(side, window, *one) for one in tries[:, [0, axis]].tolist()]) for axis in (2, 1)
    )
    middles = _standardised((rows @ second[:, None] @ columns.mT).flatten(2))
    likeness, best = (patches @ middles.mT).flatten(1).max(1)
    place, scale, shifts = best // len(tries), tries[best % len(tries), 0], tries[best % len(tries), 1:]
    offsets = torch.stack([place % places, place // places], 1) + (window - side) / 2 - shifts  # x and y, pixels
    turn = torch.eye(2) / scale[:, None, None]
    return likeness, torch.cat([turn, -(offsets * 2 / side / scale[:, None])[..., None]], 2)


def _standardised(rows: Tensor) -> Tensor:
    return F.normalize(rows - rows.mean(-1, keepdim=True), dim=-1, eps=1e-3)


def _scaling(side: int, window: int, scale: float, shift: float) -> Tensor:
    """Returns a matrix (window, side) that takes the middle of a row resized by `scale`, bilinear and antialiased.

    The middle is `shift` pixels further on.
    """
    centres = (torch.arange(window) - (window - 1) / 2 + shift) / scale + (side - 1) / 2
    weights = (1 - (centres[:, None] - torch.arange(side)).abs() * min(1, scale)).clamp_min(0)
    return weights / weights.sum(1, keepdim=True)


def _laid_over(first: Tensor, second: Tensor, maps: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Returns maps, improved from those given, that lay the second pictures over the first, and how well these agree.

    Each step solves for the affine map, the gain and the offset that leave the least squares between the two.
    """
    if not len(first):
        return maps, torch.zeros(0)
    side = first.shape[-1]
    x, y = F.affine_grid(torch.eye(2, 3)[None], [1, 1, side, side], align_corners=False)[0].unbind(-1)
    layers = torch.stack([second, *torch.gradient(second, spacing=2 / side, dim=(2, 1))], 1)
    best, best_maps = torch.full((len(first),), -1.0), maps
    for _ in range(steps + 1):
        grid = F.affine_grid(maps, [len(first), 1, side, side], align_corners=False)
        laid, along_x, along_y = F.grid_sample(layers, grid, padding_mode="border", align_corners=False).unbind(1)
        mask = (grid.abs() <= 1).all(-1).float()
        agreement = _agreement(first, laid, mask)
        is_better = agreement > best
        best = torch.where(is_better, agreement, best)
        best_maps = torch.where(is_better[:, None, None], maps, best_maps)
        parts = [along_x * x, along_x * y, along_x, along_y * x, along_y * y, along_y, -first, -torch.ones_like(first)]
        system = torch.stack(parts, 3).flatten(1, 2) * mask.flatten(1)[..., None]
        normal = system.mT @ system
        damping = 1e-3 * torch.diag_embed(normal.diagonal(dim1=1, dim2=2)) + 1e-6 * torch.eye(len(parts))
        change = torch.linalg.solve(normal + damping, -(system.mT @ (laid * mask).flatten(1)[..., None]))
        maps = maps + change[:, :6, 0].view(-1, 2, 3).clamp(-0.1, 0.1)
    return best_maps, best


def _agreement(one: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean structural similarity of two pictures (N, S, S) inside a mask, 0..1, whatever their contrasts.

    It is 0 where the mask is small, or where one of the two shows nothing. A neighbourhood counts as far as it has
    contrast in one of the two, for a white background agrees with every other.

    Source: Wang et al. 2004, equation 13 without the means, at one contrast.
    """
    means = [_blurred(part) for part in (one, other)]
    variances = [(_blurred(part * part) - mean**2).clamp_min(0) for part, mean in zip((one, other), means, strict=True)]
    covariance = _blurred(one * other) - means[0] * means[1]
    contrasts = [(variance * mask).sum((1, 2)) / mask.sum((1, 2)).clamp_min(1) for variance in variances]
    gain = (contrasts[0] / contrasts[1].clamp_min(1e-3)).sqrt()[:, None, None]
    both = variances[0] + gain**2 * variances[1] + NOISE
    weights = mask * (1 - NOISE / both)
    agreement = ((2 * gain * covariance + NOISE) / both * weights).sum((1, 2)) / weights.sum((1, 2)).clamp_min(1e-3)
    is_enough = (mask.mean((1, 2)) >= OVERLAP) & (torch.minimum(*contrasts) >= NOISE / 4)
    return torch.where(is_enough, agreement.clamp(0, 1), 0.0)


def _blurred(pictures: Tensor) -> Tensor:
    padded = F.pad(pictures[:, None], (NEIGHBOURHOOD // 2,) * 4, mode="reflect")
    return F.avg_pool2d(padded, NEIGHBOURHOOD, 1)[:, 0]


def turnless(pictures: Tensor) -> Tensor:
    """Returns the detail of pictures (N, S, S) in numbers that are the same in all eight positions: (N, S * S / 8)."""
    half = shrunk(pictures, 2)
    detail = half - _blurred(half)
    layers = [shrunk(part, 2) for part in (detail, detail.abs())]
    means = [torch.stack([turned(layer, i) for i in range(len(ALIGNMENTS))]).mean(0) for layer in layers]
    return torch.cat([_standardised(mean.flatten(1)) for mean in means], 1)
