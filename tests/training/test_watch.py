"""Runs that will not come to anything are noticed and named."""

import math
from dataclasses import replace

import pytest

from alexnet.config import MODERN, PAPER
from alexnet.errors import TrainingError
from alexnet.training import watch
from alexnet.training.watch import Watch


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_run_with_a_remedy(loss):
    with pytest.raises(TrainingError, match=r"at step 7.*learning rate 0.03 .*learning_rate=0.01\b") as caught:
        Watch(replace(PAPER, learning_rate=0.03), [1] * 10).follow(7, loss)
    assert "\n" not in str(caught.value)


def follow(train, loss, counts=(5,) * 10):
    watcher = Watch(train, counts)
    for step in range(watch.PATIENCE):
        watcher.follow(step, loss)
    return watcher


def test_a_start_at_the_loss_of_guessing_is_dead_at_one_step_only():
    watcher = follow(PAPER, math.log(10))
    assert [step for step in range(1, 3 * watch.PATIENCE) if watcher.is_dead_at(step)] == [watch.PATIENCE]


def test_a_start_that_learns_is_not_dead():
    assert not follow(PAPER, 0.9 * math.log(10)).is_dead_at(watch.PATIENCE)


@pytest.mark.parametrize(("smoothing", "guessing"), [(0.0, 0.6109), (0.1, 0.6255)])
def test_guessing_knows_that_classes_are_uneven(smoothing, guessing):
    """Entropies of (0.7, 0.3) and, smoothed, of (0.68, 0.32), by hand."""
    train = replace(PAPER, label_smoothing=smoothing)
    watcher = follow(train, guessing, counts=(70, 30))
    assert watcher.chance == pytest.approx(guessing, abs=2e-3)
    assert watcher.is_dead_at(watch.PATIENCE)


def test_only_the_newest_losses_count():
    watcher = follow(PAPER, math.log(10))
    for step in range(watch.WINDOW):
        watcher.follow(step, 0.5)
    assert not watcher.is_dead_at(watch.PATIENCE)


@pytest.mark.parametrize(
    ("train", "dead", "cause"),
    [
        (PAPER, {"relu1": 0.1, "relu5": 0.9}, "90% of relu5 is dead; lower the learning rate"),
        (PAPER, {"relu1": 0.1}, "small Gaussian weights start slowly"),
        (MODERN, {"relu1": 0.1, "relu5": 0.9}, "90% of relu5 is dead; lower the learning rate"),
        (MODERN, {"relu1": 0.1}, "check that the labels belong to the pictures"),
        (MODERN, {}, "check that the labels"),
    ],
)
def test_the_likely_cause_is_named(train, dead, cause):
    told = follow(train, 2.3026).diagnosis(dead)
    assert "the loss is 2.303, still that of guessing (2.303)" in told
    assert cause in told
    assert ("initialisation=he" in told) == (train is PAPER)
