"""From answers to words, on invented answers."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from alexnet.claims.laboratory import FinishedRun
from alexnet.claims.table import CLAIMS
from alexnet.records import Description, Preprocessing

DESCRIPTION = Description(classes=("a", "b"), preprocessing=Preprocessing(divide_pixels_by=1.0), seconds=1.0)


class Invented:
    """A laboratory with 400 test pictures of two or of six classes, half of them of the first."""

    def __init__(self, classes):
        self.store = SimpleNamespace(classes=tuple("abcdef"[:classes]))
        self.labels = np.arange(400) % 2
        self.wrong = {}

    def answers(self, run, views):
        guess = np.where(np.arange(400) < self.wrong[run.folder] * 400, 1 - self.labels, self.labels)
        return np.eye(len(self.store.classes), dtype=np.float32)[guess]

    def training_error(self, run):
        return 0.5


@pytest.fixture
def measure(tmp_path):
    """A function (name, classes, arms) that measures a claim, the seeds of an arm naming these parts wrongly."""

    def measure(name, classes, **arms):
        laboratory, runs = Invented(classes), []
        for arm, wrong in arms.items():
            arm = arm.replace("_", "-")
            for seed, part in enumerate(wrong):
                runs.append(FinishedRun(arm, seed, tmp_path / f"{arm}{seed}", 1, DESCRIPTION))
                laboratory.wrong[runs[-1].folder] = part
        return json.loads(CLAIMS[name].experiment.measure(runs, laboratory).to_json())

    return measure


def test_an_arm_that_errs_more_at_every_seed_confirms(measure):
    result = measure("lrn", 2, whole=[0.1, 0.11, 0.12], without_lrn=[0.2, 0.21, 0.22])
    assert result["verdict"] == "confirmed here"
    assert result["answer"][0].startswith("top-1 error: 10.0 points less, 95 % interval ")
    assert [row["name"] for row in result["rows"]] == ["whole"] * 3 + ["without-lrn"] * 3


def test_the_other_way_round_it_is_the_opposite(measure):
    result = measure("lrn", 2, whole=[0.2, 0.21, 0.22], without_lrn=[0.1, 0.11, 0.12])
    assert result["verdict"] == "opposite here"
    assert result["differences"]["top1"]["mean"] == pytest.approx(-0.1)
    assert result["answer"][0].startswith("top-1 error: 10.0 points more, 95 % interval ")


def test_what_is_not_seen_says_what_it_takes_to_see_the_papers_figure(measure):
    result = measure("lrn", 2, whole=[0.2], without_lrn=[0.21])
    assert result["verdict"] == "not seen here"
    assert (
        "over 400 pictures, one seed: not seen here. To see the paper's 1.4 points takes about" in result["answer"][0]
    )


def test_an_answer_between_the_papers_figure_and_none_is_called_so(measure):
    text = measure("lrn", 2, whole=[0.2], without_lrn=[0.205])["answer"][0]
    assert text.endswith("The experiment is large enough for the paper's 1.4 points, and came out between it and none.")


def test_a_difference_as_large_as_the_papers_can_be_ruled_out(measure):
    result = measure("ensemble", 2, whole=[0.2] * 5)
    assert result["differences"]["top1"]["high"] < CLAIMS["ensemble"].experiment.top1
    assert "So much as the paper's 2.6 points is not there: it lies outside." in result["answer"][0]


def test_where_the_paper_has_no_figure_a_point_is_looked_for(measure):
    result = measure("dropout", 2, whole=[0.2], without_dropout=[0.205])
    assert "To see 1.0 point takes about" in result["answer"][0]


def test_another_number_of_networks_than_the_papers_is_not_judged_by_its_figure(measure):
    assert "paper's" not in measure("ensemble", 2, whole=[0.2] * 3)["answer"][0]


@pytest.mark.parametrize(("without", "worst"), [([0.6, 0.6], "60.0%"), ([0.2, 0.49], "49.0%")])
def test_a_network_that_has_learned_nothing_shows_nothing(measure, without, worst):
    """Not even one that guessed a little better, by luck."""
    result = measure("lrn", 2, whole=[0.1, 0.1], without_lrn=without)
    assert result["verdict"] == result["differences"]["top1"]["verdict"] == "not seen here"
    assert f"errs on {worst} of the pictures, always naming the largest class on 50.0%" in result["answer"][0]


def test_six_classes_have_a_top5_error(measure):
    assert set(measure("lrn", 6, whole=[0.1], without_lrn=[0.2])["differences"]) == {"top1", "top5"}
    assert set(measure("lrn", 5, whole=[0.1], without_lrn=[0.2])["differences"]) == {"top1"}
