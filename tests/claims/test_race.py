"""The race of ReLU and tanh, with a toy and with invented curves."""

import json
from dataclasses import replace

import numpy as np
import pytest
from notes import Notes

from alexnet import config
from alexnet.claims import budgets, race, words
from alexnet.claims.conduct import conduct
from alexnet.claims.curve import Curve
from alexnet.claims.experiment import Request
from alexnet.claims.laboratory import Stopped
from alexnet.claims.page import race_chart
from alexnet.claims.race import Race, RaceRow, Runner, most_epochs
from alexnet.claims.statistics import compare_epochs
from alexnet.config import PAPER
from alexnet.errors import UsageError
from alexnet.run import Run


@pytest.fixture
def ask(monkeypatch, settings, pictures, tmp_path):
    """A function (out, ...) that races the toy over three rates for four epochs."""
    train = replace(settings, steps=None, epochs=4, schedule="constant", stored_size=76, evaluate_every=1e6)
    small = budgets.Budget("a moment", replace(train, crops=False, flips=False, colour="none", dropout=0.0), seeds=1)
    monkeypatch.setattr(Race, "budgets", {"quick": small})
    monkeypatch.setattr(race, "RATES", (1e-6, 0.003, 0.01))

    def answer(out="out", seeds=None, observer=None, source=None, changes=()):
        request = Request("relu", str(source or pictures), "quick", seeds, tmp_path / out, config.assignments(changes))
        return json.loads(conduct(request, observer).to_json())

    return answer


def write_curve(folder, errors):
    rows = [{"step": i + 1, "epoch": 0.0, "loss": 1.0, "error": e, "images_per_s": 10.0} for i, e in enumerate(errors)]
    rows.insert(1, {"step": 1, "val_loss": 1.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    curve = Curve(folder / "metrics.jsonl", 4)
    curve.read()
    return curve


def test_the_level_is_reached_when_the_error_of_a_whole_epoch_is_that_low(tmp_path):
    curve = write_curve(tmp_path, [0.9, 0.1, 0.5, 0.3, 0.2, 0.2, 0.2, 0.2])
    means = [np.mean(curve.errors[i : i + 4]) for i in range(5)]
    first = next(i for i, mean in enumerate(means) if mean <= 0.25)
    assert curve.reached() == (first + 4) / 4 == 1.75
    assert curve.points()[0] == (1.0, pytest.approx(means[0]))
    assert curve.points()[-1] == (2.0, pytest.approx(0.2))
    assert curve.latest() == pytest.approx(0.2)


def test_a_growing_curve_is_read_on(tmp_path):
    curve = write_curve(tmp_path, [0.5])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "epoch": 0.5, "loss": 1.0, "error": 0.25, "images_per_s": 10.0}\n')
    curve.read()
    assert curve.errors == [0.5, 0.25]
    assert curve.epochs == 0.5
    assert curve.reached() is None


def test_the_worse_half_is_left_behind_and_the_fastest_is_named(ask):
    result = ask()
    relu = [row for row in result["rows"] if row["arm"] == "relu"]
    assert [row["learning_rate"] for row in relu] == [1e-6, 0.003, 0.01]
    assert relu[0]["is_left_behind"]
    assert relu[0]["epochs"] <= 1.25
    there = [row for row in relu if row["epochs_to_level"]]
    assert min(there, key=lambda row: row["epochs_to_level"])["learning_rate"] == result["best"]["relu"]
    assert result["ratio"] == pytest.approx(result["epochs"]["tanh"][0] / result["epochs"]["relu"][0])
    assert "reached 25% training error after" in result["answer"][0]


def test_other_seeds_run_at_the_chosen_rate(ask):
    result = ask(seeds=2)
    others = [row for row in result["rows"] if row["seed"] == 1]
    assert {row["arm"]: row["learning_rate"] for row in others} == result["best"]
    low, high = result["ratio_interval"]
    assert low < result["ratio"] < high


def test_an_interrupted_race_resumes_and_gives_the_same_numbers(ask):
    notes, again, third = Notes(last=17), Notes(), Notes()
    with pytest.raises(Stopped):
        ask("broken", observer=notes)
    broken = ask("broken", observer=again)
    whole = ask("whole")
    for key in ("best", "epochs", "ratio", "answer", "verdict"):
        assert broken[key] == whole[key]
    assert [row["curve"] for row in broken["rows"]] == [row["curve"] for row in whole["rows"]]
    ask("broken", observer=third)
    assert third.steps == 0


def test_what_is_known_of_later_rounds_does_not_decide_an_earlier_one(monkeypatch, tmp_path):
    """Stopped when the first of the field was there, and called again: the second, in its turn, is there sooner."""
    errors = {0.1: [0.4] * 4 + [0.3, 0.2, 0.2, 0.2], 0.2: [0.5] * 4 + [0.0] * 4, 0.3: [0.9] * 4}

    def enter(done):
        field = []
        for rate, whole in errors.items():
            folder = tmp_path / f"{rate}"
            folder.mkdir(exist_ok=True)
            curve = write_curve(folder, whole[: done.get(rate, 0)])
            field.append(Runner("relu", replace(PAPER, learning_rate=rate), Run(folder), curve))
        return field

    def advance(experiment, runner, goal):
        curve, whole = runner.curve, errors[runner.settings.learning_rate]
        while curve.epochs < goal and curve.reached() is None:
            curve.errors = whole[: len(curve.errors) + 1]

    monkeypatch.setattr(race, "_advance", advance)
    unbroken = race._halve(None, enter({}), 8.0)
    resumed = race._halve(None, enter({0.1: 8, 0.2: 4, 0.3: 4}), 8.0)
    assert unbroken.settings.learning_rate == resumed.settings.learning_rate == 0.2


def test_a_rate_that_diverges_loses(ask, monkeypatch):
    monkeypatch.setattr(race, "RATES", (0.01, 1000.0))
    result = ask()
    assert [row["has_diverged"] for row in result["rows"] if row["arm"] == "relu"] == [False, True]
    assert result["best"]["relu"] == 0.01
    again = Notes()
    assert [row["has_diverged"] for row in ask(observer=again)["rows"]] == [
        row["has_diverged"] for row in result["rows"]
    ]
    assert again.runs == []


def test_a_race_that_is_won_before_it_starts_is_refused(ask, make_folder, tmp_path):
    source = make_folder(tmp_path / "uneven", {"train/red": 9, "train/blue": 1, "val/red": 1, "val/blue": 1})
    with pytest.raises(UsageError, match="always naming the largest class errs on 10%"):
        ask(source=source)


def test_the_grid_and_the_most_it_can_cost_are_told_before(ask):
    notes = Notes(last=1)
    with pytest.raises(Stopped):
        ask(observer=notes)
    assert any("rates 1e-06, 0.003, 0.01 for each arm; an epoch takes about" in text for text in notes.notices)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("epochs=1", "the race needs 2 epochs or more, got 1"),
        ("steps=10", "the race counts epochs; set epochs"),
        ("learning_rate=1", "the race tries rates of its own"),
    ],
)
def test_a_race_that_nobody_can_win_is_refused_before_the_work(ask, change, told):
    with pytest.raises(UsageError, match=told):
        ask(changes=(change,))


def test_the_most_that_a_race_can_cost():
    """Five rates for 1 epoch, three to 2, two to 4, one to 8, for both arms; then the other seeds."""
    assert most_epochs(1, 8) == 2 * (5 + 3 * 1 + 2 * 2 + 1 * 4)
    assert most_epochs(3, 8) == most_epochs(1, 8) + 2 * 2 * 8


@pytest.mark.parametrize(
    ("relu", "tanh", "verdict", "text"),
    [
        ([4.0], [24.0], "confirmed here", "6.0 times as fast"),
        ([4.0], [None], "confirmed here", "at least 16.0 times as fast"),
        ([None], [24.0], "opposite here", "relu did not reach 25% training error within 64 epochs, tanh after 24.0."),
        ([None], [None], "not seen here", "the budget is too small"),
        ([None, 20.0], [24.0, 30.0], "not seen here", "the budget is too small"),
        ([8.0, 9.0, 10.0], [None, None, None], "confirmed here", "at least 7.1 times as fast (paper: 6): confirmed"),
        ([8.0, 30.0], [None, None], "not seen here", "at least 4.1 times as fast (paper: 6): not seen here, 2 seeds."),
        ([4.0], [5.0], "not seen here", "1.2 times as fast (paper: 6): not seen here, one seed"),
        ([4.4], [4.0], "not seen here", "0.9 times as fast"),
        ([8.0], [4.0], "opposite here", "0.5 times as fast"),
        ([4.4, 4.5, 4.4], [4.0, 4.1, 4.0], "opposite here", "0.9 times as fast"),
        ([4.0, 4.4, 4.2], [24.0, 25.0, 23.0], "confirmed here", "3 seeds"),
        ([4.0, 8.0], [24.0, 4.0], "not seen here", "2 seeds"),
    ],
)
def test_the_verdict_of_a_race(relu, tanh, verdict, text):
    result = compare_epochs({"relu": relu, "tanh": tanh}, limit=64)
    assert result.verdict == verdict
    assert text in words.race(result, 64, level=0.25, papers=6)


def test_the_interval_of_the_ratio_is_scipys_on_logarithms():
    stats = pytest.importorskip("scipy.stats")
    relu, tanh = [4.0, 4.4, 4.2], [24.0, 25.0, 23.0]
    expected = stats.ttest_1samp(np.log(np.divide(tanh, relu)), 0).confidence_interval(0.95)
    assert compare_epochs({"relu": relu, "tanh": tanh}, 64).ratio_interval == pytest.approx(np.exp(expected))


def test_the_chart_has_both_curves_and_the_level():
    rows = [
        RaceRow(
            **{"arm": arm, "seed": 0, "learning_rate": rate, "curve": ((1.0, 0.5), (2.0, rate))},
            **{"epochs": 2.0, "training_error": rate, "epochs_to_level": None, "run": "runs/1"},
            **{"has_diverged": False, "is_left_behind": False},
        )
        for arm in ("relu", "tanh")
        for rate in (0.1, 0.2)
    ]
    chart = race_chart(rows, {"relu": 0.1, "tanh": 0.2}, 0.25)
    assert chart.count("<path") == 4
    assert chart.count("faint") == 2
    assert "relu, rate 0.1" in chart
    assert "tanh, rate 0.2" in chart
    assert "25\u202f% training error" in chart
