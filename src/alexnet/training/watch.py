"""Notices a run that will not come to anything, early, and names the likely cause."""

import math
from collections import deque
from collections.abc import Sequence

from torch import nn

from alexnet.config import Train
from alexnet.errors import TrainingError

PATIENCE = 300
WINDOW = 50


class Watch:
    """Follows the loss.

    Args:
        train: The settings, for the remedies.
        counts: Training pictures of each class: the loss of a network that looks at no picture is the entropy of their
            (smoothed) shares, ln C for equal classes.
    """

    def __init__(self, train: Train, counts: Sequence[int]) -> None:
        even = train.label_smoothing / len(counts)
        shares = [even + (1 - train.label_smoothing) * count / sum(counts) for count in counts if count]
        self.train, self.chance = train, -sum(share * math.log(share) for share in shares)
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
        """Looks at the weights, which a last finite loss may have spoiled.

        Raises:
            TrainingError: A weight is NaN or infinite.
        """
        for name, weights in model.named_parameters():
            if not weights.isfinite().all():
                raise self.diverged(f"{name} is not finite any more after step {step}")

    def diverged(self, what: str) -> TrainingError:
        """Gives the error of a run whose numbers grew beyond all bounds, with the remedy."""
        rate = self.train.learning_rate
        return TrainingError(
            f"{what}: the learning rate {rate:g} is too high for this start; "
            f"take a third of it (`learning_rate={rate / 3:.2g}`)"
        )

    def is_dead_at(self, step: int) -> bool:
        """Says whether, `PATIENCE` steps after the start, the loss is still that of guessing."""
        return step == PATIENCE and sum(self.losses) / len(self.losses) > 0.99 * self.chance

    def diagnosis(self, dead_units: dict[str, float]) -> str:
        """Names the likely cause of a dead start.

        Args:
            dead_units: ReLU layer -> share of its units that are zero on a whole batch.
        """
        mean = sum(self.losses) / len(self.losses)
        stuck = f"after {PATIENCE} steps the loss is {mean:.3f}, still that of guessing ({self.chance:.3f}): "
        layer, share = max(dead_units.items(), key=lambda item: item[1], default=("", 0.0))
        is_he = self.train.initialisation == "he"
        if share > 0.5:
            remedy = "lower the learning rate" + " or take initialisation=he" * (not is_he)
            return stuck + f"{share:.0%} of {layer} is dead; {remedy}"
        if not is_he:
            return stuck + "small Gaussian weights start slowly; wait, or take initialisation=he (recipe `modern`)"
        return stuck + "check that the labels belong to the pictures, or raise the learning rate"
