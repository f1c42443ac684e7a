"""Labels that may be wrong: confident learning against counts by hand, and heads on planted features."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

from alexnet.auditing.cached_features import CachedFeatures
from alexnet.auditing.heads import FOLDS, Heads, folds
from alexnet.auditing.labels import alike, confident, margins
from alexnet.observer import Observer
from alexnet.records import ClassPair, Member


def test_a_picture_belongs_where_it_is_as_probable_as_the_pictures_of_the_class_are_on_average():
    chances = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.45, 0.55]])
    # The thresholds are 0.8 of class 0 and (0.8 + 0.55) / 2 = 0.675 of class 1.
    assert confident(chances, np.array([0, 0, 1, 1])).tolist() == [0, -1, 1, -1]


def test_the_margin_is_the_logarithm_of_the_ratio_to_the_best_other_class():
    chances = np.array([[0.2, 0.5, 0.3], [0.8, 0.1, 0.1]])
    np.testing.assert_allclose(margins(chances, np.array([0, 0])), np.log([0.4, 8.0]))


def test_classes_are_alike_by_name_or_where_a_head_tosses_a_coin():
    labels = np.repeat([0, 1, 2], 20)
    guesses = np.concatenate([np.tile([0, 1], 10), np.tile([0, 1], 10), np.full(20, 2)])
    assert alike(("cat", "dog", "Cats"), guesses, labels) == (
        ClassPair(first="cat", second="Cats"),
        ClassPair(first="cat", second="dog", mixed_up=0.5),
    )


@dataclass
class Part:
    """A split, as far as heads ask for it."""

    labels: np.ndarray

    def __len__(self):
        return len(self.labels)


def planted(count=60, units=8, wrong=(3, 17)):
    """Two classes of features that lie apart, with some labels that are wrong."""
    truth = np.arange(count) % 2
    features = np.random.default_rng(0).normal(0, 0.3, (count, units)) + np.where(truth[:, None], 1, -1)
    labels = truth.copy()
    labels[list(wrong)] = 1 - labels[list(wrong)]
    store = SimpleNamespace(classes=("a", "b"), splits={"train": Part(labels)})
    return CachedFeatures(store, features.astype(np.float16), thumbnails=None, digests=None)


def test_heads_that_never_saw_a_picture_find_the_labels_that_are_wrong():
    cached = planted()
    heads = Heads(cached, folds(cached, ()), Observer())
    guesses = heads.out_of_fold().argmax(1).numpy()
    assert np.flatnonzero(guesses != heads.labels).tolist() == [3, 17]


def test_a_picture_is_not_asked_of_the_head_that_was_fitted_to_it():
    cached = planted(wrong=())
    order = folds(cached, ())
    heads = Heads(cached, order, Observer())
    before = heads.out_of_fold()
    row = 5
    cached.store.splits["train"].labels[row] = 1 - cached.store.splits["train"].labels[row]
    after = Heads(replace(cached), order, Observer()).out_of_fold()
    assert np.allclose(before[row], after[row], atol=0.01)
    assert not np.allclose(before[order != order[row]], after[order != order[row]], atol=0.1)


def test_what_is_left_out_is_not_fitted():
    cached = planted(wrong=(3, 17, 20, 41))
    order, left_out = folds(cached, ()), np.zeros(60, bool)
    left_out[[3, 17, 20, 41]] = True
    without = Heads(cached, order, Observer()).out_of_fold(left_out)
    cached.store.splits["train"].labels[left_out] = 0
    again = Heads(replace(cached), order, Observer()).out_of_fold(left_out)
    assert np.allclose(without, again, atol=1e-5)


def test_a_group_of_duplicates_is_in_one_fold():
    cached = planted()
    groups = [[Member(split="train", place=place, name=f"{place}", class_name="a") for place in (0, 1, 2, 3, 4, 5)]]
    drawn = folds(cached, groups)
    assert len(set(drawn[:6].tolist())) == 1
    assert set(drawn.tolist()) == set(range(FOLDS))
