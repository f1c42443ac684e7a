"""The intervals, against scipy and closed forms."""

import math

import numpy as np
import pytest

from alexnet.claims import statistics
from alexnet.claims.statistics import Parts, resolved, seeds_needed, student

stats = pytest.importorskip("scipy.stats", reason="scipy judges the statistics")


def compare(worse, better, size=0.014):
    return statistics.compare(worse, better, size)


def of_seeds(*differences, pictures=4000):
    """Two arms that differ by so much at each seed, as evenly over the pictures as whole errors allow."""
    better = np.zeros((len(differences), pictures))
    worse = better.copy()
    for row, difference in zip(worse, differences, strict=True):
        row[: round(difference * pictures)] = 1
    return worse, better


def discordant(first, second, pictures):
    """One seed; the first network alone is wrong on `first` pictures, the second alone on `second`."""
    worse, better = np.zeros((2, 1, pictures))
    worse[0, :first] = better[0, first : first + second] = 1
    return worse, better


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 10, 29, 300])
def test_students_t_is_scipys(freedom):
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-6)


def test_where_only_the_seeds_differ_the_interval_is_scipys_paired_one():
    found = compare(*of_seeds(0.01, 0.05, 0.03, 0.06))
    expected = stats.ttest_1samp([0.01, 0.05, 0.03, 0.06], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-3)
    assert found.mean == pytest.approx(0.0375)
    assert found.each == pytest.approx((0.01, 0.05, 0.03, 0.06))


def test_one_seed_gives_bonett_and_prices_interval_of_mcnemars_table():
    found = compare(*discordant(30, 12, 500))
    first, second = 31 / 502, 13 / 502
    half = stats.norm.ppf(0.975) * math.sqrt((first + second - (first - second) ** 2) / 502)
    assert (found.pictures, found.seeds_needed) == (500, None)
    assert (found.low, found.high) == pytest.approx((first - second - half, first - second + half))
    assert found.mean == pytest.approx(18 / 500)


def test_the_verdict_of_one_seed_agrees_with_mcnemars_exact_test():
    for first, second in [(30, 12), (25, 15), (9, 30), (20, 20)]:
        is_sure = stats.binomtest(first, first + second).pvalue < 0.05
        found = compare(*discordant(first, second, 500))
        assert (found.verdict != "not seen here") == is_sure
        assert found.verdict != ("opposite here" if first > second else "confirmed here")


def test_seeds_that_agree_by_chance_do_not_hide_that_the_pictures_are_few():
    found = compare(*(np.repeat(arm, 2, 0) for arm in discordant(3, 1, 100)))
    assert found.low < 0 < found.high


def test_arms_that_never_differ_are_not_taken_for_surely_equal():
    found = compare(*discordant(0, 0, 100))
    assert found.mean == 0
    assert found.low < 0 < found.high


def draws(dice, seeds, pictures, of_seed, of_picture, truth=0.03):
    """Differences of errors, +1, 0 or -1, whose chances depend on the seed and on the picture."""
    chance = truth + of_seed * dice.normal(size=(seeds, 1)) + of_picture * dice.choice([-1, 1], (1, pictures))
    uniform = dice.uniform(size=(seeds, pictures))
    apart = (uniform < 0.25 + chance / 2).astype(float) - (uniform > 0.75 + chance / 2)
    return apart, np.zeros_like(apart)


def test_the_interval_holds_the_truth_19_times_of_20():
    dice = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        kinds = dice.choice(3, 400, p=[0.85, 0.09, 0.06])
        found = compare((kinds == 1)[None].astype(float), (kinds == 2)[None].astype(float))
        hits += found.low <= 0.03 <= found.high
    assert hits / 1000 == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("seeds", [3, 10, 30])
@pytest.mark.parametrize(("of_seed", "of_picture"), [(0.0, 0.0), (0.03, 0.0), (0.0, 0.3), (0.03, 0.3)])
def test_it_does_so_wherever_the_luck_comes_from(seeds, of_seed, of_picture):
    """With few seeds it may be too wide: Student's t pays for not knowing how much the seeds differ."""
    dice = np.random.default_rng(0)
    found = [compare(*draws(dice, seeds, 400, of_seed, of_picture)) for _ in range(400)]
    assert np.mean([each.low <= 0.03 <= each.high for each in found]) > 0.92


@pytest.mark.parametrize(("of_seed", "of_picture"), [(0.0, 0.0), (0.02, 0.0), (0.02, 0.3)])
def test_what_is_said_to_be_needed_shows_the_difference_in_four_experiments_of_five(of_seed, of_picture):
    dice = np.random.default_rng(0)
    apart, _ = draws(dice, 200, 4000, of_seed, of_picture)
    parts = Parts.of(apart, float(apart.mean(0).var()))
    seeds, pictures = parts.needed(2, 300, 0.03)
    seen = [compare(*draws(dice, seeds, pictures, of_seed, of_picture)).low > 0 for _ in range(300)]
    assert 0.72 < np.mean(seen) < 0.99


def test_so_many_seeds_would_show_the_difference_in_four_experiments_of_five():
    seeds = seeds_needed(0.02, 0.014)
    dice = np.random.default_rng(0)
    draws = dice.normal(0.014, 0.02, (4000, seeds))
    low, _ = stats.ttest_1samp(draws, 0, axis=1).confidence_interval(0.95)
    assert (low > 0).mean() == pytest.approx(0.8, abs=0.04)


def test_so_many_pictures_would_show_the_difference_of_one_seed_in_four_experiments_of_five():
    pictures = compare(*discordant(90, 60, 1000), size=0.03).pictures_needed
    tables = np.random.default_rng(0).multinomial(pictures, [0.09, 0.06, 0.85], 500)
    seen = [compare(*discordant(first, second, pictures)).low > 0 for first, second, _ in tables]
    assert np.mean(seen) == pytest.approx(0.8, abs=0.05)


def test_more_pictures_are_asked_for_where_these_could_never_show_it():
    found = compare(*(np.repeat(arm, 3, 0) for arm in discordant(30, 12, 500)))
    assert found.pictures_needed > 500
    assert compare(*discordant(30, 12, 500)).pictures_needed > 500
    assert compare(*discordant(30, 12, 500), size=0.1).pictures_needed < 500


def test_the_guess_before_the_work_falls_with_pictures_and_seeds():
    assert resolved(400, 1) == pytest.approx(2 * resolved(1600, 1))
    assert resolved(400, 10) < resolved(400, 5) < resolved(400, 3)
    assert resolved(400, 3) > resolved(400, 1)  # which leaves the luck of the seeds out of account
