"""The pictures that excite units most, and what each unit sees of them.

Source: Girshick et al. 2014 (R-CNN), section 3.1, who show the regions that excite units of pool5 most.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from alexnet.data.augment import margin
from alexnet.data.store import Store
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import splits_of
from alexnet.evaluation.features import features, layer_of
from alexnet.models.fields import field_of
from alexnet.observer import Observer
from alexnet.records import Excitation, Excited

BEST = np.dtype([("output", np.float32), ("row", np.int64), ("spot", np.int64)])
"""The largest output of a unit on a picture, the picture's row in the splits, and the place in the unit's map."""


@dataclass(frozen=True)
class Unit:
    """A channel of a convolutional layer, or a unit of a fully connected one."""

    text: str  # as its user wrote it
    layer: str  # of `model.order`
    number: int


def units_of(classifier: Classifier, texts: Sequence[str]) -> list[Unit]:
    """Returns the units that texts such as "conv5:12" name, counted from 0; layers are those of `layer_of`.

    Raises:
        UsageError: There is no such layer or unit, or a text names none.
    """
    blank, units = np.zeros((1, classifier.stored_size, classifier.stored_size, 3), np.uint8), []
    for text in texts:
        name, _, number = text.partition(":")
        layer = layer_of(classifier.model, name)
        count = classifier.outputs(blank, layer).shape[1]
        if not (number.isdecimal() and int(number) < count):
            raise UsageError(f"no unit {text!r}; {name} has {name}:0 to {name}:{count - 1}")
        units.append(Unit(text, layer, int(number)))
    return units


def excite(
    classifier: Classifier, store: Store, units: Sequence[Unit], top: int, split: str | None, observer: Observer
) -> Iterator[Excited]:
    """Yields for each unit the `top` pictures of a store that excite it most, layer by layer.

    Each layer takes one pass over the pictures, and memory does not grow with their number. Outputs above 0 excite a
    unit; of equal ones, the first picture comes first.

    Raises:
        UsageError: `top` is below 1, there is no such split, or the stored pictures are of another size or shape.
    """
    if top < 1:
        raise UsageError(f"`top` is at least 1, got {top}")
    size, splits = classifier.model.input_size, list(splits_of(store, split or "+".join(store.splits)))
    edge = margin(classifier.stored_size, size)
    order = list(dict.fromkeys(unit.layer for unit in units))
    for layer, of_layer in groupby(sorted(units, key=lambda unit: order.index(unit.layer)), lambda unit: unit.layer):
        some, field = list(of_layer), field_of(classifier.model, layer)
        observer.began(f"looking at {layer}")
        best, width = _best(classifier, store, layer, [unit.number for unit in some], top, splits, observer)
        for unit, column in zip(some, best.T, strict=True):
            excitations = []
            for output, row, spot in column[column["output"] > 0].tolist():
                down, across = divmod(spot, width)
                box = field.box(down, across, size, edge)
                excitations.append(Excitation(picture=store.member(row, splits), output=output, field=box))
            yield Excited(unit=unit.text, layer=layer, field=field.side, excitations=tuple(excitations))


def _best(
    classifier: Classifier,
    store: Store,
    layer: str,
    numbers: Sequence[int],
    top: int,
    splits: Sequence[str],
    observer: Observer,
) -> tuple[NDArray[np.void], int]:
    """Returns the most exciting pictures, `BEST` (top, units), each column the best first, and the width of a map."""
    best, rows, width = np.empty((0, len(numbers)), BEST), 0, 1
    for batch in features(classifier, store, layer, 1, splits, observer):
        width = batch.features.shape[-1] if batch.features.ndim == 4 else 1
        maps = batch.features.reshape(*batch.features.shape[:2], -1)[:, numbers]
        new = np.empty(maps.shape[:2], BEST)
        new["output"], new["spot"] = maps.max(2), maps.argmax(2)
        new["row"] = np.arange(rows, rows + len(new))[:, None]
        rows += len(new)
        best = np.concatenate([best, new])
        best = np.take_along_axis(best, np.argsort(-best["output"], 0, kind="stable")[:top], 0)
    return best, width
