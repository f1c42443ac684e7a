"""Auditing a collection of pictures: duplicates, labels, pictures that show nothing, and what each of them costs."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from alexnet.auditing import duplicates, labels
from alexnet.auditing.cached_features import CachedFeatures, cached_features
from alexnet.auditing.heads import Heads, Mask, folds
from alexnet.auditing.odd import Sizes, odd
from alexnet.auditing.tables import training_copy
from alexnet.claims.statistics import compare
from alexnet.data.store import Store
from alexnet.evaluation.classifier import Classifier
from alexnet.observer import Observer
from alexnet.records import Audit, ClassPair, Duplicates, Price, Suspect

SIZE = 0.01  # the difference of errors that is looked for


def audit(classifier: Classifier, store: Store, network: str, sizes: Sizes, observer: Observer) -> Audit:
    """Returns what is wrong with the pictures of a store.

    Args:
        classifier: Its features describe the pictures.
        store: Pictures of the size that the network takes.
        network: The network's name, for the record.
        sizes: The sizes of the pictures before they were packed, as far as they are known.
        observer: Is told about every stage.

    Raises:
        UsageError: The store fits another network, or the cache cannot be written.
        DataError: The disk is full, or the store is damaged.
    """
    cached = cached_features(classifier, store, observer)
    pairs = duplicates.find(cached, observer)
    prices, suspects, alike, error = _by_heads(cached, pairs, observer)
    counts = np.bincount(cached.labels, minlength=len(store.classes)).tolist()
    return Audit(
        source=store.name,
        network=network,
        pictures=sum(counts),
        counts=dict(zip(store.classes, counts, strict=True)),
        duplicates=pairs,
        suspects=suspects,
        odd=tuple(odd(cached, sizes)),
        unreadable=store.quarantine,
        alike=alike,
        prices=prices,
        head_error=error,
    )


def _by_heads(
    cached: CachedFeatures, pairs: Duplicates, observer: Observer
) -> tuple[tuple[Price, ...], tuple[Suspect, ...], tuple[ClassPair, ...], float | None]:
    """Returns the prices, the suspects, the classes that are alike and the error: none of these of a single class."""
    heads = Heads(cached, folds(cached, pairs.groups), observer)
    if len(np.unique(heads.labels)) < 2:
        return (), (), (), None
    scores = heads.out_of_fold()
    chances, guesses = scores.double().softmax(1).numpy(), scores.argmax(1).numpy()
    listed = list(labels.suspects(cached, chances, heads.labels))
    is_suspect = np.zeros(len(guesses), bool)
    is_suspect[[row for row, _ in listed]] = True
    prices = [*_price_of_leaks(heads, pairs), *_price_of_suspects(heads, guesses != heads.labels, is_suspect)]
    alike = labels.alike(cached.store.classes, guesses, heads.labels)
    error = float((guesses != heads.labels).mean())
    return tuple(prices), tuple(suspect for _, suspect in listed), alike, error


def _price_of_leaks(heads: Heads, pairs: Duplicates) -> Iterator[Price]:
    """Yields the price of the training copies of leaked pictures, on the pictures of the other splits."""
    cached = heads.cached
    leaked = [training_copy(pair) for pair in pairs.pairs if pair.is_across]
    copies = [cached.row(copy) for copy in leaked if copy.split == "train"]
    if not copies:
        return
    is_training, is_left_out = (np.zeros(len(heads.labels), bool) for _ in range(2))
    is_training[cached.rows("train")] = True
    is_left_out[copies] = True
    wrong = [
        heads.fitted_to(rows).argmax(1).numpy() != heads.labels for rows in (is_training, is_training & ~is_left_out)
    ]
    yield _price("leaks", is_left_out, wrong[0], wrong[1], ~is_training)


def _price_of_suspects(heads: Heads, wrong: Mask, is_suspect: Mask) -> Iterator[Price]:
    """Yields the price of the suspects, on all other pictures, each asked of heads that were not fitted to it."""
    if is_suspect.any() and not is_suspect.all():
        without = heads.out_of_fold(is_suspect).argmax(1).numpy() != heads.labels
        yield _price("suspects", is_suspect, wrong, without, ~is_suspect)


def _price(findings: Literal["leaks", "suspects"], left_out: Mask, wrong: Mask, without: Mask, rows: Mask) -> Price:
    errors = [each[rows].astype(np.float64)[None] for each in (without, wrong)]
    difference = compare(errors[0], errors[1], SIZE)
    return Price(
        findings=findings,
        left_out=int(left_out.sum()),
        pictures=int(rows.sum()),
        error_with=float(errors[1].mean()),
        error_without=float(errors[0].mean()),
        difference=difference.mean,
        low=difference.low,
        high=difference.high,
    )
