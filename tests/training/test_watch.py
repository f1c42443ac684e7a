"""Runs that will not come to anything are noticed and named."""

import math
from dataclasses import replace

import pytest
import torch

from alexnet.config import PAPER
from alexnet.errors import TrainingError
from alexnet.recipes import MODERN
from alexnet.seeds import generator
from alexnet.training.schedule import highest, learning_rate
from alexnet.training.watch import Pace, Watch


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_run_with_a_remedy(loss):
    with pytest.raises(TrainingError, match=r"at step 7.*learning rate 0.03 .*learning_rate=0.01\b") as caught:
        Watch(replace(PAPER, learning_rate=0.03), [1] * 10).follow(7, loss, 0.03)
    assert "\n" not in str(caught.value)


LEARNT = {  # losses of steps 201 to 300 of real runs on 200 classes that learnt
    "modern, a rate of 0.02 and dropout of 0.5": """
    5.299 5.282 5.284 5.303 5.284 5.276 5.289 5.296 5.296 5.298 5.295 5.296 5.286 5.294 5.283 5.290 5.291 5.297
    5.280 5.278 5.282 5.274 5.291 5.287 5.272 5.281 5.280 5.299 5.288 5.273 5.294 5.287 5.289 5.286 5.296 5.274
    5.293 5.285 5.296 5.309 5.302 5.284 5.292 5.292 5.259 5.287 5.274 5.285 5.268 5.284 5.276 5.297 5.297 5.279
    5.275 5.287 5.264 5.292 5.294 5.307 5.271 5.287 5.283 5.263 5.276 5.258 5.253 5.303 5.284 5.228 5.289 5.242
    5.276 5.266 5.287 5.320 5.268 5.260 5.289 5.286 5.269 5.276 5.273 5.232 5.265 5.285 5.284 5.280 5.233 5.282
    5.251 5.247 5.268 5.248 5.318 5.264 5.269 5.283 5.202 5.267""",
    "tiny-imagenet, inside its warm-up": """
    5.186 5.099 5.099 5.136 5.049 5.128 5.066 5.142 5.035 5.159 4.993 5.229 5.024 4.972 5.142 5.027 5.071 5.131
    5.178 4.976 5.116 5.088 5.089 5.126 5.058 4.947 5.048 5.066 5.069 5.061 5.104 5.075 5.149 5.050 5.092 5.115
    5.117 5.181 5.114 5.189 5.097 5.245 5.081 5.189 5.075 5.163 5.150 4.993 5.026 5.086 5.042 5.096 5.063 5.086
    5.039 5.147 4.995 5.101 5.067 5.136 5.112 5.041 5.121 5.073 4.953 4.994 4.945 5.000 5.055 5.088 5.019 5.042
    5.106 4.960 4.986 5.111 5.090 5.011 5.139 4.977 5.046 4.984 4.998 5.106 5.041 5.050 5.020 5.001 4.961 4.935
    5.000 4.856 5.089 4.966 4.935 4.983 4.976 5.029 4.832 4.970""",
}

GUESSING = math.log(200)


def follow(train, losses, counts=(5,) * 10, rate=1.0):
    """Returns a watch after these losses, at `rate` of the highest, and the steps at which it calls the start dead."""
    watcher, dead = Watch(train, counts), []
    for step, loss in enumerate(losses, 1):
        watcher.follow(step, loss, rate * highest(train))
        if watcher.is_dead_at(step):
            dead.append(step)
    return watcher, dead


def around(mean, spread, count, seed=0):
    """Returns losses that have this mean exactly in every fifty, and about this spread."""
    noise = generator(seed, "losses").normal(0, spread, (count // 50, 50))
    return (mean + noise - noise.mean(1, keepdims=True)).ravel().tolist()


def test_a_start_at_the_loss_of_guessing_is_dead_at_one_step_only():
    _, dead = follow(PAPER, around(math.log(10), 0.01, 1000))
    assert dead == [300]


def test_a_loss_a_little_below_guessing_is_judged_again():
    """By one and a half standard errors: neither learning nor dead."""
    losses = [*around(math.log(10) - 0.0015, 0.01, 300), *around(math.log(10), 0.01, 300, seed=1)]
    assert follow(PAPER, losses)[1] == [400]


@pytest.mark.parametrize("name", LEARNT)
def test_no_run_that_learnt_is_called_dead(name):
    recorded = [float(loss) for loss in LEARNT[name].split()]
    assert len(recorded) == 100
    _, dead = follow(MODERN, around(GUESSING, 0.007, 200) + recorded * 5, counts=[349] * 200)
    assert not dead


def test_a_loss_that_differs_little_from_batch_to_batch_is_learning_a_little_below_guessing():
    assert not follow(PAPER, around(GUESSING - 0.006, 0.01, 1000), counts=[1] * 200)[1]
    assert follow(PAPER, around(GUESSING - 0.006, 0.1, 1000), counts=[1] * 200)[1] == [300]


def test_a_start_that_has_learnt_is_not_judged_again():
    assert not follow(PAPER, around(2.2, 0.1, 300) + around(math.log(10), 0.1, 300))[1]


def test_a_loss_that_still_falls_is_judged_later():
    falling = [2.8 - 0.0005 * step for step in range(1000)]
    assert falling[599] > math.log(10)
    assert not follow(PAPER, falling)[1]
    assert follow(PAPER, falling[:600] + around(2.5, 0.01, 400))[1] == [700]


def test_a_start_is_not_judged_before_its_rate_has_risen():
    """A warm-up of 1,350 steps adds up to 300 steps at the highest rate after 900: n^2 / (2 * 1,350)."""
    train, total = replace(MODERN, warm_up=0.15), 9000
    watcher, dead = Watch(train, [349] * 200), []
    for step, loss in enumerate(around(GUESSING, 0.05, 2000), 1):
        watcher.follow(step, loss, learning_rate(train, step - 1, total, ()))
        dead += [step] if watcher.is_dead_at(step) else []
    assert dead == [900]


def test_a_rate_of_zero_is_a_dead_start_too():
    assert follow(replace(PAPER, learning_rate=0.0), around(math.log(10), 0.01, 1000))[1] == [300]


@pytest.mark.parametrize(("smoothing", "guessing"), [(0.0, 0.6109), (0.1, 0.6269)])
def test_guessing_knows_that_classes_are_uneven(smoothing, guessing):
    """Entropies of (0.7, 0.3) and, smoothed, of (0.68, 0.32), by hand."""
    train = replace(PAPER, label_smoothing=smoothing)
    watcher, dead = follow(train, around(guessing, 0.01, 300), counts=(70, 30))
    assert watcher.chance == pytest.approx(guessing, abs=2e-3)
    assert dead == [300]


def test_only_the_newest_losses_count():
    assert not follow(PAPER, around(math.log(10), 0.01, 200) + around(0.5, 0.01, 100))[1]


@pytest.mark.parametrize(
    ("train", "dead", "cause"),
    [
        (PAPER, {"relu1": 0.1, "relu5": 0.9}, "90% of relu5 is dead; lower the learning rate"),
        (PAPER, {"relu1": 0.1}, "small Gaussian weights start slowly"),
        (MODERN, {"relu1": 0.1, "relu5": 0.9}, "90% of relu5 is dead; lower the learning rate"),
        (
            MODERN,
            {"relu1": 0.1},
            "less dropout (`dropout=0.1`), then try another rate (`learning_rate=0.06` or `0.0067`)",
        ),
        (replace(MODERN, dropout=0.0), {}, ": try another rate (`learning_rate=0.06` or `0.0067`); if neither helps"),
    ],
)
def test_the_likely_cause_is_named(train, dead, cause):
    watcher, _ = follow(train, [math.log(10)] * 100)
    sentence = watcher.diagnosis(300, dead)
    assert "after 300 steps the loss is 2.303, still that of guessing (2.303)" in sentence
    assert cause in sentence
    assert ("initialisation=he" in sentence) == (train is PAPER)


def test_dropout_and_the_rate_are_suspected_before_the_labels():
    sentence = follow(MODERN, [math.log(10)] * 100)[0].diagnosis(300, {})
    assert sentence.index("dropout") < sentence.index("learning_rate") < sentence.index("labels")


def paces(*speeds):
    """Returns what is said where each speed, images a second, is held for a minute in batches of 32."""
    pace = Pace()
    return [text for speed in speeds for _ in range(speed * 60 // 32 + 1) if (text := pace.follow(32, 32 / speed))]


def test_a_strong_fall_of_speed_is_sentence_with_the_remedy(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    (sentence,) = paces(100, 610, 500, 90, 600, 28)
    assert "from 610 to 9" in sentence
    assert "OMP_NUM_THREADS=1" in sentence
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert "OMP_NUM_THREADS" not in paces(610, 90)[0]


def test_a_speed_that_holds_rises_or_falls_a_little_is_not_worth_a_word():
    assert not paces(300, 310, 200, 600, 400)


def test_one_slow_step_is_no_fall_of_speed():
    pace = Pace()
    assert not any(pace.follow(32, 20.0 if step == 1000 else 0.05) for step in range(5000))
