"""Notices early that a run will not come to anything, and that the machine has become slow; names the likely cause."""

import math
import os
from collections import deque
from collections.abc import Sequence
from statistics import fmean, stdev

import torch
from torch import nn

from alexnet.config import Train
from alexnet.errors import TrainingError
from alexnet.training.schedule import highest

PATIENCE = 300
"""A start is judged when its rates add up to this many steps at the highest, however long the warm-up is."""

WINDOW = 100
"""Steps whose losses are judged together, half of them against the other half."""

LATEST = 50
"""Steps whose mean loss says whether a network that is tuned loses what it knew."""

CLEAR = 3.0
"""Standard errors of the mean loss by which it must be below that of guessing to count as learning."""

SPAN_S, SLOW = 60.0, 0.5
"""Seconds over which a speed is measured, and the fraction of the highest so far below which it is worth a word."""


class Watch:
    """Follows the loss of a run, whose settings name the remedies.

    From `counts`, the training pictures of each class, follows the loss of a network that looks at no picture: the
    entropy of their (smoothed) frequencies, ln C for equal classes. The losses of a window are compared with it by
    their own spread, since a loss of 5.27 is learning on 200 classes (guessing: 5.30) if it differs by 0.02 from batch
    to batch. A network that `is_tuning` knows something at its start: a loss above ln C says that it loses it.
    """

    def __init__(self, train: Train, counts: Sequence[int], is_tuning: bool = False) -> None:
        even = train.label_smoothing / len(counts)
        if train.class_weights == "balanced":
            counts = [1] * len(counts)
        targets = [even + (1 - train.label_smoothing) * count / sum(counts) for count in counts if count]
        self.train, self.chance = train, -sum(target * math.log(target) for target in targets)
        self.ceiling = math.log(len(counts)) if is_tuning else math.inf
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.full_steps = 0.0  # the rates so far over the highest rate
        self.is_judged = False

    def follow(self, step: int, loss: float, rate: float) -> None:
        """Takes in the loss of a step, and the learning rate of its update.

        Raises:
            TrainingError: The loss is NaN or infinite, or a network that was tuned lost what it knew.
        """
        if not math.isfinite(loss):
            raise self.diverged(f"the loss became {loss} at step {step}")
        self.losses.append(loss)
        top = highest(self.train)
        self.full_steps += rate / top if top else 1.0
        latest = list(self.losses)[-LATEST:]
        if len(latest) == LATEST and fmean(latest) > self.ceiling:
            raise self.diverged(
                f"the loss stands at {fmean(latest):.3f} at step {step}, above ln C = {self.ceiling:.3f}"
            )

    def check(self, step: int, model: nn.Module) -> None:
        """Looks at the weights, which an update after a finite loss may have spoiled.

        Raises:
            TrainingError: A weight is NaN or infinite.
        """
        for name, weights in model.named_parameters():
            if not weights.isfinite().all():
                raise self.diverged(f"{name} is not finite any more after step {step}")

    def diverged(self, what: str) -> TrainingError:
        """Returns the error of a run whose numbers grew beyond all bounds, with the remedy."""
        rate = self.train.learning_rate
        return TrainingError(
            f"{what}: the learning rate {rate:g} is too high for this start; "
            f"take a third of it (`learning_rate={rate / 3:.2g}`)"
        )

    def is_dead_at(self, step: int) -> bool:
        """Returns whether the loss of a start is that of guessing; true at one step at most.

        A loss clearly below guessing ends the watch. One that falls, or is a little below, is judged again later.
        """
        if self.is_judged or step % WINDOW or self.full_steps < PATIENCE or len(self.losses) < WINDOW:
            return False
        error = stdev(self.losses) / math.sqrt(WINDOW)
        below = self.chance - fmean(self.losses)
        is_learning = below > CLEAR * error
        is_dead = below <= error and not self._is_falling()
        self.is_judged = is_learning or is_dead
        return is_dead

    def _is_falling(self) -> bool:
        half = WINDOW // 2
        early, late = list(self.losses)[:half], list(self.losses)[half:]
        return fmean(early) - fmean(late) > CLEAR * math.hypot(stdev(early), stdev(late)) / math.sqrt(half)

    def diagnosis(self, step: int, dead: dict[str, float]) -> str:
        """Returns the likely cause of a dead start; `dead` has each ReLU layer's fraction of units that stay zero."""
        train, loss = self.train, fmean(self.losses)
        start = f"after {step:,} steps the loss is {loss:.3f}, still that of guessing ({self.chance:.3f}): "
        layer, fraction = max(dead.items(), key=lambda item: item[1], default=("", 0.0))
        is_he = train.initialisation in ("he", "measured")
        if fraction > 0.5:
            remedy = "lower the learning rate" + " or take initialisation=he" * (not is_he)
            return start + f"{fraction:.0%} of {layer} is dead; {remedy}"
        if not is_he:
            return start + "small Gaussian weights start slowly; wait, or take initialisation=he (recipe `modern`)"
        dropout = f"take less dropout (`dropout={train.dropout / 5:.2g}`), then " * (train.dropout > 0)
        rates = f"try another rate (`learning_rate={train.learning_rate * 3:.2g}` or `{train.learning_rate / 3:.2g}`)"
        return start + f"{dropout}{rates}; if neither helps, check that the labels belong to the pictures"


class Pace:
    """Notices once that training has become much slower than it was, as it does where programs compete for cores."""

    def __init__(self) -> None:
        self.images, self.seconds, self.highest, self.is_said = 0, 0.0, 0.0, False

    def follow(self, images: int, seconds: float) -> str:
        """Takes in how long a step took; returns a sentence with the remedy if that is worth one, or else ""."""
        self.images, self.seconds = self.images + images, self.seconds + seconds
        if self.seconds < SPAN_S or self.is_said:
            return ""
        speed, self.images, self.seconds = self.images / self.seconds, 0, 0.0
        self.highest = max(self.highest, speed)
        self.is_said = speed < SLOW * self.highest
        return _slow(self.highest, speed, torch.get_num_threads()) if self.is_said else ""


def _slow(before: float, speed: float, threads: int) -> str:
    load = f" (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)" if hasattr(os, "getloadavg") else ""
    remedy = "see what else runs"
    if threads > 1:
        remedy += "; if that has to run, stop and resume with the environment variable OMP_NUM_THREADS=1: one thread"
        remedy += f" loses less to others than {threads}"
    return f"training fell from {before:,.0f} to {speed:,.0f} images/s{load}: {remedy}"
