"""What fine-tuning gained over frozen features, picture by picture."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.claims.statistics import compare
from alexnet.config import Train
from alexnet.data.store import Store
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import over
from alexnet.evaluation.metrics import interval
from alexnet.files import write
from alexnet.records import Gain, sealed
from alexnet.run import Run

LOOKED_FOR = 0.01
"""The difference that the statistics look for; the interval does not depend on it."""


def measure_gain(run: Run, settings: Train, store: Store, split: str) -> Gain | None:
    """Measures a run's best weights and its head on frozen features on the same pictures, and writes the result down.

    Returns None of a run without a second stage.
    """
    if not run.frozen.is_file() or not settings.epochs:
        return None
    frozen, tuned = (_errors(path, settings, store, split) for path in (run.frozen, run.best))
    difference, n = compare(frozen[None], tuned[None], LOOKED_FOR), len(frozen)
    gain = Gain(
        frozen_error=float(frozen.mean()),
        frozen_interval=interval(float(frozen.mean()), n),
        tuned_error=float(tuned.mean()),
        tuned_interval=interval(float(tuned.mean()), n),
        gain=difference.mean,
        gain_interval=(difference.low, difference.high),
        n=n,
        split=split,
    )
    write(run.gain_file, sealed(gain) + "\n")
    return gain


def _errors(path: Path, settings: Train, store: Store, split: str) -> NDArray[np.float64]:
    """Returns 1 for each picture of a split that the network of a weight file names wrongly, and 0 for the others."""
    classifier, pictures = load(path, numbers=settings.precision), store.splits[split]
    answers = [rows.argmax(1) for _, rows in over(pictures, store.size, classifier.probabilities)]
    return np.asarray(np.concatenate(answers) != pictures.labels, np.float64)
