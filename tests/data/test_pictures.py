"""Reading batches of stored pictures."""

import threading
from collections import Counter

import numpy as np
import pytest

from alexnet.data.pictures import Pictures
from alexnet.errors import DataError


class Counted:
    """A split that counts how often each picture is decoded."""

    threads = None

    def __init__(self, count=10, side=4, broken=()):
        self.labels, self.side, self.broken = np.arange(count), side, broken
        self.reads, self.lock = Counter(), threading.Lock()

    def __len__(self):
        return len(self.labels)

    def read(self, index, into):
        with self.lock:
            self.reads[int(index)] += 1
        if index in self.broken:
            raise DataError(f"example {index} is damaged")
        into[:] = index


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_a_batch_holds_the_pictures_asked_for(budget):
    pictures = Pictures(Counted(), 4, budget)
    for asked in ([3, 1, 4], [1, 5, 9, 2], [], [6, 6]):
        batch = pictures.read(asked)
        assert batch.shape == (len(asked), 4, 4, 3)
        assert batch.dtype == np.uint8
        assert batch[:, 0, 0, 0].tolist() == asked
        assert (batch == batch[:, :1, :1, :1]).all()
    pictures.close()
    assert len(pictures) == 10


def test_a_split_that_fits_is_decoded_once():
    split = Counted()
    pictures = Pictures(split, 4, memory_budget=10 * 4 * 4 * 3)
    for _ in range(3):
        pictures.read(range(10))
    pictures.close()
    assert set(split.reads.values()) == {1}


def test_a_split_that_does_not_fit_is_decoded_each_time_and_not_kept():
    split = Counted()
    pictures = Pictures(split, 4, memory_budget=10 * 4 * 4 * 3 - 1)
    for _ in range(3):
        pictures.read(range(10))
    pictures.close()
    assert set(split.reads.values()) == {3}


def test_what_is_given_away_can_be_changed():
    pictures = Pictures(Counted(), 4)
    pictures.read([7])[:] = 0
    assert (pictures.read([7]) == 7).all()
    pictures.close()


@pytest.mark.parametrize("budget", [0, 1 << 20])
def test_a_damaged_picture_is_an_error_each_time(budget):
    pictures = Pictures(Counted(broken={2}), 4, budget)
    for _ in range(2):
        with pytest.raises(DataError, match="example 2 is damaged"):
            pictures.read([1, 2, 3])
    assert (pictures.read([1, 3])[0] == 1).all()
    pictures.close()


def test_a_store_is_read(store):
    pictures = Pictures(store.splits["train"], store.size)
    np.testing.assert_array_equal(pictures.read([4])[0], store.splits["train"].read(4))
    pictures.close()
