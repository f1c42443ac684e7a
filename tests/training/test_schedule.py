"""The learning rate as a function of the step and of the validation errors so far."""

from dataclasses import replace

import pytest

from alexnet.config import PAPER
from alexnet.recipes import RECIPES
from alexnet.training.schedule import learning_rate, one_cycle, plateaus, polynomial


def rates(history, patience=2):
    train = replace(PAPER, patience=patience)
    return [learning_rate(train, 0, 100, history[:n]) for n in range(len(history) + 1)]


def test_the_rate_is_divided_by_ten_when_the_error_stops_improving():
    assert rates([0.9, 0.8, 0.85, 0.8, 0.7, 0.75, 0.7]) == pytest.approx([0.01] * 4 + [0.001] * 3 + [0.0001])


def test_the_rate_is_divided_three_times_at_most():
    assert rates([0.5] * 40)[-1] == pytest.approx(0.01 / 1000)
    assert plateaus([0.5] * 40, 1) == 3


def test_an_error_that_only_equals_the_best_is_no_improvement():
    assert plateaus([0.5, 0.5], 1) == 1
    assert plateaus([0.5, 0.49, 0.48], 1) == 0


def test_the_wait_starts_anew_after_a_drop():
    assert [plateaus([0.5] * n, 3) for n in range(1, 9)] == [0, 0, 0, 1, 1, 1, 2, 2]


def test_one_cycle_rises_straight_and_ends_at_zero():
    train = replace(PAPER, schedule="one-cycle", learning_rate=0.02, warm_up=0.25)
    found = [learning_rate(train, step, 100, []) for step in range(100)]
    assert found[:25] == pytest.approx([0.02 * n / 25 for n in range(1, 26)])
    assert max(found) == found[24] == 0.02
    assert found[24:] == sorted(found[24:], reverse=True)
    assert found[24 + 38] == pytest.approx(0.01, rel=0.05)  # the cosine is half down in the middle
    assert found[99] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("warm_up", [0.0, 0.3, 1.0])
def test_one_cycle_stays_between_zero_and_one(warm_up):
    assert all(0 <= one_cycle(n / 50, warm_up) <= 1 for n in range(51))


def test_a_constant_rate_stays():
    train = replace(PAPER, schedule="constant")
    assert {learning_rate(train, step, 10, [0.5] * 50) for step in range(10)} == {0.01}


def test_the_rate_grows_with_the_batch_where_it_is_meant_for_another():
    large = RECIPES["large-batch"]
    for batch_size in (1024, 8192, 32768):
        peak = max(learning_rate(replace(large, batch_size=batch_size), step, 100, []) for step in range(100))
        assert peak == pytest.approx(0.1 * batch_size / 128)
    assert learning_rate(replace(PAPER, batch_size=100), 0, 9, []) == 0.01
    assert learning_rate(replace(PAPER, batch_size=1280, rate_batch=128), 0, 9, []) == pytest.approx(0.1)


@pytest.mark.parametrize(("done", "share"), [(0.01, 0.2), (0.05, 1.0), (0.525, 0.25), (1.0, 0.0)])
def test_the_polynomial_rises_along_a_line_and_falls_along_a_parabola(done, share):
    assert polynomial(done, 0.05) == pytest.approx(share)
