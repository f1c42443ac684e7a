"""The metrics against plain loops, by hand, and at their edges."""

import itertools
import json
import math

import numpy as np
import pytest

from alexnet.errors import UsageError
from alexnet.evaluation import metrics
from alexnet.evaluation.metrics import (
    Confusion,
    Tally,
    _binned,
    balanced_interval,
    calibration,
    interval,
    sure_from,
    topk_errors,
)
from alexnet.records import Bin, Calibration, ClassErrors

NAMES = [f"class {i}" for i in range(7)]
HOW = {"views": 1, "models": 1, "split": "val", "seconds": 2.0}


def draw(n=200, classes=7, seed=0):
    """Softmax probabilities (N, C), rounded so that ties occur, and labels (N,)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.round(probabilities, 1), rng.integers(0, classes, n)


def summarise(probabilities, labels, classes, **how):
    tally = Tally(classes)
    tally.add(probabilities, labels)
    return json.loads(tally.evaluation(**(how or HOW)).to_json())


def error_by_orders(row, label, k):
    """The share of the tied orders that leave the label out of the first k."""
    orders = [o for o in itertools.permutations(range(len(row))) if all(np.diff(row[list(o)]) <= 0)]
    return np.mean([label not in order[:k] for order in orders])


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_tie_gives_the_credit_of_a_random_order(k):
    probabilities, labels = draw(n=40, classes=5)
    expected = [error_by_orders(row, label, k) for row, label in zip(probabilities, labels, strict=True)]
    np.testing.assert_allclose(topk_errors(probabilities, labels, k), expected, atol=1e-12)


def test_topk_errors_equal_a_sort_where_nothing_ties():
    rng = np.random.default_rng(1)
    probabilities, labels = rng.random((300, 20)), rng.integers(0, 20, 300)
    for k in (1, 5):
        best = np.argsort(-probabilities, axis=1)[:, :k]
        expected = [label not in row for label, row in zip(labels, best, strict=True)]
        np.testing.assert_array_equal(topk_errors(probabilities, labels, k), expected)


def test_a_constant_classifier_errs_as_a_random_one():
    errors = topk_errors(np.full((4, 10), 0.1), np.array([0, 3, 8, 9]), 5)
    np.testing.assert_allclose(errors, 0.5)


def test_five_guesses_of_five_classes_are_never_wrong():
    probabilities, labels = draw(classes=5)
    assert summarise(probabilities, labels, NAMES[:5])["top5_error"] == 0.0


@pytest.mark.parametrize(
    ("error", "n", "expected"),
    [(0.2, 100, (0.13336, 0.28883)), (0.0, 10, (0.0, 0.27753)), (1.0, 10, (0.72247, 1.0))],
)
def test_the_interval_is_wilsons(error, n, expected):
    assert interval(error, n) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 17, 656, 50_000])
def test_the_ends_of_the_interval_solve_wilsons_equation(n):
    for wrong in {0, 1, n // 2, n}:
        low, high = interval(wrong / n, n)
        assert high - low > 1e-5
        for end in (low, high):
            assert (end - wrong / n) ** 2 == pytest.approx(1.959963984540054**2 * end * (1 - end) / n, abs=1e-12)


def test_confusion_counts_rows_by_truth_and_columns_by_guess():
    probabilities, labels = draw()
    expected = np.zeros((7, 7), dtype=int)
    for row, label in zip(probabilities, labels, strict=True):
        expected[label, int(np.argmax(row))] += 1
    counts = Confusion(7)
    counts.add(labels, probabilities.argmax(1))
    np.testing.assert_array_equal(counts.matrix(), expected)


def test_mistakes_are_those_of_the_matrix_the_most_frequent_first(monkeypatch):
    rng = np.random.default_rng(5)
    labels, guesses = rng.integers(0, 300, 4000), rng.integers(0, 300, 4000) ** 2 // 300
    monkeypatch.setattr(metrics, "PAIRS", 300**2)
    counts = Confusion(300)
    for part in np.array_split(np.arange(4000), 30):
        counts.add(labels[part], guesses[part])
    matrix = np.zeros((300, 300), int)
    np.add.at(matrix, (labels, guesses), 1)
    np.testing.assert_array_equal(counts.matrix(), matrix)
    mistakes = counts.mistakes(50)
    assert all(mistake.n == matrix[mistake.truth, mistake.guess] for mistake in mistakes)
    np.fill_diagonal(matrix, 0)
    assert [mistake.n for mistake in mistakes] == sorted(matrix.ravel().tolist(), reverse=True)[:50]


def test_the_memory_of_mistakes_has_a_bound_and_keeps_the_frequent(monkeypatch):
    monkeypatch.setattr(metrics, "PAIRS", 64)
    rng, counts = np.random.default_rng(0), Confusion(10_000)
    for _ in range(200):
        counts.add(np.array([3, *rng.integers(0, 10_000, 20)]), np.array([4, *rng.integers(0, 10_000, 20)]))
        assert len(counts._pairs) <= 64
    first = counts.mistakes(1)[0]
    assert (first.truth, first.guess, first.n) == (3, 4, 200)


def test_many_classes_have_their_most_frequent_mistakes_instead_of_a_matrix():
    names = [f"class {i}" for i in range(300)]
    probabilities = np.zeros((6, 300))
    probabilities[range(6), [7, 7, 7, 9, 2, 2]] = 1.0
    found = summarise(probabilities, np.array([7, 8, 8, 8, 2, 1]), names)
    assert found["confusion"] == []
    assert found["confused"] == [
        {"truth": 8, "guess": 7, "n": 2}, {"truth": 1, "guess": 2, "n": 1}, {"truth": 8, "guess": 9, "n": 1}
    ]  # fmt: skip
    few = summarise(probabilities[:, :256], np.array([7, 8, 8, 8, 2, 1]), names[:256])
    assert few["confused"] == []
    assert few["confusion"][8][7] == 2


def test_the_balanced_error_is_the_mean_of_the_classes_with_pictures():
    labels = np.array([0] * 8 + [1] * 2)
    probabilities = np.eye(3)[[0] * 8 + [0, 1]]
    found = summarise(probabilities, labels, ["a", "b", "c"])
    assert found["top1_error"] == pytest.approx(0.1)
    assert found["balanced_error"] == pytest.approx(0.25)  # of 0 and a half; c has no pictures


def test_the_interval_of_the_balanced_error_is_that_of_independent_classes():
    classes = [
        ClassErrors(name=str(i), n=n, top1_error=e, top5_error=0.0)
        for i, (n, e) in enumerate([(50, 0.2), (200, 0.4), (0, 0.0)])
    ]
    (a, b), (c, d) = interval(0.2, 50), interval(0.4, 200)
    half = math.hypot(b - a, d - c) / 4
    assert balanced_interval(classes) == pytest.approx((0.3 - half, 0.3 + half))
    assert half == pytest.approx(0.0640, abs=1e-4)


@pytest.mark.parametrize(
    ("bins", "classes", "limit"),
    [
        ([(0.3, 0.2, 10), (0.6, 0.5, 10), (0.9, 0.9, 10)], 2, 0.7875),  # 75 % lies 5/8 of the way from 50 to 90
        ([(0.3, 0.2, 10), (0.6, 0.5, 10), (0.9, 0.9, 10)], 200, 0.601875),
        ([(0.2, 0.0, 10), (0.5, 0.8, 10), (0.6, 0.4, 30), (0.9, 0.9, 10)], 1000, 0.575),  # 0.8 and 0.4 pool to 0.5
        ([(0.6, 0.9, 10)], 2, 0.0),
        ([(0.6, 0.3, 10)], 2, 1.0),
        ([], 2, 0.0),
        ([(1.0, 1.0, 10)], 1, 0.0),
    ],
)
def test_a_network_knows_from_where_it_is_right_halfway_between_chance_and_always(bins, classes, limit):
    diagram = Calibration(ece=0.0, bins=tuple(Bin(confidence=c, accuracy=a, n=n) for c, a, n in bins))
    assert sure_from(diagram, classes) == pytest.approx(limit, abs=2e-3)


def test_ties_are_counted():
    probabilities = np.array([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4], [0.0, 0.0, 1.0]])
    found = summarise(probabilities, np.array([0, 0, 2]), ["a", "b", "c"])
    assert found["top1_error"] == pytest.approx(0.5)  # of a half, 1 and 0
    assert found["ties"] == 1


def test_per_class_errors_equal_a_loop():
    probabilities, labels = draw()
    one, five = (topk_errors(probabilities, labels, k) for k in (1, 5))
    for label, entry in enumerate(summarise(probabilities, labels, NAMES)["per_class"]):
        mine = labels == label
        assert entry["n"] == mine.sum()
        assert entry["top1_error"] == pytest.approx(one[mine].mean())
        assert entry["top5_error"] == pytest.approx(five[mine].mean())


def test_calibration_equals_a_loop():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(7) * 0.3, 500)
    labels = rng.integers(0, 7, 500)
    found = summarise(probabilities, labels, NAMES)["calibration"]
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    ece, bins = 0.0, []
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            bins.append((confidence[inside].mean(), correct[inside].mean(), inside.sum()))
            ece += inside.mean() * abs(bins[-1][0] - bins[-1][1])
    assert found["ece"] == pytest.approx(ece)
    got = [(b["confidence"], b["accuracy"], b["n"]) for b in found["bins"]]
    np.testing.assert_allclose(got, bins)


@pytest.mark.parametrize(("confidence", "place"), [(0.2, 2), (0.4, 5), (0.6, 8), (0.8, 11), (1.0, 14), (0.81, 12)])
def test_a_confidence_on_an_edge_falls_into_the_lower_bin(confidence, place):
    """Of 15 bins; the second picture, a hair beyond the edge, falls into the next."""
    sums = _binned(np.array([confidence, min(1.0, confidence + 1e-9)]), np.array([1.0, 0.0]))
    beyond = place if confidence in (1.0, 0.81) else place + 1
    assert np.flatnonzero(sums[2]).tolist() == sorted({place, beyond})
    assert sums[1, place] == 1
    assert sums[0].sum() == pytest.approx(2 * confidence)


def test_calibration_of_nothing_is_zero():
    assert calibration(np.zeros((3, 15))) == Calibration(ece=0.0, bins=())


def test_batches_tally_to_the_same_as_all_at_once():
    probabilities, labels = draw()
    tally = Tally(NAMES)
    for part in np.array_split(np.arange(len(labels)), 9):
        tally.add(probabilities[part], labels[part])
    tally.add(probabilities[:0], labels[:0])
    whole, parts = summarise(probabilities, labels, NAMES, **HOW), json.loads(tally.evaluation(**HOW).to_json())
    assert parts["confusion"] == whole["confusion"]
    assert parts["n"] == whole["n"] == 200
    assert parts["top1_error"] == pytest.approx(whole["top1_error"])
    assert parts["calibration"]["ece"] == pytest.approx(whole["calibration"]["ece"])


def test_the_summary_is_the_object_of_the_contract():
    found = summarise(*draw(), NAMES, views=10, models=5, split="test", seconds=1.5)
    assert list(found) == [
        "precision", "top1_error", "top5_error", "n", "views", "models", "split", "top1_interval", "top5_interval",
        "classes", "confusion", "confused", "per_class", "calibration", "seconds", "loss", "balanced_error", "ties",
        "trained_on", "left_out", "is_split_drawn", "quarantined", "weight_bytes", "pictures",
    ]  # fmt: skip
    assert (found["views"], found["models"], found["split"]) == (10, 5, "test")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_class_without_pictures_is_listed():
    found = summarise(np.array([[0.9, 0.1]]), np.array([0]), ["a", "b"], **HOW)
    assert found["per_class"][1] == {"name": "b", "n": 0, "top1_error": 0.0, "top5_error": 0.0}


def test_float32_softmax_may_exceed_one_by_a_rounding():
    found = summarise(np.array([[1.0000002, 0.0]], dtype=np.float32), np.array([0]), ["a", "b"], **HOW)
    assert found["calibration"]["bins"][0]["n"] == 1


@pytest.mark.parametrize(
    ("probabilities", "labels", "says"),
    [
        ([[0.5, 0.5]], [2], "got 2"),
        ([[0.5, 0.5]], [-1], "got -1"),
        ([[0.5, 0.5]], [0, 1], "labels must have shape"),
        ([[0.5, 0.25, 0.25]], [0], r"\(N, 2\)"),
        ([0.5, 0.5], [0, 1], r"\(N, 2\)"),
        ([[math.nan, 0.5]], [0], "NaN"),
        ([[7.0, -2.0]], [0], "softmax"),
        ([[0.5, 0.5]], [0.0], "integers"),
    ],
)
def test_what_cannot_be_counted_is_refused_and_nothing_is_counted(probabilities, labels, says):
    tally = Tally(["a", "b"])
    with pytest.raises(UsageError, match=says):
        tally.add(np.array(probabilities), np.array(labels))
    assert tally.n == 0


def test_nothing_counted_is_refused():
    with pytest.raises(UsageError, match="'val' gave no picture"):
        Tally(["a"]).evaluation(**HOW)
    with pytest.raises(UsageError, match="at least one class"):
        Tally([])
