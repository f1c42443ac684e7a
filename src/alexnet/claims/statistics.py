"""How far a difference between two arms can be trusted, and how much work would settle it.

An arm is trained once a seed and tested on the same pictures every time, so there are two reasons why a difference may
be luck: other seeds would have trained other networks, and other pictures would have asked other questions. The
differences are a table of seeds by pictures whose variance has three parts: of the seeds, of the pictures, and what
belongs to one picture at one seed.
"""

import math
from dataclasses import dataclass
from itertools import count
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from alexnet.evaluation.metrics import Z95

Z80 = NormalDist().inv_cdf(0.8)

CONFIRMED, NOT_SEEN, OPPOSITE = "confirmed here", "not seen here", "opposite here"


@dataclass(frozen=True)
class Difference:
    """A difference of two errors, as fractions: above 0 where the claim holds.

    Attributes:
        mean: Over pictures and seeds.
        low, high: Ends of the 95 % interval.
        pictures: How many were asked.
        each: The difference of each seed; none where the seeds are averaged before they are compared.
        size: What is to be seen: the paper's difference, where it gives one.
        seeds_needed, pictures_needed: So many would show it in four experiments of five; one seed does not tell how
            many seeds.
    """

    mean: float
    low: float
    high: float
    pictures: int
    each: list[float]
    size: float
    seeds_needed: int | None
    pictures_needed: int

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
    (seeds, pictures), each = apart.shape, apart.mean(1)
    by_picture = _padded(apart.mean(0))
    mean, centre = float(apart.mean()), float(by_picture.mean())
    parts = Parts.of(apart, float(by_picture.var()))
    half = Z95 * math.sqrt(float(by_picture.var()) / len(by_picture))
    if seeds > 1:
        luck = max(student(seeds - 1) ** 2 * float(each.var(ddof=1)), Z95**2 * parts.rest / pictures) / seeds
        half = max(half, math.sqrt(luck + Z95**2 * parts.pictures / pictures))
    low, high = max(-1.0, min(mean, centre - half)), min(1.0, max(mean, centre + half))
    return Difference(mean, low, high, pictures, each.tolist(), size, *parts.needed(seeds, pictures, size))


@dataclass(frozen=True)
class Parts:
    """Where the variance of the differences comes from.

    Attributes:
        seeds: Of one seed's difference over all pictures there are.
        pictures: Of one picture's difference over all seeds there are.
        rest: Of one picture at one seed.

    Source: the analysis of variance of two crossed random factors, for instance Searle, Casella and McCulloch 1992.
    """

    seeds: float
    pictures: float
    rest: float

    @classmethod
    def of(cls, apart: NDArray[np.float64], by_picture: float) -> "Parts":
        """Takes the differences (seeds, pictures) apart; `by_picture` is the variance of their means over seeds."""
        seeds, pictures = apart.shape
        if seeds == 1:
            return cls(0.0, by_picture, 0.0)
        each = apart.mean(1, keepdims=True)
        rest = float(((apart - each - apart.mean(0) + apart.mean()) ** 2).sum()) / ((seeds - 1) * (pictures - 1))
        return cls(max(0.0, float(each.var(ddof=1)) - rest / pictures), max(0.0, by_picture - rest / seeds), rest)

    def needed(self, seeds: int, pictures: int, size: float) -> tuple[int | None, int]:
        """Gives the seeds and the pictures that show a difference of `size`, no fewer pictures than there are.

        Where these leave no room for the luck of the seeds, more pictures leave it half of the room.
        """
        power = (Z95 + Z80) ** 2
        if seeds == 1:
            return None, math.ceil(power * self.pictures / size**2)
        if power * self.pictures / pictures > size**2 / 2:
            pictures = math.ceil(2 * power * self.pictures / size**2)
        room = math.sqrt(size**2 - power * self.pictures / pictures)
        return seeds_needed(math.sqrt(self.seeds + self.rest / pictures), room), pictures


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


def resolved(pictures: int, seeds: int) -> float:
    """Guesses the difference that so many test pictures show in four experiments of five.

    Before the experiment it is taken that the networks of a seed disagree on a tenth of the pictures, on half of them
    for reasons that other seeds do not share, and that seeds differ by no more than that makes them.
    """
    power = Z95 + Z80 if seeds == 1 else student(seeds - 1) + Z80
    return math.sqrt(0.05 / pictures * ((Z95 + Z80) ** 2 + power**2 / seeds))


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
