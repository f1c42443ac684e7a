"""Labels that may be wrong: confident learning against counts by hand, and heads on planted features."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import torch

from alexnet.auditing.cached_features import CachedFeatures
from alexnet.auditing.heads import FOLDS, Heads, folds, principal
from alexnet.auditing.labels import alike, confident, margins, suspects
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
    maps = features.astype(np.float16)
    return CachedFeatures(store, features=None, maps=maps, thumbnails=None, looks=None, digests=None)


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


def test_heads_read_the_directions_in_which_the_maps_vary_most():
    dice = np.random.default_rng(0)
    rows = torch.from_numpy(dice.normal(size=(50, 3)) @ dice.normal(size=(3, 40))).float()
    onto = principal(rows, 3)
    assert onto.shape == (40, 3)
    torch.testing.assert_close(rows @ onto @ onto.T, rows, atol=1e-3, rtol=0)
    assert torch.equal(principal(rows[:, :2], 3), torch.eye(2))


def test_heads_on_components_find_what_those_on_all_units_find(monkeypatch):
    monkeypatch.setattr("alexnet.auditing.heads.COMPONENTS", 4)
    monkeypatch.setattr("alexnet.auditing.heads.SAMPLE", 40)
    cached = planted(units=32)
    heads = Heads(cached, folds(cached, ()), Observer())
    assert np.flatnonzero(heads.out_of_fold().argmax(1).numpy() != heads.labels).tolist() == [3, 17]


def test_suspects_are_as_many_as_confidently_belong_elsewhere_but_those_of_lowest_margin():
    cached = SimpleNamespace(
        store=SimpleNamespace(classes=("a", "b")),
        member=lambda row: Member(split="train", place=row, name=f"{row}", class_name="ab"[labels[row]]),
    )
    chances = np.array([[0.7, 0.3], [0.3, 0.7], [0.55, 0.45], [0.01, 0.99], [0.01, 0.99]])
    labels = np.array([0, 0, 1, 1, 1])
    # Row 2 is at least as probable in class a as its pictures on average, 0.5; row 1 is not so in b, 0.81.
    assert confident(chances, labels).tolist() == [0, -1, 0, 1, 1]
    ((row, suspect),) = suspects(cached, chances, labels)
    assert (row, suspect.suggested, suspect.own_probability, suspect.suggested_probability) == (1, "b", 0.3, 0.7)


def test_a_picture_that_heads_take_for_its_own_class_is_no_suspect():
    chances, labels = np.array([[0.55, 0.45, 0], [0.95, 0.05, 0], [0.3, 0.45, 0.25]]), np.array([0, 0, 1])
    # Row 0 confidently belongs to b: 0.45 is what b's picture has, and 0.55 is below a's average of 0.75.
    assert confident(chances, labels).tolist() == [1, 0, 1]
    named = SimpleNamespace(
        store=SimpleNamespace(classes=("a", "b", "c")),
        member=lambda row: Member(split="train", place=row, name=f"{row}", class_name="a"),
    )
    assert list(suspects(named, chances, labels)) == []


def test_a_head_knows_how_common_classes_are():
    cached = planted(wrong=())
    blank = replace(cached, maps=np.zeros((60, 8), np.float16))
    blank.store.splits["train"].labels[:] = np.arange(60) % 4 == 0
    chances = Heads(blank, folds(blank, ()), Observer()).out_of_fold().softmax(1)
    np.testing.assert_allclose(chances[:, 1], 0.25, atol=0.1)
