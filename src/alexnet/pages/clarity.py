"""Which first-layer kernels are clear, as those of the paper's Fig. 3 are: one orientation, or one colour.

Of 2,000 random kernels of 11 x 11, white or blurred, 0.0 to 0.1 % are clear; of Gabor patches with noise 89 %.
"""

from collections import Counter
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["oriented", "coloured", "neither"]
Kernel = npt.NDArray[np.float64]  # (3, k, k) or (1, k, k)


def kinds(weights: npt.NDArray[np.floating]) -> list[Kind]:
    """Returns the kind of each kernel of (O, 3, k, k), or of (O, 1, k, k) in gray.

    - oriented: One wave, within 1.25 cycles a kernel, holds at least 60 % of the power of its spectrum, and the
      directions of all waves agree to at least 0.6 (the length of their mean, with each direction's angle doubled).
    - coloured: At least 80 % of its energy lies along one direction of RGB, which is at least 60 % chromatic, and 75 %
      of that pattern's energy in waves of at most 1.5 cycles a kernel: a blob.
    - neither: Any other, and every kernel whose norm is under a tenth of the largest, since it looks flat.

    These bounds are ours.
    """
    kernels = np.asarray(weights, np.float64)
    norms = np.sqrt((kernels**2).sum((1, 2, 3)))
    is_flat = norms <= 0.1 * norms.max()
    return ["neither" if flat else _kind(kernel) for kernel, flat in zip(kernels, is_flat, strict=True)]


def counts(weights: npt.NDArray[np.floating], towers: int) -> list[Counter[Kind]]:
    """Returns how many kernels of (O, 3, k, k) are of each kind, tower by tower."""
    return [Counter(part.tolist()) for part in np.array_split(np.array(kinds(weights)), towers)]


def _kind(kernel: Kernel) -> Kind:
    if _is_oriented(kernel):
        return "oriented"
    return "coloured" if _is_coloured(kernel) else "neither"


def _is_oriented(kernel: Kernel) -> bool:
    channels, down, across = _spectrum(kernel - kernel.mean((1, 2), keepdims=True))
    power = channels.sum(0)
    if not (total := power.sum()):
        return False
    y, x = np.unravel_index(power.argmax(), power.shape)
    peak_down, peak_across = down[y, 0], across[0, x]
    # A real kernel's spectrum has each peak twice, mirrored.
    distances = [np.hypot(down - sign * peak_down, across - sign * peak_across) for sign in (1, -1)]
    near = np.minimum(*distances) <= 1.25
    agreement = abs((power * np.exp(2j * np.arctan2(down, across))).sum()) / total
    return bool(power[near].sum() >= 0.6 * total and agreement >= 0.6)


def _is_coloured(kernel: Kernel) -> bool:
    colours, strengths, patterns = np.linalg.svd(kernel.reshape(len(kernel), -1), full_matrices=False)
    chromatic = ((colours[:, 0] - colours[:, 0].mean()) ** 2).sum()  # 0 for gray, 1 for a colour as bright as gray
    if strengths[0] ** 2 < 0.8 * (strengths**2).sum() or chromatic < 0.6:
        return False
    power, down, across = _spectrum(patterns[0].reshape(kernel.shape[1:]))
    return bool(power[np.hypot(down, across) <= 1.5].sum() >= 0.75 * power.sum())


def _spectrum(images: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], Kernel, Kernel]:
    """Returns the power of (..., k, k) padded to 3k, and the cycles a kernel down (3k, 1) and across (1, 3k)."""
    side = images.shape[-1]
    cycles = np.fft.fftfreq(3 * side) * side
    return np.abs(np.fft.fft2(images, (3 * side, 3 * side))) ** 2, cycles[:, None], cycles[None, :]
