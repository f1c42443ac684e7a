"""Which pictures make up which step, and the thread that makes them in advance."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.data.feed import indices, order
from alexnet.data.pictures import prefetch


def end_to_end(seed, batch_size, count, epochs):
    return np.concatenate([order(seed, epoch, count) for epoch in range(epochs)])


def test_an_epoch_visits_every_picture_once():
    assert sorted(order(3, 7, 100)) == list(range(100))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [order(*which, 50).tolist() for which in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    assert len({tuple(one) for one in orders}) == 4
    assert order(0, 1, 50).tolist() == orders[1]


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 99), step=st.integers(0, 200), batch_size=st.integers(1, 40), count=st.integers(1, 60))
def test_a_step_is_a_piece_of_the_epochs_laid_end_to_end(seed, step, batch_size, count):
    """Across any border, and where a batch holds several epochs."""
    first = step * batch_size
    epochs = (first + batch_size) // count + 1
    line = np.concatenate([order(seed, epoch, count) for epoch in range(epochs)])
    np.testing.assert_array_equal(indices(seed, step, batch_size, count), line[first : first + batch_size])


def test_four_steps_of_five_visit_ten_pictures_twice():
    visits = np.concatenate([indices(0, step, 5, 10) for step in range(4)])
    assert np.bincount(visits).tolist() == [2] * 10


def test_a_batch_of_a_huge_split_is_quick():
    start = time.monotonic()
    assert len(set(indices(0, 10_000, 128, 1_281_167))) == 128
    assert time.monotonic() - start < 5


# prefetching


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def in_time(function, seconds=10):
    """Runs the function in a thread; a deadlock is a failure, not an endless test."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "hangs"


def test_results_come_in_order():
    assert list(prefetch(lambda step: step * step, range(20))) == [step * step for step in range(20)]
    assert not prefetch_threads()


def test_nothing_to_make_is_nothing():
    assert list(prefetch(lambda step: 1 / 0, [])) == []


def test_an_error_comes_at_its_step_and_ends_the_thread():
    def make(step):
        if step == 3:
            raise OSError("the disk is gone")
        return step

    got = []
    with pytest.raises(OSError, match="the disk is gone"):
        got.extend(prefetch(make, range(10)))
    assert got == [0, 1, 2]
    assert not prefetch_threads()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 100])
def test_closing_early_ends_the_thread(steps):
    """Also when everything is made and waits, so that the thread is at its last word."""

    def take_one():
        batches = prefetch(lambda step: step, range(steps), ahead=2)
        assert next(batches) == 0
        time.sleep(0.05)
        batches.close()

    in_time(take_one)
    assert not prefetch_threads()


def test_it_runs_ahead_but_not_too_far():
    made = []
    batches = prefetch(lambda step: made.append(step) or step, range(100), ahead=2)
    assert next(batches) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert made == [0, 1, 2, 3]  # one taken, two waiting, one in the hand
    in_time(batches.close)
