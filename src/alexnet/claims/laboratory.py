"""Where the arms are trained and tested: ordinary run folders, begun, continued, or left as they are.

    OUT/runs/without-lrn-0-5f2a81c3/    a run: arm, seed, and a hash of its settings, data and numbers
    OUT/lrn/claim.json, claim.html      an answer

The hash lets claims use each other's runs: the whole network, trained once a seed, is an arm of most.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from alexnet import config, machine
from alexnet.claims import forecast
from alexnet.claims.curve import Curve
from alexnet.config import Train, Value
from alexnet.data.listing import spread
from alexnet.data.store import Store
from alexnet.errors import DataError
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import over
from alexnet.evaluation.metrics import topk_errors
from alexnet.files import write
from alexnet.foreign.trained import TrainedNetwork
from alexnet.observer import Observer
from alexnet.records import Description, Fraction, Record, read, sealed
from alexnet.run import Run
from alexnet.training.loop import begin
from alexnet.training.plan import total_steps

MOST_TRAINING_PICTURES = 5000  # that a trained network is tested on


class Stopped(Exception):
    """The observer asked to stop; everything so far is saved."""


class _TrainingError(Record, frozen=True):
    top1_error: Fraction


@dataclass(frozen=True)
class FinishedRun:
    """A finished run of an arm; `images` are the pictures that it was trained on, with repetitions."""

    arm: str
    seed: int
    folder: Path
    images: int
    description: Description


@dataclass(frozen=True)
class Laboratory:
    """What all runs of an experiment have in common; the folder `out` holds all experiments.

    Arms that fit their head first start from the network `origin`.
    """

    store: Store
    out: Path
    observer: Observer
    origin: TrainedNetwork | None = None

    def run(self, arm: str, settings: Train) -> Run:
        """Returns the run folder of an arm, of which settings, data and numbers each have their own.

        The name holds a hash of the settings that differ from the defaults, so that a setting which is new in a later
        version changes no name. Version 0.1 hashed all settings, in its own order, which its `config.json` keeps.
        """
        numbers, runs, start = str(machine.dtype(settings.precision)), self.out / "runs", f"{arm}-{settings.seed}-"
        defaults = config.to_json(Train())
        own = {name: value for name, value in sorted(config.to_json(settings).items()) if value != defaults[name]}
        own |= {"origin": self.origin.sha256} if self.origin and settings.head_first else {}
        run = Run(runs / f"{start}{self._hash(own, numbers)}")
        if run.folder.exists():
            return run
        for earlier in map(Run, sorted(runs.glob(f"{start}*"))):
            if earlier.is_begun(settings, self.store):
                saved = earlier.description().train or {}
                if earlier.folder.name == f"{start}{self._hash(saved, numbers)}":
                    return earlier
        return run

    def is_finished(self, arm: str, settings: Train) -> bool:
        """Returns whether a run needs no more training."""
        run = self.run(arm, settings)
        return run.exists and run.description().seconds is not None

    def train(self, arm: str, settings: Train, until: Callable[[], bool] = lambda: False) -> None:
        """Trains a run to its end, or as far as `until` says after a step, or continues it.

        Raises:
            Stopped: The observer asked to stop.
        """
        run, source = self.run(arm, settings), self.store.location
        origin = self.origin if settings.head_first else None
        with begin(settings, self.store, source, run, self.observer, goes_on=True, trained=origin) as training:
            is_complete = training.run(until)
        if not is_complete and self.observer.should_stop():
            raise Stopped

    def finish(self, arm: str, settings: Train) -> FinishedRun:
        """Trains a run to its end, unless it is there already, and removes the file to resume from.

        Raises:
            Stopped: The observer asked to stop.
        """
        if not self.is_finished(arm, settings):
            self.observer.began(f"{arm}, seed {settings.seed}")
            self.train(arm, settings)
        run = self.run(arm, settings)
        run.last.unlink(missing_ok=True)
        return FinishedRun(
            arm, settings.seed, run.folder, self.steps(settings) * settings.batch_size, run.description()
        )

    def steps(self, settings: Train) -> int:
        """Returns the updates of a whole run."""
        return total_steps(settings, len(self.store.splits["train"]))

    def seconds_per_step(self, settings: Train) -> float:
        """Measures how long an update takes."""
        return forecast.seconds_per_step(settings, len(self.store.classes))

    def curve(self, run: Run, settings: Train) -> Curve:
        """Returns the training error of a run so far."""
        return Curve(run.metrics, len(self.store.splits["train"]) / settings.batch_size)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The true classes of the test pictures: all that were not trained on."""
        return np.concatenate([self.store.splits[name].labels for name in self._tested])

    def answers(self, trained: FinishedRun, views: int) -> NDArray[np.float32]:
        """Returns the probability of each class for every test picture, (N, C), at 1 view or 10.

        They are computed once and kept in the run folder; a damaged file is computed anew.
        """
        path = trained.folder / f"answers-{views}-views.npy"
        answers = _read_answers(path, (len(self.labels), len(self.store.classes)))
        if answers is None:
            answers = self._ask(trained, self._tested, views)
            content = io.BytesIO()
            np.save(content, answers)
            write(path, content.getvalue() + _checksum(content.getvalue()))
        return answers

    def training_error(self, trained: FinishedRun) -> float:
        """Returns the fraction of its training pictures that a network names wrongly, at the centre view.

        Of more than `MOST_TRAINING_PICTURES` it is tested on so many, evenly spread. The error is kept as answers are.
        """
        path = trained.folder / "training-error.json"
        try:
            return read(_TrainingError, path.read_bytes(), path, DataError, "").top1_error
        except (FileNotFoundError, DataError):
            labels = self.store.splits["train"].labels
            chosen = np.array(spread(len(labels), MOST_TRAINING_PICTURES))
            error = float(topk_errors(self._ask(trained, ["train"], 1, chosen), labels[chosen], 1).mean())
            write(path, sealed(_TrainingError(top1_error=error)))
            return error

    @property
    def _tested(self) -> list[str]:
        return [name for name in self.store.splits if name != "train"]

    def _ask(
        self, trained: FinishedRun, splits: Sequence[str], views: int, chosen: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Returns the probabilities of the pictures of splits, or of the chosen ones of each."""
        settings = trained.description.settings
        classifier = load(trained.folder, numbers=settings.precision if settings else "auto")
        ask = partial(classifier.probabilities, views=views)
        batches = (over(self.store.splits[name], self.store.size, ask, chosen=chosen) for name in splits)
        return np.concatenate([answers for split in batches for _, answers in split])

    def _hash(self, settings: Mapping[str, Value], numbers: str) -> str:
        facts = json.dumps([settings, self.store.content_hash, numbers]).encode()
        return blake2b(facts, digest_size=4).hexdigest()


def _read_answers(path: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """Returns the probabilities that a .npy file holds; None if there is none, or it is damaged or of other data.

    A checksum follows the array, except in a file of version 0.1.
    """
    expected = io.BytesIO()  # numpy's own parser of headers fails in many ways
    np.lib.format.write_array_header_1_0(expected, {"descr": "<f4", "fortran_order": False, "shape": shape})
    header, data = expected.getvalue(), path.read_bytes() if path.is_file() else b""
    length = len(header) + 4 * shape[0] * shape[1]
    array, checksum = data[:length], data[length:]
    if not array.startswith(header) or len(array) != length or checksum not in (b"", _checksum(array)):
        return None
    answers = np.frombuffer(array, np.float32, offset=len(header)).reshape(shape)
    return answers if bool(np.isfinite(answers).all()) else None


def _checksum(array: bytes) -> bytes:
    return crc32(array).to_bytes(4, "little")
