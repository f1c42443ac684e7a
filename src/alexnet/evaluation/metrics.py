"""How wrong a classifier is: top-k errors, their intervals, confusion, calibration.

Everything is counted from probabilities and labels, batch by batch, so that memory grows with the number of
classes and never with the number of pictures:

    tally = Tally(classes)
    for probabilities, labels in batches:
        tally.add(probabilities, labels)
    evaluation = tally.evaluation(views=10, models=1, split="val", seconds=12.5)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import UsageError
from alexnet.records import Bin, Calibration, ClassErrors, Evaluation, Quarantined

Probabilities = NDArray[np.floating[Any]]
"""(N, C), in [0, 1]."""

Labels = NDArray[np.integer[Any]]
"""(N,), in 0..C-1."""

Array = NDArray[np.float64]

TOP = 5
BINS = 15
Z95 = 1.959963984540054
EXCESS = 1e-3
"""How far rounding may lift a probability above 1."""


def topk_errors(probabilities: Probabilities, labels: Labels, k: int) -> Array:
    """Returns the top-k error of each picture, (N,), in [0, 1]; `k` is at least 1.

    With g classes above the true class and e level with it (itself included), the k places hold the true
    class with chance min(1, max(0, k - g) / e); the error is what is missing to 1. Without ties it is 0 or 1.
    With k >= C every class has a place and the error is 0.

    Source: `kMultiSoftmaxCost` of cuda-convnet2 (`layer_kernels.cu`), which the 2012 system shares.
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    bigger = (probabilities > own).sum(axis=1)
    level = (probabilities == own).sum(axis=1)
    return np.asarray(1.0 - np.clip((k - bigger) / level, 0.0, 1.0), dtype=np.float64)


def interval(error: float, n: int) -> tuple[float, float]:
    """Returns the lower and upper end, in [0, 1], of the 95 % Wilson interval of an error measured on `n` pictures.

    `n` is at least 1; ties may make `error * n` fractional.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    weight = Z95**2 / n
    centre = (error + weight / 2) / (1 + weight)
    half = Z95 / (1 + weight) * (error * (1 - error) / n + weight / (4 * n)) ** 0.5
    return min(error, max(0.0, centre - half)), max(error, min(1.0, centre + half))


def confusion_matrix(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Returns how often each class (row) was taken for each class (column), (C, C).

    Differs: a tie goes whole to the first of the tied classes, while `topk_errors` divides it among them.
    """
    classes = probabilities.shape[1]
    cells = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def calibration(sums: Array) -> Calibration:
    """Returns the reliability diagram and the expected calibration error.

    `sums` are (3, B): for each bin the summed confidence, the summed correctness and the count.

    Source: Guo et al., On calibration of modern neural networks (2017), with its 15 bins of equal width.
    """
    confidence, correct, n = sums[:, sums[2] > 0]
    bins = tuple(
        Bin(confidence=min(1.0, float(c / m)), accuracy=min(1.0, float(a / m)), n=int(m))
        for c, a, m in zip(confidence, correct, n, strict=True)
    )
    ece = float(np.abs(confidence - correct).sum() / n.sum()) if len(n) else 0.0
    return Calibration(ece=ece, bins=bins)


class Tally:
    """Counts an evaluation batch by batch; the class names are in label order.

    Raises:
        UsageError: There is no class.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        if not classes:
            raise UsageError("an evaluation needs at least one class, got none")
        self.classes = tuple(classes)
        size = len(self.classes)
        self._confusion = np.zeros((size, size), dtype=np.int64)
        self._errors = np.zeros((2, size), dtype=np.float64)
        self._bins = np.zeros((3, BINS), dtype=np.float64)
        self._loss = 0.0

    @property
    def n(self) -> int:
        """Number of pictures counted so far."""
        return int(self._confusion.sum())

    def add(self, probabilities: Probabilities, labels: Labels) -> None:
        """Counts one batch, which may be empty.

        Raises:
            UsageError: The shapes do not fit, a label is out of range, or a probability is NaN or outside
                [0, 1]. The tally is then as it was.
        """
        probabilities, labels = np.asarray(probabilities), np.asarray(labels)
        _check(probabilities, labels, len(self.classes))
        errors = [topk_errors(probabilities, labels, k) for k in (1, TOP)]
        self._confusion += confusion_matrix(probabilities, labels)
        self._errors += [np.bincount(labels, e, minlength=len(self.classes)) for e in errors]
        self._loss -= float(np.log(probabilities[np.arange(len(labels)), labels].clip(1e-12)).sum())
        self._bins += _binned(probabilities.max(axis=1).astype(np.float64), 1.0 - errors[0])

    def evaluation(
        self,
        *,
        views: int,
        models: int,
        split: str,
        seconds: float,
        is_split_drawn: bool = False,
        quarantined: tuple[Quarantined, ...] = (),
    ) -> Evaluation:
        """Returns the evaluation of everything that was counted.

        With five classes or fewer, five guesses name every class: `top5_error` is then 0 by definition.
        A class without pictures is listed with `n` 0 and errors of 0.

        Each picture was averaged over `views` and `models`. `is_split_drawn` says that the split was held out of
        the training pictures; `quarantined` are its pictures that were left out.

        Raises:
            UsageError: No picture was counted.
        """
        if not self.n:
            raise UsageError(f"nothing to evaluate: split {split!r} gave no picture")
        top1, top5 = (min(1.0, float(total) / self.n) for total in self._errors.sum(axis=1))
        return Evaluation(
            top1_error=top1,
            top5_error=top5,
            n=self.n,
            views=views,
            models=models,
            split=split,
            top1_interval=interval(top1, self.n),
            top5_interval=interval(top5, self.n),
            classes=self.classes,
            confusion=tuple(map(tuple, self._confusion.tolist())),
            per_class=self._per_class(),
            calibration=calibration(self._bins),
            seconds=seconds,
            loss=self._loss / self.n,
            is_split_drawn=is_split_drawn,
            quarantined=quarantined,
        )

    def _per_class(self) -> tuple[ClassErrors, ...]:
        counts = self._confusion.sum(axis=1)
        fractions = np.minimum(self._errors / np.maximum(counts, 1), 1.0).T.tolist()
        return tuple(
            ClassErrors(name=name, n=int(n), top1_error=top1, top5_error=top5)
            for name, n, (top1, top5) in zip(self.classes, counts, fractions, strict=True)
        )


def _binned(confidence: Array, correct: Array) -> Array:
    """Confidence, correctness and count summed by bin; a confidence on an edge falls into the lower bin."""
    where = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    ones = np.ones_like(confidence)
    return np.stack([np.bincount(where, w, minlength=BINS) for w in (confidence, correct, ones)])


def _check(probabilities: Probabilities, labels: Labels, classes: int) -> None:
    """Raises UsageError where a batch cannot be counted."""
    if probabilities.ndim != 2 or probabilities.shape[1] != classes:
        raise UsageError(f"probabilities must have shape (N, {classes}), got {probabilities.shape}")
    if labels.shape != probabilities.shape[:1]:
        raise UsageError(f"labels must have shape ({len(probabilities)},), got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(f"labels must be integers, got {labels.dtype}")
    if np.isnan(probabilities).any():
        raise UsageError("probabilities must be numbers, got NaN: the weights have diverged")
    for label in labels[(labels < 0) | (labels >= classes)][:1]:
        raise UsageError(f"labels must lie in 0..{classes - 1}, got {label}")
    for value in probabilities[(probabilities < 0) | (probabilities > 1 + EXCESS)][:1]:
        raise UsageError(f"probabilities must lie in [0, 1], got {value:g}: apply softmax to logits first")
