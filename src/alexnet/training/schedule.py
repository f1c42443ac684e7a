"""The learning rate, as a pure function of the step and of what validation said so far."""

import math
from collections.abc import Sequence

from alexnet.config import Train

DROPS = 3


def learning_rate(train: Train, step: int, total: int, history: Sequence[float]) -> float:
    """Gives the learning rate of one step.

    Args:
        train: `schedule` and what it goes by, `learning_rate`, `rate_batch` and `batch_size`.
        step: Which update, from 0.
        total: Updates of the whole run.
        history: Validation errors so far, oldest first.

    Source: paper section 5, "divide by 10 when the validation error rate stopped improving", three times by hand.
    """
    if train.schedule == "plateau":
        return highest(train) / 10.0 ** plateaus(history, train.patience)
    if train.schedule == "one-cycle":
        return highest(train) * one_cycle((step + 1) / total, train.warm_up)
    if train.schedule == "polynomial":
        return highest(train) * polynomial((step + 1) / total, train.warm_up)
    if train.schedule == "steps":
        return highest(train) / 10.0 ** drops((step + 0.5) / total, train.drops, train.drop_share)
    return highest(train)


def highest(train: Train) -> float:
    """Gives the learning rate at its highest: `learning_rate`, scaled to the batch where that is asked for."""
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


def drops(done: float, count: int, share: float) -> int:
    """Counts the drops so far of `count`, after each of which the rate stays for `share` of the run, the last to 1."""
    return sum(done > 1 - share * left for left in range(1, count + 1))


def plateaus(history: Sequence[float], patience: int) -> int:
    """Counts how often the error failed to improve for `patience` evaluations in a row, 3 at most."""
    best, waited, drops = math.inf, 0, 0
    for error in history:
        waited = 0 if error < best else waited + 1
        best = min(best, error)
        if waited >= patience:
            drops, waited = drops + 1, 0
    return min(drops, DROPS)
