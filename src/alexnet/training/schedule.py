"""The learning rate, as a pure function of the step and of the validation errors so far."""

import math
from collections.abc import Sequence

from alexnet.config import Train

DROPS = 3


def learning_rate(train: Train, step: int, total: int, history: Sequence[float]) -> float:
    """Returns the learning rate of update `step`, from 0, of `total`; `history` has the validation errors so far.

    Source: paper section 5, "divide by 10 when the validation error rate stopped improving", three times by hand.
    """
    top = highest(train)
    match train.schedule:
        case "plateau":
            return top / 10.0 ** plateaus(history, train.patience)
        case "steps":
            return top / 10.0 ** drops((step + 0.5) / total, train.drops, train.drop_share)
        case "one-cycle":
            return top * one_cycle((step + 1) / total, train.warm_up)
        case "polynomial":
            return top * polynomial((step + 1) / total, train.warm_up)
        case "constant":
            return top


def highest(train: Train) -> float:
    """Returns the learning rate at its highest: `learning_rate`, scaled to the batch where `rate_batch` is set."""
    return train.learning_rate * (train.batch_size / (train.rate_batch or train.batch_size))


def one_cycle(done: float, warm_up: float) -> float:
    """Rises from 0 to 1 along a straight line until `warm_up`, then falls to 0 at 1 along a cosine."""
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))) if warm_up < 1 else 1.0


def polynomial(done: float, warm_up: float) -> float:
    """Rises from 0 to 1 along a straight line until `warm_up`, then falls to 0 at 1 along a parabola.

    Source: You, Gitman, Ginsburg 2017, Large Batch Training of Convolutional Networks: "poly" of power 2.
    """
    if done < warm_up:
        return done / warm_up
    return ((1 - done) / (1 - warm_up)) ** 2 if warm_up < 1 else 1.0


def drops(done: float, count: int, spacing: float) -> int:
    """Counts the drops so far; the `count` drops divide the end of the run into stretches of length `spacing`."""
    return sum(done > 1 - spacing * left for left in range(1, count + 1))


def plateaus(history: Sequence[float], patience: int) -> int:
    """Counts how often the error failed to improve for `patience` evaluations in a row, `DROPS` at most."""
    best, waited, drops = math.inf, 0, 0
    for error in history:
        waited = 0 if error < best else waited + 1
        best = min(best, error)
        if waited >= patience:
            drops, waited = drops + 1, 0
    return min(drops, DROPS)
