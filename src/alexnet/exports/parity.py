"""Whether an exported file gives the same numbers in its engine as the network itself."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data import decode
from alexnet.data.listing import spread
from alexnet.data.open import default_split, open_undecoded
from alexnet.errors import BadImage, CheckpointError, ExportError
from alexnet.evaluation.classifier import Classifier
from alexnet.exports.format import Engine, Input, PreprocessingSteps
from alexnet.records import Parity, Square
from alexnet.run import Run
from alexnet.seeds import generator

LIMIT, SHOWN = 1e-4, 8
"""The largest error that passes, over the norm of the output; and how many pictures are compared at most."""

LEAST = 1e-37
"""The least probability that float32 holds with all its digits; smaller ones count as this."""


@dataclass(frozen=True)
class ExportedNetwork:
    """A file in its engine, with the preprocessing that it does not do itself; it classifies as a `Classifier` does."""

    original: Classifier
    content: bytes
    engine: Engine
    outside: PreprocessingSteps | None

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each output."""
        return self.original.classes

    @property
    def stored_size(self) -> int:
        """Side of the pictures it takes, pixels."""
        return self.original.stored_size

    @property
    def square(self) -> Square:
        """How its pictures become square."""
        return self.original.square

    def probabilities(self, pictures: NDArray[np.uint8], views: int = 1) -> NDArray[np.float32]:
        """Returns the probability of each class, (N, C), for the centre view of stored pictures."""
        assert views == 1
        return self.engine.run(self.input(pictures))

    def input(self, pictures: NDArray[np.uint8]) -> Input:
        """Returns the input of the file, for stored pictures (N, S, S, 3)."""
        return self.outside(pictures) if self.outside else pictures


@dataclass(frozen=True)
class Samples:
    """Picture files to compare on, and where they are from, in words."""

    origin: str
    files: list[bytes]


def samples(run: Path, data: str | None) -> Samples:
    """Reads picture files of the data or, without data, of the run's examples; makes some up if none can be read.

    Raises:
        UsageError: There are no such data.
        DataError: The data are damaged.
    """
    origin, files = ("the run's examples", _of_run(run)) if data is None else (data, _of_data(data))
    files = [file for file in files if _is_readable(file)]
    return Samples(origin, files) if files else Samples("made-up pictures", _made_up())


def _is_readable(file: bytes) -> bool:
    try:
        return decode.decode(file, "sample") is not None
    except BadImage:
        return False


def _of_run(run: Path) -> list[bytes]:
    try:
        examples = Run(run).examples()
    except (CheckpointError, OSError):  # A damaged file, or one that this user may not read, has no examples.
        return []
    return [example.jpeg for example in examples.sample[:SHOWN]] if examples else []


def _of_data(data: str) -> list[bytes]:
    source = open_undecoded(data)
    listing = source.splits.get(default_split(source), source.splits["train"])
    return [listing.read(i) for i in spread(len(listing), SHOWN)]


def _made_up() -> list[bytes]:
    files = []
    for number, size in enumerate([(400, 300), (300, 400), (256, 256), (640, 200)] * 2):
        # A few random pixels, enlarged, make coloured clouds: JPEG would blur noise.
        clouds = generator(0, "made-up pictures", number).integers(0, 256, (6, 6, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(clouds).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def compare(exported: ExportedNetwork, pictures: Samples, any_size: bool) -> Parity:
    """Compares the probabilities of an exported network with those of the original, and their logits, in float32.

    Of a network that is sure, all probabilities are nearly 0 or 1, whatever its logits are.

    With `any_size` it also compares what the file makes of whole pictures, which it resizes by itself.
    """
    classifier = exported.original
    square = [decode.load(file, "sample", classifier.stored_size, classifier.square) for file in pictures.files]
    ours, theirs = (each.probabilities(np.stack(square)) for each in (classifier, exported))
    whole = None
    if any_size:
        answers = [exported.engine.run(decode.decode(file, "sample")[None])[0] for file in pictures.files]
        whole = float(abs(np.stack(answers) - ours).max())
    return Parity(
        engine=exported.engine.name,
        pictures=len(square),
        origin=pictures.origin,
        error=float((np.linalg.norm(theirs - ours, axis=1) / np.linalg.norm(ours, axis=1)).max()),
        logit_error=_logit_error(ours, theirs),
        same_first=int((theirs.argmax(1) == ours.argmax(1)).sum()),
        whole_difference=whole,
    )


def _logit_error(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Returns the norm of the logits' difference over that of our logits, at least 1: the largest of all pictures.

    Logits are logarithms of the probabilities but for one number a picture, so their mean is taken off.
    """
    logits = [np.log(np.maximum(each, LEAST, dtype=np.float64)) for each in (ours, theirs)]
    centred = [each - each.mean(1, keepdims=True) for each in logits]
    norm = np.maximum(np.linalg.norm(centred[0], axis=1), 1.0)
    return float((np.linalg.norm(centred[1] - centred[0], axis=1) / norm).max())


def require(parity: Parity) -> None:
    """Refuses a file that does not give our numbers.

    Raises:
        ExportError: An error is above `LIMIT`, or not a number.
    """
    for error, what in ((parity.error, "output's"), (parity.logit_error, "logits'")):
        if error is not None and not error <= LIMIT:
            raise ExportError(
                f"nothing was written: {parity.engine} gives other numbers than the network, off by {error:.1e} of "
                f"the {what} norm (limit {LIMIT:g}); try another version of it"
            )
