"""Top-1 and top-5 error of one network, or of several averaged, over splits of a store."""

import base64
import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from alexnet.data.batches import prefetch
from alexnet.data.pictures import Pictures
from alexnet.data.store import Split, Store
from alexnet.errors import UsageError
from alexnet.evaluation.metrics import Tally
from alexnet.team import ALONE, Team

SHOWN = 8
BATCH = 128


class Namer(Protocol):
    """A `Classifier`, or another engine with the same network."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each output."""

    @property
    def stored_size(self) -> int:
        """Side of the pictures it takes, pixels."""

    def probabilities(self, pictures: NDArray[np.uint8], views: int = 1) -> NDArray[np.float32]:
        """Gives (N, C) of pictures (N, S, S, 3), averaged over 1 or 10 views."""


def evaluate(
    classifiers: Sequence[Namer],
    store: Store,
    split: str = "val",
    views: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    team: Team = ALONE,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measures errors; every picture is counted exactly once.

    Args:
        classifiers: One, or several whose probabilities are averaged as the paper averages its CNNs.
        store: Where the pictures are.
        split: `val`, `test`, ..., or several joined by `+`.
        views: 1 or 10.
        on_progress: Called with pictures done and in all.
        team: Processes that share the pictures; each gets the whole result.

    Returns:
        The contents of `evaluation.json` and of `examples.json`.

    Raises:
        UsageError: There is no such split, a class is unknown to a network, or the networks do not fit together.
    """
    start = time.monotonic()
    parts = _splits(store, split)
    classes = classifiers[0].classes
    translations = _translate(classifiers, store)
    tally, gallery = Tally(classes), _Gallery(classes, store)
    total, done, loss = sum(map(len, parts)), 0, 0.0
    chosen = set(np.linspace(0, total - 1, min(SHOWN, total)).astype(int).tolist())
    for part in parts:
        for indices, pictures in _read(part, store.size, team):
            probabilities = np.mean([c.probabilities(pictures, views) for c in classifiers], 0)
            probabilities = team.whole(probabilities, len(indices))
            labels = translations[part.labels[indices]]
            tally.add(probabilities, labels)
            loss -= float(np.log(probabilities[np.arange(len(labels)), labels].clip(1e-12)).sum())
            for row, index in enumerate(indices):
                gallery.look(part, int(index), probabilities[row], int(labels[row]), done + row in chosen)
            done += len(indices)
            on_progress(done, total)
    summary = tally.summary(views=views, models=len(classifiers), split=split, seconds=time.monotonic() - start)
    summary["loss"] = loss / total
    summary["is_split_drawn"] = store.is_split_drawn
    summary["quarantined"] = [msgspec.to_builtins(bad) for bad in store.quarantine if bad.split in split.split("+")]
    return summary, gallery.examples()


def _splits(store: Store, names: str) -> list[Split]:
    chosen = list(dict.fromkeys(names.split("+")))
    for name in chosen:
        if name not in store.splits:
            raise UsageError(f"the data have no split {name!r}; there are {', '.join(store.splits)}")
    return [store.splits[name] for name in chosen]


def _translate(classifiers: Sequence[Namer], store: Store) -> NDArray[np.int64]:
    """Gives, for each class of the data, its place among the networks' outputs, by name."""
    classes = classifiers[0].classes
    for classifier in classifiers:
        if classifier.classes != classes:
            raise UsageError("networks of different classes cannot be averaged; train them on the same data")
        if classifier.stored_size != store.size:
            raise UsageError(
                f"the network takes pictures of {classifier.stored_size} pixels, the store holds {store.size}; "
                "pack the pictures again with --size, or give the folder of pictures itself"
            )
    unknown = [name for name in store.classes if name not in classes]
    if unknown:
        raise UsageError(f"the network does not know the class {unknown[0]!r}; it knows {', '.join(classes[:10])}")
    return np.array([classes.index(name) for name in store.classes], np.int64)


def _read(split: Split, size: int, team: Team) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Gives the indices of a batch, and this process's share of its pictures."""
    pictures = Pictures(split, size, memory_budget=0)
    together = BATCH * team.images.count

    def batch(number: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        indices = np.arange(number * together, min((number + 1) * together, len(split)))
        return indices, pictures.read(team.share(indices))

    try:
        yield from prefetch(batch, range(-(-len(split) // together)))
    finally:
        pictures.close()


class _Gallery:
    """Keeps a few pictures spread over the split, and the most confident mistakes."""

    def __init__(self, classes: Sequence[str], store: Store) -> None:
        self.classes, self.store = classes, store
        self.sample: list[dict[str, Any]] = []
        self.mistakes: list[tuple[float, int, dict[str, Any]]] = []
        self.order = count()

    def look(self, split: Split, index: int, probabilities: NDArray[np.float32], label: int, is_chosen: bool) -> None:
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        is_mistake = best != label and (len(self.mistakes) < SHOWN or confidence > self.mistakes[0][0])
        if not (is_chosen or is_mistake):
            return
        example = self._example(split, index, probabilities, label)
        if is_chosen:
            self.sample.append(example)
        if is_mistake:
            heapq.heappush(self.mistakes, (confidence, next(self.order), example))
            if len(self.mistakes) > SHOWN:
                heapq.heappop(self.mistakes)

    def examples(self) -> dict[str, Any]:
        return {
            "sample": self.sample,
            "mistakes": [example for _, _, example in sorted(self.mistakes, key=lambda m: -m[0])],
        }

    def _example(self, split: Split, index: int, probabilities: NDArray[np.float32], label: int) -> dict[str, Any]:
        top = probabilities.argsort()[::-1][:5]
        return {
            "name": split.name(index),
            "label": self.classes[label],
            "top": [[self.classes[i], float(probabilities[i])] for i in top],
            "jpeg": base64.b64encode(split.jpeg(index)).decode(),
        }
