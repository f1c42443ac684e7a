"""How far a difference between two arms can be trusted, and how much work would settle it.

An arm is trained once a seed and tested on the same pictures every time, so a difference may be luck for two reasons:
other seeds would have trained other networks, and other pictures would have posed other questions. The differences form
a table of seeds by pictures, whose variance has three parts: that of the seeds, that of the pictures, and that of a
single picture at a single seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from alexnet.evaluation.metrics import Z95
from alexnet.records import Record

Floats = NDArray[np.float64]

Z80 = NormalDist().inv_cdf(0.8)
CONFIRMED, NOT_SEEN, OPPOSITE = "confirmed here", "not seen here", "opposite here"

LEVEL = 0.25  # the training error that a race is run to
SEVERAL = 3.0  # how many times as fast an arm must be to confirm the claim of a race: half of the paper's ratio
ONE_SEED = 1.25  # how many times as slow counts as the opposite where a single seed gives no interval


class Difference(Record, frozen=True):
    """The mean difference of two errors, as a fraction, with its 95 % interval; above 0 where the claim holds.

    Attributes:
        pictures: Number of test pictures.
        each: The difference of each seed; empty where seeds are averaged before they are compared.
        size: The difference to look for: the paper's, where it gives one.
        seeds_needed: Seeds that would show `size` in four experiments of five; None of one seed, which does not tell.
        pictures_needed: Pictures that would show it.
        verdict: `CONFIRMED`, `NOT_SEEN` or `OPPOSITE`.
    """

    mean: float
    low: float
    high: float
    pictures: int
    each: tuple[float, ...]
    size: float
    seeds_needed: int | None
    pictures_needed: int
    verdict: str


def compare(worse: Floats, better: Floats, size: float) -> Difference:
    """Returns by how much the errors of one arm exceed those of the other.

    Args:
        worse: (seeds, pictures), errors in [0, 1] of the arm that should err more.
        better: The same of the other arm, with the same seeds and pictures.
        size: The difference to look for, above 0.
    """
    apart = worse - better
    (seeds, pictures), each = apart.shape, apart.mean(1)
    # A picture for each arm is added, so that two arms that never differ do not count as equal for certain. Source:
    # Bonett and Price 2012, Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    # data: the interval that goes with McNemar's test.
    by_picture = np.concatenate([apart.mean(0), [1.0, -1.0]])
    mean, centre, variance = float(apart.mean()), float(by_picture.mean()), float(by_picture.var())
    parts = Parts.of(apart, variance)
    half = Z95 * math.sqrt(variance / len(by_picture))
    if seeds > 1:
        luck = max(student(seeds - 1) ** 2 * float(each.var(ddof=1)), Z95**2 * parts.rest / pictures) / seeds
        half = max(half, math.sqrt(luck + Z95**2 * parts.pictures / pictures))
    low, high = max(-1.0, min(mean, centre - half)), min(1.0, max(mean, centre + half))
    verdict = CONFIRMED if low > 0 else OPPOSITE if high < 0 else NOT_SEEN
    needed = parts.needed(seeds, pictures, size)
    return Difference(mean, low, high, pictures, tuple(each.tolist()), size, *needed, verdict)


class Ratio(Record, frozen=True):
    """How many times as fast the first of two arms learns.

    Attributes:
        epochs: Arm -> epochs that each seed took, the supposedly faster arm first; None where a seed never got there.
        verdict: `CONFIRMED`, `NOT_SEEN` or `OPPOSITE`.
        ratio: Geometric mean over seeds; None where the faster arm did not always get there.
        ratio_interval: Its 95 % interval; None of one seed, or of a bound.
        is_at_least: Whether the ratio is a bound, because the slower arm did not always get there.
    """

    epochs: dict[str, tuple[float | None, ...]]
    verdict: str
    ratio: float | None = None
    ratio_interval: tuple[float, float] | None = None
    is_at_least: bool = False


def compare_epochs(epochs: Mapping[str, Sequence[float | None]], limit: float) -> Ratio:
    """Returns the ratio of the epochs that two arms took, as in `Ratio`.

    A seed of the slower arm that never got there counts as `limit` epochs, after which it was given up.
    """
    fast, slow = epochs.values()
    whole = {arm: tuple(values) for arm, values in epochs.items()}
    if None in fast:
        is_behind = all(s is not None and s < (f or math.inf) for s, f in zip(slow, fast, strict=True))
        return Ratio(whole, OPPOSITE if is_behind else NOT_SEEN)
    logs = [math.log((s or limit) / f) for s, f in zip(slow, fast, strict=True) if f]
    mean, low, high, interval, is_bound = float(np.mean(logs)), min(logs), max(logs), None, None in slow
    if len(logs) > 1 and not is_bound:
        half = student(len(logs) - 1) * float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
        low, high = mean - half, mean + half
        interval = (math.exp(low), math.exp(high))
    is_slower = high < (0 if interval else -math.log(ONE_SEED)) and not is_bound
    verdict = CONFIRMED if low >= math.log(SEVERAL) else OPPOSITE if is_slower else NOT_SEEN
    return Ratio(whole, verdict, math.exp(mean), interval, is_bound)


def naive_error(labels: NDArray[np.int64]) -> float:
    """Returns the error of always naming the largest class."""
    return 1 - float(np.bincount(labels).max()) / len(labels)


@dataclass(frozen=True)
class Parts:
    """The variance of a seed's difference over all pictures, of a picture's over all seeds, and of the rest.

    The `rest` is the variance of a single picture at a single seed.

    Source: the analysis of variance of two crossed random factors, for instance Searle, Casella and McCulloch 1992.
    """

    seeds: float
    pictures: float
    rest: float

    @classmethod
    def of(cls, apart: Floats, by_picture: float) -> "Parts":
        """Splits the variance of differences (seeds, pictures), whose means over the seeds vary by `by_picture`."""
        seeds, pictures = apart.shape
        if seeds == 1:
            return cls(0.0, by_picture, 0.0)
        each = apart.mean(1, keepdims=True)
        rest = float(((apart - each - apart.mean(0) + apart.mean()) ** 2).sum()) / ((seeds - 1) * (pictures - 1))
        return cls(max(0.0, float(each.var(ddof=1)) - rest / pictures), max(0.0, by_picture - rest / seeds), rest)

    def needed(self, seeds: int, pictures: int, size: float) -> tuple[int | None, int]:
        """Returns the seeds and the pictures that show a difference of `size`.

        A single seed says nothing of seeds, and may do with fewer pictures. Several seeds keep the `pictures` there
        are, or take more where these would leave no room for the luck of the seeds.
        """
        power = (Z95 + Z80) ** 2
        if seeds == 1:
            return None, math.ceil(power * self.pictures / size**2)
        if power * self.pictures / pictures > size**2 / 2:
            pictures = math.ceil(2 * power * self.pictures / size**2)
        room = math.sqrt(size**2 - power * self.pictures / pictures)
        return seeds_needed(math.sqrt(self.seeds + self.rest / pictures), room), pictures


def student(freedom: int) -> float:
    """Returns the 97.5 % point of Student's t with `freedom` degrees of freedom."""
    low, high = 0.0, 13.0  # the point is 12.706 at one degree, and falls
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, freedom) < 0.95 else (low, middle)
    return high


def seeds_needed(spread: float, difference: float) -> int:
    """Returns the seeds that show a difference above 0 four times of five, if one seed's deviates by `spread`."""
    at_least = max(2, math.ceil(((Z95 + Z80) * spread / difference) ** 2))
    return next(n for n in count(at_least) if (student(n - 1) + Z80) * spread <= difference * math.sqrt(n))


def resolved(pictures: int, seeds: int) -> float:
    """Guesses, before the experiment, the difference that it would show four times of five.

    The guess assumes that the networks of a seed disagree on a tenth of the pictures, on half of them for reasons that
    other seeds do not share, and that seeds differ by no more than this makes them.
    """
    power = Z95 + Z80 if seeds == 1 else student(seeds - 1) + Z80
    return math.sqrt(0.05 / pictures * ((Z95 + Z80) ** 2 + power**2 / seeds))


def _inside(t: float, freedom: int) -> float:
    """Returns the chance of |T| <= t, a finite sum where `freedom` is whole (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= (k - 1) / k * cosine**2
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
