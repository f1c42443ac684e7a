"""Top-1 and top-5 error of one network, or of several averaged, over splits of a store."""

import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import count
from typing import Protocol

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from alexnet.data.labels import unknown
from alexnet.data.listing import spread
from alexnet.data.open import check_square
from alexnet.data.pictures import Pictures, prefetch
from alexnet.data.store import Split, Store
from alexnet.errors import UsageError
from alexnet.evaluation.metrics import Tally, topk_errors
from alexnet.observer import Observer
from alexnet.records import Evaluation, Example, Examples, Square
from alexnet.team import ALONE, Team

BATCH = 128
SHOWN = 8
WHOLE = 240
"""Parts of an error of 1, as `Examples.errors` counts them: ties of up to six classes divide it evenly."""

Indices = NDArray[np.int64]
Answers = NDArray[np.float32]


class Namer(Protocol):
    """A `Classifier`, or another engine with the same network."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each output."""

    @property
    def stored_size(self) -> int:
        """Side of the pictures it takes, pixels."""

    @property
    def square(self) -> Square:
        """How its pictures become square."""

    def probabilities(self, pictures: NDArray[np.uint8], views: int = 1) -> NDArray[np.float32]:
        """Returns (N, C) of pictures (N, S, S, 3), averaged over 1 or 10 views."""


def evaluate(
    classifiers: Sequence[Namer],
    store: Store,
    split: str = "val",
    views: int = 1,
    observer: Observer | None = None,
    team: Team = ALONE,
    trained_on: Mapping[str, NDArray[np.bool_]] | None = None,
    include_training: bool = False,
) -> tuple[Evaluation, Examples]:
    """Measures the errors of a network, or of several whose probabilities are averaged as the paper averages its CNNs.

    Every picture of the split (`val`, `test`, or several joined by `+`) counts once, at 1 view or 10, but those of the
    masks `trained_on` only with `include_training` or where no others are left. A team divides the pictures.

    Raises:
        UsageError: There is no such split, a network does not know a class of the data, networks of different classes
            are to be averaged, or the stored pictures do not have the size that a network takes.
    """
    start, observer = time.monotonic(), observer or Observer()
    parts, translations = splits_of(store, split), _translate(classifiers, store)
    tally, gallery = Tally(classifiers[0].classes), _Gallery(classifiers[0].classes)
    done, count = 0, sum(map(len, parts.values()))
    trained = None if trained_on is None else sum(int(mask.sum()) for mask in trained_on.values())
    total = count if include_training or trained == count else count - (trained or 0)
    chosen = set(spread(total, SHOWN))

    def probabilities(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(np.mean([classifier.probabilities(pictures, views) for classifier in classifiers], 0))

    for name, part in parts.items():
        measured = np.flatnonzero(~trained_on[name]) if trained_on and total < count else None
        for places, answers in over(part, store.size, probabilities, team, measured):
            labels = translations[part.labels[places]]
            tally.add(answers, labels)
            gallery.add(part, places, answers, labels, {place - done for place in chosen})
            done += len(places)
            observer.advanced(done, total)
    evaluation = tally.evaluation(
        views=views,
        models=len(classifiers),
        split=split,
        seconds=time.monotonic() - start,
        trained_on=trained,
        left_out=count - total,
        is_split_drawn=store.is_split_drawn,
        quarantined=tuple(bad for bad in store.quarantine if bad.split in split.split("+")),
    )
    return structs.replace(evaluation, pictures=gallery.pictures()), gallery.examples()


def over(
    split: Split,
    size: int,
    function: Callable[[NDArray[np.uint8]], Answers],
    team: Team = ALONE,
    chosen: Indices | None = None,
) -> Iterator[tuple[Indices, Answers]]:
    """Yields what a function answers to the pictures of a split, batch by batch; memory does not grow with the split.

    `size` is the side of the pictures in pixels, which `function` takes as (N, size, size, 3) RGB, to return a row for
    each, (N, ...). A team divides them, and each process gets all answers. `chosen` are the places in the split of the
    pictures to take; None takes all, in order.

    Yields:
        The places of a batch in the split, (N,), and the answers, (N, ...).
    """
    places = np.arange(len(split)) if chosen is None else chosen
    pictures, together = Pictures(split, size, memory_budget=0), BATCH * team.images.count

    def batch(number: int) -> tuple[Indices, NDArray[np.uint8]]:
        some = places[number * together : (number + 1) * together]
        return some, pictures.read(team.share(some))

    try:
        for some, mine in prefetch(batch, range(-(-len(places) // together))):
            yield some, team.whole(function(mine), len(some))
    finally:
        pictures.close()


def splits_of(store: Store, names: str) -> dict[str, Split]:
    """Returns the splits of a store that are named, joined by `+`, by name and in that order.

    Raises:
        UsageError: There is no such split.
    """
    chosen = list(dict.fromkeys(names.split("+")))
    for name in chosen:
        if name not in store.splits:
            raise UsageError(f"the data have no split {name!r}; there are {', '.join(store.splits)}")
    return {name: store.splits[name] for name in chosen}


def check_size(classifier: Namer, store: Store) -> None:
    """Refuses stored pictures that a network cannot take.

    Raises:
        UsageError: They have another size, or became square in another way.
    """
    if classifier.stored_size != store.size:
        raise UsageError(
            f"the network takes pictures of {classifier.stored_size} pixels, the store holds {store.size}; "
            "pack the pictures again at that size, or give the folder of pictures itself"
        )
    check_square(store, classifier.square)


def _translate(classifiers: Sequence[Namer], store: Store) -> NDArray[np.int64]:
    """Returns, for each class of the data, its place among the networks' outputs, by name."""
    classes = classifiers[0].classes
    for classifier in classifiers:
        if classifier.classes != classes:
            raise UsageError("networks of different classes cannot be averaged; train them on the same data")
        check_size(classifier, store)
    place_of = {name: place for place, name in enumerate(classes)}
    if strange := [name for name in store.classes if name not in place_of]:
        gone = sorted(place_of.keys() - set(store.classes), key=place_of.__getitem__)
        was = f"; the data have no {gone[0]!r}: rename it back if that is the same class" if gone else ""
        raise UsageError(f"{unknown(strange[0], classes)}{was}")
    return np.array([place_of[name] for name in store.classes], np.int64)


class _Gallery:
    """Keeps a few pictures spread over the split, the most confident mistakes, and the error of every picture."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.sample: list[Example] = []
        self.mistakes: list[tuple[float, int, Example]] = []  # a heap; a number decides between equal confidences
        self.order = count()
        self.errors = bytearray()  # of every picture, in 240ths
        self.known_by: list[NDArray[np.uint64]] = []  # what the pictures are known by, batch by batch

    def add(self, split: Split, places: Indices, answers: Answers, labels: Indices, chosen: set[int]) -> None:
        """Keeps what is to be kept of a batch; its rows `chosen` are for the sample."""
        self.errors += (topk_errors(answers, labels, 1) * WHOLE).round().astype(np.uint8).tobytes()
        self.known_by.append(split.digests[places])
        for row, place in enumerate(places):
            self.look(split, int(place), answers[row], int(labels[row]), row in chosen)

    def look(self, split: Split, place: int, probabilities: NDArray[np.float32], label: int, is_chosen: bool) -> None:
        """Keeps the picture if it was chosen for the sample, or is one of the worst mistakes so far."""
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        is_mistake = best != label and (len(self.mistakes) < SHOWN or confidence > self.mistakes[0][0])
        if not (is_chosen or is_mistake):
            return
        example = self._example(split, place, probabilities, label)
        if is_chosen:
            self.sample.append(example)
        if is_mistake:
            keep = heapq.heappush if len(self.mistakes) < SHOWN else heapq.heapreplace
            keep(self.mistakes, (confidence, next(self.order), example))

    def pictures(self) -> str | None:
        """Returns a checksum of what all pictures are known by, in order; None where that is not known."""
        digests = np.concatenate(self.known_by)
        return blake2b(digests.astype("<u8").tobytes(), digest_size=16).hexdigest() if digests.all() else None

    def examples(self) -> Examples:
        """Returns what was kept, the most confident mistake first."""
        worst_first = sorted(self.mistakes, key=lambda mistake: -mistake[0])
        mistakes = tuple(example for _, _, example in worst_first)
        return Examples(sample=tuple(self.sample), mistakes=mistakes, errors=bytes(self.errors))

    def _example(self, split: Split, place: int, probabilities: NDArray[np.float32], label: int) -> Example:
        top = probabilities.argsort()[::-1][:5]
        return Example(
            name=split.name(place),
            label=self.classes[label],
            top=tuple((self.classes[i], min(1.0, float(probabilities[i]))) for i in top),
            jpeg=bytes(split.jpeg(place)),
        )
