"""Names what is on picture files."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.data import decode
from alexnet.data.imagenet import words
from alexnet.errors import BadImage
from alexnet.evaluation.classifier import Classifier
from alexnet.records import Guess, Prediction

TOGETHER = 32


def predict(classifier: Classifier, paths: Iterable[Path], views: int = 1, top: int = 5) -> Iterator[Prediction]:
    """Yields what is on each picture file, in order, or why it cannot be read.

    Args:
        classifier: The network.
        paths: Picture files.
        views: 1, the centre; or 10.
        top: How many classes to name, most probable first.
    """
    remaining = iter(paths)
    with ThreadPoolExecutor(thread_name_prefix="decode") as threads:
        while some := list(islice(remaining, TOGETHER)):
            pictures = list(threads.map(lambda path: _read(path, classifier), some))
            good = [picture for picture in pictures if not isinstance(picture, BadImage)]
            rows = iter(classifier.probabilities(np.stack(good), views)) if good else iter(())
            for path, picture in zip(some, pictures, strict=True):
                if isinstance(picture, BadImage):
                    yield Prediction(image=str(path), error=picture.reason)
                else:
                    yield Prediction(image=str(path), predictions=_best(next(rows), classifier.classes, top))


def _read(path: Path, classifier: Classifier) -> NDArray[np.uint8] | BadImage:
    try:
        return decode.load(path.read_bytes(), str(path), classifier.stored_size, classifier.square)
    except OSError as error:
        return BadImage(str(path), error.strerror or str(error))
    except BadImage as error:
        return error


def _best(probabilities: NDArray[np.float32], classes: tuple[str, ...], top: int) -> tuple[Guess, ...]:
    order = probabilities.argsort(kind="stable")[::-1][:top]
    return tuple(
        Guess(class_name=classes[i], probability=min(1.0, float(probabilities[i])), words=words(classes[i]) or None)
        for i in order
    )
