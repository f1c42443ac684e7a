"""From runs to words, on invented answers."""

import numpy as np
import pytest

from alexnet.claims import answer
from alexnet.claims.experiment import Trained
from alexnet.claims.table import CLAIMS


class Pictures:
    """Test pictures of two or of six classes, half of them of the first."""

    def __init__(self, classes):
        self.classes = tuple("abcdef"[:classes])
        self.labels = np.arange(400) % 2


@pytest.fixture
def measure(monkeypatch, tmp_path):
    """A function (name, classes, arms) that measures a claim, an arm's seeds naming shares of pictures wrongly."""

    def measure(name, classes, **shares):
        pictures = Pictures(classes)
        given, runs = {}, {}
        for arm, wrong in shares.items():
            arm = arm.replace("_", "-")
            runs[arm] = [Trained(arm, seed, tmp_path / f"{arm}{seed}", 1, 1.0) for seed in range(len(wrong))]
            for run, share in zip(runs[arm], wrong, strict=True):
                guess = np.where(np.arange(400) < share * 400, 1 - pictures.labels, pictures.labels)
                given[run.folder] = np.eye(classes, dtype=np.float32)[guess]
        monkeypatch.setattr(answer, "answers", lambda run, store, views: given[run.folder])
        monkeypatch.setattr(answer, "training_error", lambda run, store: 0.5)
        monkeypatch.setattr(answer, "labels", lambda store: store.labels)
        return answer.measure(CLAIMS[name], runs, pictures)

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
    told = measure("lrn", 2, whole=[0.2], without_lrn=[0.205])["answer"][0]
    assert told.endswith("The experiment is large enough for the paper's 1.4 points, and came out between it and none.")


def test_a_difference_as_large_as_the_papers_can_be_ruled_out(measure):
    result = measure("ensemble", 2, whole=[0.2] * 5)
    assert result["differences"]["top1"]["high"] < CLAIMS["ensemble"].top1
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
