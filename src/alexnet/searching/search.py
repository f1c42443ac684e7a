"""The pictures of an index that are nearest to picture files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import BadImage
from alexnet.evaluation.classifier import Classifier
from alexnet.records import Neighbour
from alexnet.searching.grow import thumbnail
from alexnet.searching.index import Index

TOGETHER = 32
"""Picture files that go through the network at a time."""


@dataclass(frozen=True)
class Query:
    """A query, small, as a JPEG file, and its nearest pictures, the nearest first."""

    image: str
    thumbnail: bytes
    neighbours: tuple[Neighbour, ...]


def search(index: Index, classifier: Classifier, paths: Iterable[Path], k: int) -> Iterator[Query | BadImage]:
    """Yields the k nearest pictures of each picture file, in order, or why the file cannot be read.

    The classifier is the index's network.

    Raises:
        UsageError: k is below 1.
    """
    remaining = iter(paths)
    while some := list(islice(remaining, TOGETHER)):
        pictures = [classifier.read_or_reason(path) for path in some]
        good = [picture for picture in pictures if not isinstance(picture, BadImage)]
        rows = iter(index.nearest(_vectors(index, classifier, good), k) if good else ())
        for path, picture in zip(some, pictures, strict=True):
            if isinstance(picture, BadImage):
                yield picture
            else:
                yield Query(str(path), thumbnail(picture), next(rows))


def _vectors(index: Index, classifier: Classifier, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    return classifier.outputs(np.stack(pictures), index.contents.layer).reshape(len(pictures), -1)
