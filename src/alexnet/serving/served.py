"""A trained network under the name that it is served by, proven right, with what its answers say of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet import machine
from alexnet.data.labels import labels
from alexnet.errors import CheckpointError, UsageError
from alexnet.evaluation.classifier import TOGETHER, Classifier, best, load, padded, weight_file
from alexnet.evaluation.metrics import interval
from alexnet.records import Bin
from alexnet.run import Run
from alexnet.serving.answers import Answer, Error, Named
from alexnet.weights import evidence, manifest

SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32)
"""Pictures that may go through a network at a time."""

ROUNDING = 0.05
"""How far a probability may lie from the recorded one in rounded numbers; bf16 moves it by 0.01."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ServedNetwork:
    """A trained network that is served."""

    name: str
    classifier: Classifier
    exact: Classifier  # in float32 on the CPU, for maps
    weights: str  # SHA-256 of the file
    error: Error | None
    bins: tuple[Bin, ...]  # how often the network is right, by its confidence
    sizes: list[int]  # of batches, that give the bits of `alexnet predict`; `prove` finds them

    @cached_property
    def labels(self) -> dict[str, str]:
        """What people call each class."""
        return labels(self.classifier.classes)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose output is a map."""
        return tuple(name for name in self.classifier.model.order if not name.startswith(("fc", "drop")))

    def probabilities(self, pictures: Sequence[Pixels], views: int) -> NDArray[np.float32]:
        """Returns the probabilities of pictures, (N, C): the bits that `alexnet predict` gives."""
        rows = next(size for size in self.sizes if size >= len(pictures))
        return padded(self.classifier, pictures, views, rows)

    def prove(self) -> None:
        """Finds the sizes of batches that give the same bits, and answers the built-in pictures as they were recorded.

        Raises:
            CheckpointError: The answers differ from those recorded, or from one time to the next.
        """
        pictures = [*evidence.pictures(self.classifier.stored_size)]
        right = padded(self.classifier, pictures, 1)
        for size in SIZES:
            some = [pictures[i % 2] for i in range(size)]
            if np.array_equal(
                self.classifier.probabilities(np.stack(some)), np.stack([right[i % 2] for i in range(size)])
            ):
                self.sizes.append(size)
        self._compare(right)

    def _compare(self, answered: NDArray[np.float32]) -> None:
        probe = self.classifier.header.probe
        if TOGETHER not in self.sizes:
            raise CheckpointError(f"{self.name} does not give the same answers twice: this machine computes wrongly")
        if probe is None:
            return
        recorded = torch.tensor(probe.logits, dtype=torch.float64).softmax(1).numpy()
        most = evidence.TOLERANCE if self.classifier is self.exact else ROUNDING
        apart = float(abs(answered - recorded).max())
        if not apart <= most:
            raise CheckpointError(
                f"{self.name} does not answer the built-in pictures as its file records: a probability is off by "
                f"{apart:.2g}, at most {most:g} is rounding; serve it in `precision=float32`, or train it again"
            )

    def answer(self, name: str, probabilities: NDArray[np.float32], top: int, is_alone: bool) -> Answer:
        """Returns what is on a picture, from the probabilities of all classes, (C,), of this network `is_alone`."""
        guesses = best(probabilities, self.classifier.classes, top)
        named = tuple(
            Named(class_name=each.class_name, label=self.labels[each.class_name], probability=each.probability)
            for each in guesses
        )
        calibrated = self._calibrated(named[0].probability) if is_alone else None
        sure = named[0].probability if calibrated is None else calibrated
        return Answer(name=name, guesses=named, calibrated=calibrated, unsure=sure < 0.5)

    def _calibrated(self, confidence: float) -> float | None:
        if not self.bins:
            return None
        points, values = zip(*((each.confidence, each.accuracy) for each in self.bins), strict=True)
        return float(np.interp(confidence, points, values))


def open_runs(runs: Sequence[str | Path], precision: str) -> dict[str, ServedNetwork]:
    """Loads trained networks, name -> network; each gives the outputs that its file records, or is refused.

    Raises:
        UsageError: Two have one name, or a name cannot be part of an address.
        CheckpointError: A network is missing, damaged, untrained, or fails its evidence.
    """
    names = [_name(run) for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of the networks are called {name}: rename the folder of one of them")
    return {name: _opened(name, run, precision) for name, run in zip(names, runs, strict=True)}


def _name(run: str | Path) -> str:
    path = Path(run)
    name = path.absolute().name if path.is_dir() else path.stem
    if not name or not name.isprintable() or {*name} & {*",/?#%"}:
        raise UsageError(f"a network cannot be served under the name {name!r}: rename its folder or file")
    return name


def _opened(name: str, run: str | Path, precision: str) -> ServedNetwork:
    classifier, path = load(run, numbers=precision), weight_file(run)
    is_exact = classifier.dtype == torch.float32 and precision != "int8" and machine.device().type == "cpu"
    exact = classifier if is_exact else load(run, numbers="float32", device="cpu")
    measured, bins = _measured(run, classifier)
    return ServedNetwork(name, classifier, exact, manifest.describe(path).weights.sha256, measured, bins, [])


def _measured(run: str | Path, classifier: Classifier) -> tuple[Error | None, tuple[Bin, ...]]:
    """Returns the error that was last measured of a run, or that its file records, and its calibration."""
    evaluation = Run(run).evaluation() if Path(run).is_dir() else None
    if evaluation is not None:
        low, high = evaluation.top1_interval
        error = Error(top1=evaluation.top1_error, low=low, high=high, split=evaluation.split, pictures=evaluation.n)
        return error, evaluation.calibration.bins
    metrics = classifier.header.metrics
    if metrics is None or not metrics.n:
        return None, ()
    low, high = interval(metrics.top1_error, metrics.n)
    return Error(top1=metrics.top1_error, low=low, high=high, split=metrics.split, pictures=metrics.n), ()
