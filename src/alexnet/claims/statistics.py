"""How far a difference between two arms can be trusted, and how much work would settle it.

An arm is trained once a seed and tested on the same pictures every time, so there are two reasons why a difference may
be luck: other seeds would have trained other networks, and other pictures would have asked other questions. Each gives
an interval of its own; what is said rests on the wider.
"""

import math
from dataclasses import dataclass
from itertools import count
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Z95 = NormalDist().inv_cdf(0.975)
Z80 = NormalDist().inv_cdf(0.8)

CONFIRMED, NOT_SEEN, OPPOSITE = "confirmed here", "not seen here", "opposite here"


@dataclass(frozen=True)
class Difference:
    """A difference of two errors, as fractions: above 0 where the claim holds.

    Attributes:
        mean: Over pictures and seeds.
        low, high: Ends of the 95 % interval.
        over: What the interval comes from: `seeds` or `pictures`.
        n: How many of those there were.
        needed: How many would show a difference of `size` in four experiments of five.
        size: What is to be seen: the paper's difference, where it gives one.
        each: The difference of each seed; none where the seeds are averaged before they are compared.
    """

    mean: float
    low: float
    high: float
    over: str
    n: int
    needed: int
    size: float
    each: list[float]

    @property
    def verdict(self) -> str:
        """One of the three."""
        return CONFIRMED if self.low > 0 else OPPOSITE if self.high < 0 else NOT_SEEN


def compare(worse: NDArray[np.float64], better: NDArray[np.float64], size: float) -> Difference:
    """Gives how much larger the errors of one arm are.

    Args:
        worse: (seeds, pictures), errors in [0, 1] of the arm that the claim says is worse.
        better: The same of the other arm, with the same seeds and pictures.
        size: The difference that should be seen if it is there, above 0.
    """
    apart = worse - better
    seeds, pictures = apart.mean(1), _padded(apart.mean(0))
    mean, spread = float(apart.mean()), float(pictures.std())
    centre, half = float(pictures.mean()), Z95 * spread / math.sqrt(len(pictures))
    over, n, needed = "pictures", apart.shape[1], pictures_needed(spread, size)
    if len(seeds) > 1:
        spread = float(seeds.std(ddof=1))
        if (wider := student(len(seeds) - 1) * spread / math.sqrt(len(seeds))) > half:
            centre, half = mean, wider
            over, n, needed = "seeds", len(seeds), seeds_needed(spread, size)
    low, high = max(-1.0, min(mean, centre - half)), min(1.0, max(mean, centre + half))
    return Difference(mean, low, high, over, n, needed, size, seeds.tolist())


def student(freedom: int) -> float:
    """Gives the 97.5 % point of Student's t: what a mean of `freedom` + 1 values is trusted by."""
    low, high = 0.0, 13.0  # 12.706 at 1
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, freedom) < 0.95 else (low, middle)
    return high


def seeds_needed(spread: float, difference: float) -> int:
    """Gives the seeds that show `difference` in four experiments of five.

    Args:
        spread: Standard deviation of one seed's difference.
        difference: What is to be seen, above 0.
    """
    at_least = max(2, math.ceil(((Z95 + Z80) * spread / difference) ** 2))
    return next(n for n in count(at_least) if (student(n - 1) + Z80) * spread <= difference * math.sqrt(n))


def pictures_needed(spread: float, difference: float) -> int:
    """Gives the test pictures that show `difference` in four experiments of five; see `seeds_needed`."""
    return math.ceil(((Z95 + Z80) * spread / difference) ** 2)


def resolved(pictures: int, disagreement: float = 0.15) -> float:
    """Gives the difference that so many test pictures show in four experiments of five.

    Args:
        pictures: In the test split.
        disagreement: Share of the pictures that just one of the two networks names rightly; before the experiment, a
            guess.
    """
    return (Z95 + Z80) * math.sqrt(disagreement / pictures)


def _padded(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adds a picture for each arm, so that two arms that never differ are not taken for surely equal.

    Source: Bonett and Price 2012, Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data: the interval that goes with McNemar's test.
    """
    return np.concatenate([apart, [1.0, -1.0]])


def _inside(t: float, freedom: int) -> float:
    """The chance of |T| <= t, a finite sum for whole degrees of freedom.

    Source: Abramowitz and Stegun 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= (k - 1) / k * cosine**2
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
