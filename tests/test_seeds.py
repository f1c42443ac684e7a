"""The only source of randomness."""

import itertools

import numpy as np

from alexnet.seeds import fold, generator


def test_a_fold_is_the_same_for_ever():
    """Stored runs and their resumption depend on these numbers."""
    assert fold(0, "order", 0) == fold(0, "order", 0)
    assert fold(7, "crops", 12, 3) == 572835191011503705


def test_no_two_points_of_a_run_share_a_seed():
    """Among them those that `seed + epoch` would give twice."""
    purposes = ("order", "weights", "dropout", "augmentation")
    points = list(itertools.product(range(12), purposes, range(12), range(12)))
    seeds = {fold(seed, purpose, *counters) for seed, purpose, *counters in points}
    assert len(seeds) == len(points)
    assert fold(1, "a", 23) != fold(1, "a", 2, 3) != fold(12, "a", 3)


def test_a_fold_is_a_seed_for_torch_and_numpy():
    found = [fold(seed, "x", step) for seed in range(50) for step in range(50)]
    assert all(0 <= seed < 2**63 for seed in found)
    assert max(found).bit_length() == 63


def test_numpys_integers_count_as_integers():
    assert fold(np.int64(3), "x", np.int32(4)) == fold(3, "x", 4)


def test_generators_start_afresh_each_time():
    one, again = generator(1, "x").random(5), generator(1, "x").random(5)
    np.testing.assert_array_equal(one, again)
    assert not (generator(1, "y").random(5) == one).any()


def test_what_a_seed_draws_never_changes():
    """Runs of earlier versions are resumed by it."""
    assert fold(0, "x", 1) == 2744749950434720276
    assert generator(0, "x").random() == 0.9750632460976882


def test_neighbouring_streams_are_independent():
    streams = np.stack([generator(0, "x", step).standard_normal(4000) for step in range(20)])
    correlations = np.corrcoef(streams) - np.eye(20)
    assert abs(correlations).max() < 0.08
