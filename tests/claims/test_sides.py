"""What a claim compares: ten views with one, and an average with its members, by numbers that can be checked by eye."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from alexnet.claims.comparison import Ensemble, Views
from alexnet.claims.statistics import naive_error
from alexnet.evaluation.classifier import load

# Probabilities of two classes for four pictures of class 0. Each network errs on another half, their mean on none.
FIRST = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]], np.float32)
SECOND = FIRST[::-1]
SURE = np.array([[0.9, 0.1]] * 4, np.float32)


@dataclass
class Bench:
    """Answers by network and views, where a laboratory would train and test."""

    kept: dict[tuple[int, int], np.ndarray]
    labels = np.zeros(4, np.int64)
    store = SimpleNamespace(classes=("a", "b"))

    def answers(self, run, views):
        return self.kept[run.seed, views]

    def training_error(self, run):
        return 0.0


RUNS = [SimpleNamespace(arm="whole", seed=seed, folder=Path(f"whole-{seed}")) for seed in (0, 1)]


def test_ten_views_are_compared_with_one():
    answers = {(0, 10): SURE, (1, 10): SURE, (0, 1): FIRST, (1, 1): SECOND}
    ten, one = Views({"whole": {}}).sides(RUNS, Bench(answers))
    assert [(each.row.name, each.row.seed, each.row.top1_error) for each in ten] == [
        ("10 views", 0, 0),
        ("10 views", 1, 0),
    ]
    assert [(each.row.name, each.row.seed, each.row.top1_error) for each in one] == [
        ("1 view", 0, 0.5),
        ("1 view", 1, 0.5),
    ]


def test_an_average_of_networks_that_err_elsewhere_errs_nowhere():
    average, members = Ensemble({"whole": {}}).sides(RUNS, Bench({(0, 1): FIRST, (1, 1): SECOND}))
    assert [(each.row.name, each.row.top1_error) for each in average] == [("2 averaged", 0)]
    assert [each.row.top1_error for each in members] == [0.5, 0.5]


def test_the_kept_answers_are_those_of_so_many_views(ask, store, tmp_path):
    ask("views", source=store.directory)
    split = store.splits["val"]
    pictures = np.stack([split.read(i) for i in range(len(split))])
    for folder in (tmp_path / "out" / "runs").iterdir():
        network = load(folder, numbers="float32")
        one, ten = (np.load(folder / f"answers-{views}-views.npy") for views in (1, 10))
        np.testing.assert_allclose(one, network.probabilities(pictures, 1), atol=1e-6)
        np.testing.assert_allclose(ten, network.probabilities(pictures, 10), atol=1e-6)
        assert abs(one - ten).max() > 1e-5


@pytest.mark.parametrize(("labels", "error"), [([0, 0, 0, 1], 0.25), ([2, 1, 2, 2, 0], 0.4), ([1, 1], 0.0)])
def test_always_naming_the_largest_class_errs_on_all_others(labels, error):
    assert naive_error(np.array(labels)) == pytest.approx(error)
