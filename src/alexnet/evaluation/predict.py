"""Names what is on picture files."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.data import squares
from alexnet.data.imagenet import words
from alexnet.errors import BadImage
from alexnet.evaluation.classifier import Classifier

TOGETHER = 32


def predict(classifier: Classifier, paths: Iterable[Path], views: int = 1, top: int = 5) -> Iterator[dict[str, Any]]:
    """Gives an answer for each picture, in order.

    Args:
        classifier: The network.
        paths: Picture files.
        views: 1, the centre; or 10.
        top: Classes to name, most probable first.

    Yields:
        `{"image", "predictions": [{"class", "probability"}, ...]}`, with the "words" for a class of ImageNet; or
        `{"image", "error"}` for a picture that cannot be read.
    """
    remaining = iter(paths)
    with ThreadPoolExecutor(thread_name_prefix="decode") as threads:
        while some := list(islice(remaining, TOGETHER)):
            pictures = list(threads.map(lambda path: _read(path, classifier), some))
            good = [picture for picture in pictures if not isinstance(picture, BadImage)]
            rows = iter(classifier.probabilities(np.stack(good), views)) if good else iter(())
            for path, picture in zip(some, pictures, strict=True):
                if isinstance(picture, BadImage):
                    yield {"image": str(path), "error": picture.reason}
                else:
                    yield {"image": str(path), "predictions": _best(next(rows), classifier.classes, top)}


def _read(path: Path, classifier: Classifier) -> NDArray[np.uint8] | BadImage:
    try:
        return squares.load(path.read_bytes(), str(path), classifier.stored_size, classifier.square)
    except OSError as error:
        return BadImage(str(path), error.strerror or str(error))
    except BadImage as error:
        return error


def _best(probabilities: NDArray[np.float32], classes: tuple[str, ...], top: int) -> list[dict[str, Any]]:
    order = probabilities.argsort(kind="stable")[::-1][:top]
    return [_answer(classes[i], float(probabilities[i])) for i in order]


def _answer(name: str, probability: float) -> dict[str, Any]:
    said = words(name)
    return {"class": name, "probability": probability} | ({"words": said} if said else {})
