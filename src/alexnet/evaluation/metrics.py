"""How wrong a classifier is: top-k errors, their intervals, confusion, calibration.

Everything is counted from probabilities and labels, batch by batch, so that memory is linear in the number of
classes and does not grow with the number of pictures:

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
from alexnet.records import Bin, Calibration, ClassErrors, Confused, Evaluation, Quarantined

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

SQUARE = 256
"""Classes of the largest confusion matrix that is kept whole; of more, the most frequent mistakes are."""

PAIRS = 1 << 20
"""Pairs of classes that are counted apart, 16 bytes each: all, of up to 1,024 classes."""


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


def balanced_interval(per_class: Sequence[ClassErrors]) -> tuple[float, float]:
    """Returns the lower and upper end, in [0, 1], of the 95 % interval of the mean of the classes' top-1 errors.

    At least one class has pictures. The variance of each class's error is that of its Wilson interval.
    """
    tested = [each for each in per_class if each.n]
    mean = sum(each.top1_error for each in tested) / len(tested)
    half = sum((high - low) ** 2 for low, high in (interval(each.top1_error, each.n) for each in tested)) ** 0.5 / 2
    return max(0.0, mean - half / len(tested)), min(1.0, mean + half / len(tested))


def sure_from(calibration: Calibration, classes: int) -> float:
    """Returns the confidence from which on a network is taken to know what is on a picture, in [0, 1].

    From there on its guesses are right at least halfway between chance and always: (1 + 1/C) / 2 of the time, three
    times of four among two classes and every other time among many. It is read off the reliability diagram, made to
    rise by pooling bins that fall, linearly between them: 0 where every bin is right that often, 1 where none is.

    The bound is ours; pooling: Ayer et al., An empirical distribution function for sampling with incomplete information
    (1955).
    """
    pools: list[Array] = []
    for each in calibration.bins:
        pools.append(np.array([each.n, each.n * each.confidence, each.n * each.accuracy]))
        while len(pools) > 1 and pools[-2][2] * pools[-1][0] >= pools[-1][2] * pools[-2][0]:
            pools[-2:] = [pools[-2] + pools[-1]]
    if not pools or classes < 2:
        return 0.0
    n, confidence, right = np.array(pools).T
    return float(np.interp((1 + 1 / classes) / 2, right / n, confidence / n, left=0.0, right=1.0))


class Confusion:
    """Counts how often each class was taken for each class.

    Of more than 1,024 classes with more than `PAIRS` different mistakes, the rarest are dropped, and the counts of
    those that come back are too low.

    Differs: a tie goes whole to the first of the tied classes, while `topk_errors` divides it among them.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._pairs, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)  # sorted; truth * classes + guess
        self._waiting: list[NDArray[np.int64]] = []

    def add(self, labels: Labels, guesses: Labels) -> None:
        """Counts one batch."""
        self._waiting.append(labels.astype(np.int64) * self._classes + guesses)
        if sum(map(len, self._waiting)) >= max(PAIRS // 16, len(self._pairs)):
            self._merge()

    def matrix(self) -> NDArray[np.int64]:
        """Returns the counts (C, C), row truth, column guess."""
        self._merge()
        cells = np.zeros(self._classes**2, np.int64)
        cells[self._pairs] = self._counts
        return cells.reshape(self._classes, self._classes)

    def mistakes(self, most: int) -> tuple[Confused, ...]:
        """Returns the most frequent mistakes, that first, and of equally frequent ones those of the first classes."""
        self._merge()
        truths, guesses = np.divmod(self._pairs, self._classes)
        wrong = np.flatnonzero(truths != guesses)
        first = wrong[np.argsort(-self._counts[wrong], kind="stable")[:most]]
        rows = zip(truths[first].tolist(), guesses[first].tolist(), self._counts[first].tolist(), strict=True)
        return tuple(Confused(truth=truth, guess=guess, n=n) for truth, guess, n in rows)

    def _merge(self) -> None:
        pairs, where = np.unique(np.concatenate([self._pairs, *self._waiting]), return_inverse=True)
        weights = np.concatenate([self._counts, np.ones(len(where) - len(self._counts), np.int64)])
        counts = np.bincount(where, weights, minlength=len(pairs)).astype(np.int64)
        if len(pairs) > PAIRS:
            frequent = np.sort(np.argpartition(counts, len(counts) - PAIRS // 2)[-PAIRS // 2 :])
            pairs, counts = pairs[frequent], counts[frequent]
        self._pairs, self._counts, self._waiting = pairs, counts, []


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
        self._confusion, self._ties = Confusion(size), 0
        self._counts = np.zeros(size, dtype=np.int64)
        self._errors = np.zeros((2, size), dtype=np.float64)
        self._bins = np.zeros((3, BINS), dtype=np.float64)
        self._loss = 0.0

    @property
    def n(self) -> int:
        """Number of pictures counted so far."""
        return int(self._counts.sum())

    def add(self, probabilities: Probabilities, labels: Labels) -> None:
        """Counts one batch, which may be empty.

        Raises:
            UsageError: The shapes do not fit, a label is out of range, or a probability is NaN or outside
                [0, 1]. The tally is then as it was.
        """
        probabilities, labels = np.asarray(probabilities), np.asarray(labels)
        _check(probabilities, labels, len(self.classes))
        errors = np.stack([topk_errors(probabilities, labels, k) for k in (1, TOP)])
        self._confusion.add(labels, probabilities.argmax(axis=1))
        self._ties += int(((errors > 0) & (errors < 1)).any(axis=0).sum())
        self._counts += np.bincount(labels, minlength=len(self.classes))
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
        trained_on: int | None = None,
        left_out: int = 0,
        is_split_drawn: bool = False,
        quarantined: tuple[Quarantined, ...] = (),
    ) -> Evaluation:
        """Returns the evaluation of everything that was counted.

        With five classes or fewer, five guesses name every class: `top5_error` is then 0 by definition.
        A class without pictures is listed with `n` 0 and errors of 0.

        Each picture was averaged over `views` and `models`. The other arguments are fields of `Evaluation`.

        Raises:
            UsageError: No picture was counted.
        """
        if not self.n:
            raise UsageError(f"nothing to evaluate: split {split!r} gave no picture")
        top1, top5 = (min(1.0, float(total) / self.n) for total in self._errors.sum(axis=1))
        has_pictures, is_square = self._counts > 0, len(self.classes) <= SQUARE
        by_class = self._errors[0, has_pictures] / self._counts[has_pictures]
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
            confusion=tuple(map(tuple, self._confusion.matrix().tolist())) if is_square else (),
            confused=() if is_square else self._confusion.mistakes(len(self.classes)),
            per_class=self._per_class(),
            calibration=calibration(self._bins),
            seconds=seconds,
            loss=self._loss / self.n,
            balanced_error=min(1.0, float(by_class.mean())),
            ties=self._ties,
            trained_on=trained_on,
            left_out=left_out,
            is_split_drawn=is_split_drawn,
            quarantined=quarantined,
        )

    def _per_class(self) -> tuple[ClassErrors, ...]:
        fractions = np.minimum(self._errors / np.maximum(self._counts, 1), 1.0).T.tolist()
        return tuple(
            ClassErrors(name=name, n=int(n), top1_error=top1, top5_error=top5)
            for name, n, (top1, top5) in zip(self.classes, self._counts, fractions, strict=True)
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
