"""The training error of a run, read from its metrics as they grow.

It is what the network got wrong on the pictures of the last epoch, each before it was learned from: it costs nothing,
and stays a little above the error measured afterwards, for both arms.
"""

import math
from pathlib import Path

import numpy as np

from alexnet.claims.statistics import LEVEL, Floats
from alexnet.records import StepRow
from alexnet.run import as_row

TENTH = 10  # points of a drawn curve in an epoch


class Curve:
    """The training error of a run, whose metrics are at `path`. An epoch may be a broken number of steps."""

    def __init__(self, path: Path, steps_per_epoch: float) -> None:
        self.path, self.steps_per_epoch = path, steps_per_epoch
        self.window = math.ceil(steps_per_epoch)
        self.rewind()
        self.read()

    def rewind(self) -> None:
        """Forgets everything: a run that is resumed writes its metrics anew, without what was never saved."""
        self.errors: list[float] = []
        self.images_per_s: list[float] = []
        self._position = 0

    def read(self) -> None:
        """Reads the whole lines that were written since; damaged ones, which resuming removes, are left out."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._position)
            lines = file.read()
        end = lines.rfind(b"\n") + 1  # the last line may be written at this moment
        self._position += end
        for row in map(as_row, lines[:end].splitlines()):
            if isinstance(row, StepRow) and row.error is not None and row.images_per_s:
                self.errors.append(row.error)
                self.images_per_s.append(row.images_per_s)

    @property
    def epochs(self) -> float:
        """How far the run is."""
        return len(self.errors) / self.steps_per_epoch

    def latest(self, within: float = math.inf) -> float:
        """Returns the training error of the last of the first `within` epochs, or of all of it while it is shorter."""
        end = min(len(self.errors), math.ceil(min(within, self.epochs) * self.steps_per_epoch))
        return float(np.mean(self.errors[max(0, end - self.window) : end])) if end else 1.0

    def points(self) -> list[tuple[float, float]]:
        """Returns (epochs, training error of the epoch that ended there), a tenth of an epoch apart, and the end."""
        means = self._means()
        chosen = sorted({*range(0, len(means), max(1, self.window // TENTH)), *range(len(means))[-1:]})
        return [((i + self.window) / self.steps_per_epoch, float(means[i])) for i in chosen]

    def reached(self, level: float = LEVEL) -> float | None:
        """Returns the epochs after which an epoch's training error was first at `level`; None if it never was."""
        below = np.flatnonzero(self._means() <= level)
        return float((below[0] + self.window) / self.steps_per_epoch) if len(below) else None

    def _means(self) -> Floats:
        """Returns the mean error of every stretch of an epoch, by its last step."""
        if len(self.errors) < self.window:
            return np.zeros(0)
        sums = np.cumsum([0.0, *self.errors])
        return np.asarray((sums[self.window :] - sums[: -self.window]) / self.window)
