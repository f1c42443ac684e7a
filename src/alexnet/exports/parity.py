"""Whether an exported file gives the numbers that the network itself gives, in the engine that it is for."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexnet.data import decode
from alexnet.data.open import default_split, open_undecoded
from alexnet.errors import BadImage, ExportError
from alexnet.evaluation.classifier import Classifier
from alexnet.exports.preprocessing import Preprocessing
from alexnet.records import Square
from alexnet.seeds import generator

LIMIT = 1e-4
"""Largest error that passes, over the norm of the output."""

SHOWN = 8


@dataclass(frozen=True)
class Engine:
    """A runtime that holds an exported network; names pictures as a `Classifier` does.

    Attributes:
        name: Of the runtime, with its version.
        run: From what the file takes to probabilities, (N, C).
        outside: The preprocessing where the file has none inside.
        classes: Name of each output.
        stored_size: Side of the pictures that `probabilities` takes, pixels.
        square: How these pictures become square.
    """

    name: str
    run: Callable[[NDArray[Any]], NDArray[np.float32]]
    outside: Preprocessing | None
    classes: tuple[str, ...]
    stored_size: int
    square: Square

    def probabilities(self, pictures: NDArray[np.uint8], views: int = 1) -> NDArray[np.float32]:
        """Gives the probability of each class, (N, C), of stored pictures; of the centre view only."""
        assert views == 1
        return self.run(self.outside(pictures) if self.outside else pictures)


@dataclass(frozen=True)
class Samples:
    """Picture files to compare on, and where they are from, in words."""

    origin: str
    files: list[bytes]


def samples(run: Path, data: str | None) -> Samples:
    """Takes picture files of the data that are named, else of the run's examples; else makes some up.

    Raises:
        UsageError, DataError: There are no such data.
    """
    origin, files = ("the run's examples", _of_run(run)) if data is None else (data, _of_data(data))
    files = [file for file in files if _is_readable(file)]
    return Samples(origin, files) if files else Samples("made-up pictures", _made_up())


def _is_readable(file: bytes) -> bool:
    try:
        decode.decode(file, "sample")
    except BadImage:
        return False
    return True


def _of_run(run: Path) -> list[bytes]:
    try:
        rows = json.loads((run / "examples.json").read_text(encoding="utf-8"))["sample"]
        return [base64.b64decode(row["jpeg"]) for row in rows][:SHOWN]
    except (OSError, ValueError, KeyError, TypeError):  # no run folder, not evaluated yet, or damaged
        return []


def _of_data(data: str) -> list[bytes]:
    source = open_undecoded(data)
    listing = source.splits.get(default_split(source), source.splits["train"])
    return [listing.read(int(i)) for i in np.linspace(0, len(listing) - 1, min(SHOWN, len(listing)))]


def _made_up() -> list[bytes]:
    """JPEGs of coloured clouds, in several shapes."""
    files = []
    for number, size in enumerate([(400, 300), (300, 400), (256, 256), (640, 200)] * (SHOWN // 4)):
        clouds = generator(0, "made-up pictures", number).integers(0, 256, (6, 6, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(clouds).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def compare(engine: Engine, classifier: Classifier, taken: Samples, any_size: bool) -> dict[str, Any]:
    """Compares an engine's probabilities with ours.

    Args:
        engine: With the exported network.
        classifier: The network itself, in float32.
        taken: Picture files.
        any_size: The file resizes by itself: compare also what it makes of whole pictures.

    Returns:
        `engine`, `pictures`, `origin`; `error`, the largest over the pictures of the difference's norm over the
        output's; `same_first`, pictures whose most probable class is the same; with `any_size`, `whole_difference`,
        the largest difference of a probability where the engine resized the decoded picture itself.
    """
    stored = [decode.load(file, "sample", classifier.stored_size, classifier.square) for file in taken.files]
    ours = classifier.probabilities(np.stack(stored))
    theirs = engine.probabilities(np.stack(stored))
    found = {
        "engine": engine.name,
        "pictures": len(stored),
        "origin": taken.origin,
        "error": float((np.linalg.norm(theirs - ours, axis=1) / np.linalg.norm(ours, axis=1)).max()),
        "same_first": int((theirs.argmax(1) == ours.argmax(1)).sum()),
    }
    if any_size:
        whole = [engine.run(decode.decode(file, "sample")[None])[0] for file in taken.files]
        found["whole_difference"] = float(abs(np.stack(whole) - ours).max())
    return found


def require(found: dict[str, Any]) -> None:
    """Refuses a file that does not give our numbers.

    Raises:
        ExportError: The error is above `LIMIT`, or not a number.
    """
    if not found["error"] <= LIMIT:
        raise ExportError(
            f"nothing was written: {found['engine']} gives other numbers than the network, off by "
            f"{found['error']:.1e} of the output's norm (limit {LIMIT:g}); try another version of it"
        )
