"""Labels that may be wrong, and classes that may be one.

Source: C. Northcutt, L. Jiang, I. Chuang, Confident learning: estimating uncertainty in dataset labels, Journal of
Artificial Intelligence Research 70 (2021): the thresholds, the confident joint, and ranking by a margin. The margin of
logarithms finds more swapped labels than that of probabilities.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from alexnet.auditing.cached_features import CachedFeatures
from alexnet.auditing.heads import Integers
from alexnet.records import ClassPair, Suspect

TINY = 1e-300
MIXED_UP = 0.4  # of 0.5, which is tossing a coin
FEWEST = 20  # pictures of two classes that are compared

Probabilities = NDArray[np.float64]


def margins(chances: Probabilities, labels: Integers) -> Probabilities:
    """Returns how much more probable the given class is than the best other one, (N,), as a logarithm."""
    rows = np.arange(len(labels))
    others = chances.copy()
    others[rows, labels] = 0
    return np.asarray(np.log(chances[rows, labels].clip(TINY)) - np.log(others.max(1).clip(TINY)))


def confident(chances: Probabilities, labels: Integers) -> Integers:
    """Returns the class that each picture confidently belongs to, (N,), or -1 where there is none.

    A picture confidently belongs to the most probable of the classes that are at least as probable as they are on
    average for the pictures that are labelled so.
    """
    own, classes = chances[np.arange(len(labels)), labels], chances.shape[1]
    counts = np.bincount(labels, minlength=classes)
    thresholds = np.where(counts > 0, np.bincount(labels, own, classes) / np.maximum(counts, 1), np.inf)
    above = np.where(chances >= thresholds, chances, -1.0)
    return np.where(above.max(1) >= 0, above.argmax(1), -1)


def suspects(cached: CachedFeatures, chances: Probabilities, labels: Integers) -> Iterator[tuple[int, Suspect]]:
    """Yields row and suspect of the pictures of lowest margin, as many as are off the confident joint's diagonal.

    Of clothing with a twentieth of its labels swapped, these hold more of the swapped ones than those that are off the
    diagonal themselves.
    """
    belongs, by_margin = confident(chances, labels), margins(chances, labels)
    lowest = np.argsort(by_margin, kind="stable")[: np.sum((belongs >= 0) & (belongs != labels))]
    for row in lowest[by_margin[lowest] < 0].tolist():
        best = int(chances[row].argmax())
        yield (
            row,
            Suspect(
                picture=cached.member(row),
                suggested=cached.store.classes[best],
                own_probability=min(1.0, float(chances[row, labels[row]])),
                suggested_probability=min(1.0, float(chances[row, best])),
            ),
        )


def alike(classes: Sequence[str], guesses: Integers, labels: Integers) -> tuple[ClassPair, ...]:
    """Returns the classes whose names differ in case or a plural only, and those that heads cannot tell apart."""
    plain = [name.casefold().replace("_", " ").replace("-", " ").strip() for name in classes]
    by_name = [
        ClassPair(first=classes[a], second=classes[b])
        for a, b in combinations(range(len(classes)), 2)
        if plain[a] == plain[b] or plain[a] in _plurals(plain[b]) or plain[b] in _plurals(plain[a])
    ]
    size = len(classes)
    pairs, counts = np.unique(labels * size + guesses, return_counts=True)
    matrix = dict(zip(pairs.tolist(), counts.tolist(), strict=True))
    by_head = []
    for a, b in sorted({(min(p), max(p)) for p in (divmod(pair, size) for pair in matrix) if p[0] != p[1]}):
        right, wrong = (
            sum(matrix.get(i * size + j, 0) for i, j in each) for each in (((a, a), (b, b)), ((a, b), (b, a)))
        )
        if right + wrong >= FEWEST and wrong >= MIXED_UP * (right + wrong):
            by_head.append(ClassPair(first=classes[a], second=classes[b], mixed_up=min(1.0, wrong / (right + wrong))))
    return (*by_name, *by_head)


def _plurals(name: str) -> tuple[str, ...]:
    return f"{name}s", f"{name}es", f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
