"""The loss that training minimises, and how much each class counts in it."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from alexnet.config import Train
from alexnet.data.store import Store
from alexnet.errors import UsageError


def class_weights(settings: Train, store: Store) -> Tensor | None:
    """Returns the weight of each class in the loss, (C,) float32; None where all pictures count alike.

    Balanced, a class with k of the n training pictures has the weight n / (C k): every class has the same share of the
    whole, and the mean over the training pictures is 1, so that learning rates keep their meaning.

    Raises:
        UsageError: Classes are to be balanced, and one has no training pictures.
    """
    if settings.class_weights == "none":
        return None
    counts = np.bincount(store.splits["train"].labels, minlength=len(store.classes))
    if not counts.all():
        raise UsageError(
            f"{store.classes[int(counts.argmin())]!r} has no training pictures, so that classes cannot be balanced: "
            "add some, or take `class_weights=none`"
        )
    return torch.from_numpy((counts.sum() / (len(counts) * counts)).astype(np.float32))


def cross_entropy(scores: Tensor, labels: Tensor, class_weights: Tensor | None, smoothing: float = 0.0) -> Tensor:
    """Returns the mean cross entropy of a batch in nats.

    The weight of a picture's own class multiplies its whole loss, and the sum is divided by the number of pictures.

    Differs: `F.cross_entropy(weight=...)` divides by the sum of the weights of a batch, so that the parts of a batch
    which the processes of a team have would not add up to its loss; and it weighs a smoothed target class by class,
    which would favour rare classes in every picture.

    Args:
        scores: (N, C) float32, logits.
        labels: (N,) int64.
        class_weights: (C,); None weighs all pictures alike.
        smoothing: Fraction of the target that is spread over all classes.
    """
    if class_weights is None:
        return F.cross_entropy(scores, labels, label_smoothing=smoothing)
    losses = F.cross_entropy(scores, labels, label_smoothing=smoothing, reduction="none")
    return (losses * class_weights.to(scores.device)[labels]).mean()
