"""Notices early that a run will not come to anything, and names the likely cause."""

import math
from collections import deque
from collections.abc import Sequence

from torch import nn

from alexnet.config import Train
from alexnet.errors import TrainingError

PATIENCE = 300
WINDOW = 50


class Watch:
    """Follows the loss of a run, whose settings name the remedies.

    From `counts`, the training pictures of each class, follows the loss of a network that looks at no picture: the
    entropy of their (smoothed) frequencies, ln C for equal classes.
    """

    def __init__(self, train: Train, counts: Sequence[int]) -> None:
        even = train.label_smoothing / len(counts)
        targets = [even + (1 - train.label_smoothing) * count / sum(counts) for count in counts if count]
        self.train, self.chance = train, -sum(target * math.log(target) for target in targets)
        self.losses: deque[float] = deque(maxlen=WINDOW)

    def follow(self, step: int, loss: float) -> None:
        """Takes in the loss of a step.

        Raises:
            TrainingError: The loss is NaN or infinite.
        """
        if not math.isfinite(loss):
            raise self.diverged(f"the loss became {loss} at step {step}")
        self.losses.append(loss)

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
        """Returns whether the loss is still that of guessing, at the one step `PATIENCE` after the start."""
        return step == PATIENCE and self._mean() > 0.99 * self.chance

    def diagnosis(self, dead: dict[str, float]) -> str:
        """Returns the likely cause of a dead start; `dead` has each ReLU layer's fraction of units that stay zero."""
        start = f"after {PATIENCE} steps the loss is {self._mean():.3f}, still that of guessing ({self.chance:.3f}): "
        layer, fraction = max(dead.items(), key=lambda item: item[1], default=("", 0.0))
        is_he = self.train.initialisation in ("he", "measured")
        if fraction > 0.5:
            remedy = "lower the learning rate" + " or take initialisation=he" * (not is_he)
            return start + f"{fraction:.0%} of {layer} is dead; {remedy}"
        if not is_he:
            return start + "small Gaussian weights start slowly; wait, or take initialisation=he (recipe `modern`)"
        return start + "check that the labels belong to the pictures, or raise the learning rate"

    def _mean(self) -> float:
        return sum(self.losses) / len(self.losses)
