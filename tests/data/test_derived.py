"""A part of a source, and a store as a source again."""

import numpy as np
import pytest

from alexnet.data.open import cache_directory, from_store, subset
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.errors import UsageError

NINE = {"train": 9, "val": 9}


def names(source, split="train"):
    return [source.splits[split].name(i) for i in range(len(source.splits[split]))]


@pytest.fixture
def source(pictures):
    return open_source(pictures)


def test_every_class_keeps_its_proportion_in_a_subset(source):
    assert np.bincount(source.splits["train"].labels).tolist() == [7, 6, 5]
    small = subset(source, NINE)
    assert np.bincount(small.splits["train"].labels).tolist() == [4, 3, 2]
    assert len(small.splits["val"]) == 9


def test_a_subset_is_drawn_by_its_seed_and_keeps_the_order(source):
    first, again, other = subset(source, NINE), subset(source, NINE), subset(source, NINE, seed=1)
    assert names(first) == names(again) != names(other)
    whole = names(source)
    assert [whole.index(name) for name in names(first)] == sorted(whole.index(name) for name in names(first))


def test_a_split_without_a_number_is_left_whole(source):
    small = subset(source, {"train": 9})
    assert len(small.splits["train"]) == 9
    assert names(small, "val") == names(source, "val")


def test_no_class_disappears(source):
    assert np.bincount(subset(source, {"train": 1}).splits["train"].labels).tolist() == [1, 1, 1]


def test_a_small_source_is_left_as_it_is_and_a_subset_has_a_cache_of_its_own(source):
    assert subset(source, {"train": 18, "val": 18}) is source
    places = {
        cache_directory(made, 76)
        for made in (source, subset(source, NINE), subset(source, NINE, 1), subset(source, {"train": 9}))
    }
    assert len(places) == 4


def test_a_subset_of_nothing_is_refused(source):
    with pytest.raises(UsageError, match="at least 1 picture of a split, got 0"):
        subset(source, {"train": 9, "val": 0})


def test_a_store_is_a_source_again_at_another_size(store, source, tmp_path):
    small = pack(from_store(store), tmp_path / "small", size=40)
    for split in ("train", "val"):
        assert [small.splits[split].name(i) for i in range(len(small.splits[split]))] == names(source, split)
        assert small.splits[split].labels.tolist() == store.splits[split].labels.tolist()
    assert small.classes == store.classes
    assert small.splits["train"].read(0).shape == (40, 40, 3)
    shrunk = store.splits["train"].read(0).mean((0, 1))
    assert small.splits["train"].read(0).mean((0, 1)) == pytest.approx(shrunk, abs=2)
