"""Whole runs: what they leave behind, and that a broken run goes on as if nothing had happened."""

import errno
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from begun import resume, train
from damage import unsealed
from msgspec import structs
from safetensors.torch import load_file

from alexnet import config, records
from alexnet.data.augment import augment, draw
from alexnet.data.feed import indices
from alexnet.data.pack import pack
from alexnet.data.sources import open_source
from alexnet.errors import CheckpointError, DataError, TrainingError, UsageError
from alexnet.evaluation.classifier import load
from alexnet.observer import Observer
from alexnet.records import Progress, StepRow
from alexnet.run import Run
from alexnet.training import loop, plan, watch
from alexnet.training.journal import Journal
from alexnet.weights import checkpoint


class Recorder(Observer):
    """Notes what it is told; calls `at` after every step."""

    def __init__(self, at=lambda step: None):
        self.steps, self.evaluations, self.notices, self.at = [], [], [], at

    def stepped(self, step, total, loss, images_per_s):
        self.steps.append(step)
        self.at(step)

    def evaluated(self, epoch, summary):
        self.evaluations.append(summary)

    def notice(self, text):
        self.notices.append(text)


class Crash(Exception):
    pass


def crash_at(step):
    def crash(now):
        if now == step:
            raise Crash

    return Recorder(crash)


def stop_after(step, recorder):
    return lambda: recorder.steps[-1:] == [step]


def metrics(folder):
    rows = [unsealed(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "images_per_s"} for row in rows]


def assert_same_run(one, other):
    for name in ("last.safetensors", "model.safetensors"):
        ours, theirs = load_file(one / name), load_file(other / name)
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert torch.equal(ours[key], theirs[key]), (name, key)
    assert metrics(one) == metrics(other)
    progress = [checkpoint.load(folder / "last.safetensors").header.progress for folder in (one, other)]
    assert structs.replace(progress[0], seconds=0) == structs.replace(progress[1], seconds=0)


@pytest.fixture(scope="module")
def plateau(settings):
    """Settings under which the rate drops in the middle of the run, and momentum with it."""
    return replace(settings, schedule="plateau", patience=1, learning_rate=1e-7, steps=8)


@pytest.fixture(scope="module")
def plateau_run(plateau, store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plateau") / "run"
    assert train(plateau, store, "colours", folder)
    assert len({row["lr"] for row in metrics(folder) if "lr" in row}) > 1
    return folder


# what a run leaves behind


def test_the_run_folder_is_complete(run, store, settings):
    assert {"config.json", "metrics.jsonl", "model.safetensors", "last.safetensors"} <= {p.name for p in run.iterdir()}
    assert not [path for path in run.iterdir() if ".tmp" in path.name]
    described = json.loads((run / "config.json").read_text())
    assert config.from_json(described["train"]) == settings
    assert described["classes"] == ["blue", "green", "red"]
    assert described["data"]["hash"] == store.content_hash
    assert described["data"]["counts"] == {"train": 18, "val": 9}
    assert described["preprocessing"]["stored_size"] == 76
    assert described["versions"]["torch"] == torch.__version__
    assert described["seconds"] > 0


def test_metrics_hold_a_row_a_step_and_a_row_an_evaluation(run):
    rows = metrics(run)
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "val_top1_error" in row] == [3, 5, 6]  # 4.5 steps an epoch, every 0.45
    assert rows[-2]["epoch"] == pytest.approx(6 / 4.5)
    assert rows[-2]["lr"] == pytest.approx(0, abs=1e-9)


@pytest.fixture
def looks(monkeypatch):
    """Every step is followed by an evaluation."""
    monkeypatch.setattr(loop, "LOOK_EVERY_S", -1.0)
    monkeypatch.setattr(loop, "LOOK_SHARE", 1e9)


def test_an_evaluation_comes_by_the_clock_too_and_changes_nothing_else(looks, plateau, plateau_run, store, tmp_path):
    """Neither the schedule, which counts evaluations, nor the weights that are kept."""
    recorder = Recorder()
    train(plateau, store, "colours", tmp_path / "run", recorder)
    rows = [row for row in metrics(tmp_path / "run") if "val_loss" in row]
    assert len(recorder.evaluations) == len(rows)
    assert [row for row in rows if "is_look" not in row] == [row for row in metrics(plateau_run) if "val_loss" in row]
    steps = [row["step"] for row in metrics(plateau_run) if "loss" in row]
    assert [row["step"] for row in rows] == steps
    for name in ("last.safetensors", "model.safetensors"):
        ours, theirs = load_file(tmp_path / "run" / name), load_file(plateau_run / name)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    progress = [
        checkpoint.load(folder / "last.safetensors").header.progress for folder in (tmp_path / "run", plateau_run)
    ]
    assert structs.replace(progress[0], seconds=0.0) == structs.replace(progress[1], seconds=0.0)


def test_a_look_is_due_by_the_clock_and_takes_a_twentieth_of_the_time_at_most(settings, store, tmp_path):
    with loop.begin(settings, store, "colours", Run(tmp_path / "run")) as training:
        training.looked_at = time.monotonic() - 290
        assert not training.is_look_due()
        training.looked_at -= 20
        assert training.is_look_due()
        training.look_s = 20.0
        assert not training.is_look_due()
        training.looked_at -= 100
        assert training.is_look_due()


def test_the_weights_of_the_lowest_validation_loss_are_kept_beside_the_newest(run, store):
    losses = {row["step"]: row["val_loss"] for row in metrics(run) if "val_loss" in row}
    best = checkpoint.load(run / "model.safetensors").header
    assert len(set(losses.values())) > 1
    assert losses[best.step] == best.metrics.loss == min(losses.values())
    split = store.splits["val"]
    probabilities = load(run, numbers="float32").probabilities(np.stack([split.read(i) for i in range(9)]))
    assert min(losses.values()) == pytest.approx(-np.log(probabilities[np.arange(9), split.labels]).mean(), rel=1e-5)
    assert checkpoint.load(run / "last.safetensors").header.progress.step == 6


def test_later_weights_of_a_higher_loss_do_not_take_the_place_of_the_best(settings, store, tmp_path, monkeypatch):
    """Also when the run is stopped and resumed in between."""
    losses, measure = iter([1.0, 0.5, 0.7]), loop.evaluate

    def measured(*arguments, **more):
        summary, examples = measure(*arguments, **more)
        return structs.replace(summary, loss=next(losses)), examples

    monkeypatch.setattr(loop, "evaluate", measured)
    recorder = Recorder()
    train(settings, store, "colours", tmp_path / "run", recorder, stop_after(5, recorder))
    resume(store, tmp_path / "run")
    best = checkpoint.load(tmp_path / "run" / "model.safetensors").header
    assert (best.step, best.metrics.loss) == (5, 0.5)


def test_the_observer_hears_every_step_and_evaluation(settings, store, tmp_path):
    recorder = Recorder()
    train(settings, store, "colours", tmp_path / "run", recorder)
    assert recorder.steps == [1, 2, 3, 4, 5, 6]
    assert [summary.n for summary in recorder.evaluations] == [9, 9, 9]


def test_the_same_seed_gives_the_same_run_and_another_one_another(run, settings, store, tmp_path):
    train(settings, store, "colours", tmp_path / "again")
    assert_same_run(run, tmp_path / "again")
    train(replace(settings, seed=1), store, "colours", tmp_path / "other")
    losses = [[row.get("loss") for row in metrics(folder)] for folder in (run, tmp_path / "other")]
    assert losses[0] != losses[1]


def test_a_few_steps_teach_the_toy_three_colours(settings, store, tmp_path):
    recorder = Recorder()
    learning = replace(settings, steps=100, evaluate_every=100, learning_rate=0.003, label_smoothing=0.0, dropout=0.0)
    train(learning, store, "colours", tmp_path / "run", recorder)
    assert recorder.evaluations[-1].top1_error < 0.4  # always blue: 0.56


# resumed runs


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_stopped_run_goes_on_bit_for_bit(step, run, settings, store, tmp_path):
    recorder = Recorder()
    folder = tmp_path / "run"
    assert not train(settings, store, "colours", folder, recorder, stop_after(step, recorder))
    assert recorder.steps[-1] == step
    assert checkpoint.load(folder / "last.safetensors").header.progress.step == step
    rest = Recorder()
    assert resume(store, folder, rest)
    assert rest.steps == list(range(step + 1, 7))
    assert_same_run(run, folder)


@pytest.mark.parametrize("step", [3, 4, 6])
def test_a_run_stopped_around_a_drop_of_the_rate_goes_on_bit_for_bit(step, plateau, plateau_run, store, tmp_path):
    recorder = Recorder()
    assert not train(plateau, store, "colours", tmp_path / "run", recorder, stop_after(step, recorder))
    assert resume(store, tmp_path / "run")
    assert_same_run(plateau_run, tmp_path / "run")


def test_two_threads_agree_bit_for_bit_too(settings, store, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        recorder = Recorder()
        brief = replace(settings, steps=4, evaluate_every=100)
        train(brief, store, "colours", tmp_path / "whole")
        train(brief, store, "colours", tmp_path / "parts", recorder, stop_after(2, recorder))
        resume(store, tmp_path / "parts")
    finally:
        torch.set_num_threads(before)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_wish_to_stop_that_comes_at_the_last_moment_loses_nothing(settings, store, tmp_path):
    """However often the loop asks: what it stops at is saved."""
    for asked in range(1, 5):
        answers, recorder = [], Recorder()
        folder = tmp_path / str(asked)

        def wish(answers=answers, asked=asked):
            answers.append(len(answers) + 1 >= asked)
            return answers[-1]

        assert not train(settings, store, "colours", folder, recorder, wish)
        assert checkpoint.load(folder / "last.safetensors").header.progress.step == recorder.steps[-1]


def test_a_run_stopped_at_its_last_step_is_complete(settings, store, tmp_path):
    recorder = Recorder()
    assert train(settings, store, "colours", tmp_path / "run", recorder, stop_after(6, recorder))


def test_a_finished_run_resumed_stays_as_it_is(settings, store, tmp_path):
    folder = tmp_path / "run"
    train(settings, store, "colours", folder)
    before = {name: (folder / name).read_bytes() for name in ("metrics.jsonl", "last.safetensors", "model.safetensors")}
    recorder = Recorder()
    assert resume(store, folder, recorder)
    assert recorder.steps == []
    assert {name: (folder / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("step", [2, 5])
def test_a_crash_between_saves_goes_on_from_the_last_save_bit_for_bit(step, run, settings, store, tmp_path):
    """Saved at the evaluation after step 3: a crash at step 2 starts anew, one at step 5 does step 4 again."""
    folder = tmp_path / "run"
    with pytest.raises(Crash):
        train(settings, store, "colours", folder, crash_at(step))
    assert (folder / "last.safetensors").exists() == (step > 3)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": ')  # the line that was being written
    recorder = Recorder()
    assert resume(store, folder, recorder)
    assert recorder.steps[0] == (4 if step > 3 else 1)
    assert_same_run(run, folder)


def test_saves_come_by_the_clock_too(settings, store, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    with pytest.raises(Crash):
        train(settings, store, "colours", tmp_path / "run", crash_at(3))
    assert checkpoint.load(tmp_path / "run" / "last.safetensors").header.progress.step == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from alexnet import config, records
from alexnet.data.store import Store
from alexnet.training import loop
from alexnet.observer import Observer
from alexnet.records import Progress, StepRow
from alexnet.run import Run
import json

class Killer(Observer):
    def stepped(self, step, total, loss, images_per_s):
        if step == 5:
            os.kill(os.getpid(), signal.SIGKILL)

loop.SAVE_EVERY_S = 0.0
settings = config.from_json(json.loads(sys.argv[1]))
with loop.begin(settings, Store(sys.argv[2]), "colours", Run(sys.argv[3]), Killer()) as training:
    training.run()
"""


def test_a_killed_process_goes_on_bit_for_bit(run, settings, store, tmp_path, toy_program):
    folder = tmp_path / "run"
    ended = toy_program(KILLED, json.dumps(config.to_json(settings)), store.directory, folder)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    recorder = Recorder()
    assert resume(store, folder, recorder)
    assert recorder.steps in ([5, 6], [4, 5, 6])  # the save after step 4 may have been half written
    assert_same_run(run, folder)


def test_a_finished_run_without_what_resuming_needs_is_left_as_it_is(settings, store, tmp_path):
    folder = tmp_path / "run"
    train(settings, store, "colours", folder)
    (folder / "last.safetensors").unlink()
    before = (folder / "metrics.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match=r"is finished and its .* is gone"):
        resume(store, folder)
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_every_step_sees_its_own_pictures_and_draws(settings, store, tmp_path, monkeypatch):
    seen, loss = [], loop.Step.loss

    def noted(step, images, labels, number):
        seen.append([images.clone(), labels.clone()])
        return loss(step, images, labels, number)

    monkeypatch.setattr(loop.Step, "loss", noted)
    train(settings, store, "colours", tmp_path / "run")
    split, mean = store.splits["train"], torch.from_numpy(store.mean_image)
    for step, (images, labels) in enumerate(seen):
        chosen = indices(settings.seed, step, settings.batch_size, len(split))
        pictures = np.stack([split.read(int(i)) for i in chosen])
        draws = draw(settings, store.covariance, step, store.size, 67)
        assert torch.equal(images, augment(pictures, draws, mean, 67, torch.float32))
        assert labels.tolist() == split.labels[chosen].tolist()
    assert len(seen) == 6


def test_without_tensorboard_there_are_no_events(settings, store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(settings, store, "colours", tmp_path / "run")
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert (tmp_path / "run" / "metrics.jsonl").exists()


def test_the_events_of_a_resumed_run_are_those_of_an_unbroken_one(settings, store, tmp_path, monkeypatch):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 1e9)
    with pytest.raises(Crash):
        train(settings, store, "colours", tmp_path / "run", crash_at(6))
    resume(store, tmp_path / "run")
    found = events.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    assert [event.step for event in found.Scalars("loss")] == [1, 2, 3, 4, 5, 6]


# runs that go wrong


def test_a_dead_start_is_noticed(settings, store, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE", 3)
    monkeypatch.setattr(watch, "WINDOW", 4)
    recorder = Recorder()
    dead = replace(settings, learning_rate=0.0, initialisation="paper")
    train(dead, store, "colours", tmp_path / "run", recorder)
    (notice,) = recorder.notices
    assert "still that of guessing (1.091)" in notice
    assert "initialisation=he" in notice


def test_pictures_of_which_the_network_sees_too_little_are_noticed_once(settings, store, tmp_path, monkeypatch):
    """It sees 67 of 76 pixels."""
    monkeypatch.setattr("alexnet.training.plan.LEAST_SEEN", 0.8)
    recorder = Recorder()
    train(settings, store, "colours", tmp_path / "run", recorder)
    assert recorder.notices == [
        "the network sees the middle 67 of 76 pixels, 78% of each picture: pack the pictures at 76"
    ]


def test_a_strong_fall_of_speed_is_noticed(settings, store, tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "SPAN_S", 0.0)
    monkeypatch.setattr(watch, "SLOW", 1e9)
    recorder = Recorder()
    train(settings, store, "colours", tmp_path / "run", recorder)
    (notice,) = recorder.notices
    assert notice.startswith("training fell from")


def test_a_diverged_run_stops_and_its_last_save_can_be_used(settings, store, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    folder = tmp_path / "run"
    wild = replace(settings, learning_rate=1000.0, schedule="constant", steps=200, evaluate_every=1000)
    with pytest.raises(TrainingError, match="too high"):
        train(wild, store, "colours", folder)
    saved = checkpoint.load(folder / "last.safetensors")
    assert saved.header.progress.step >= 1
    assert all(torch.isfinite(value).all() for value in saved.momentum.values())


@pytest.mark.parametrize("evaluate_every", [1000, 0.2])
def test_weights_that_are_spoiled_never_replace_good_ones(settings, store, tmp_path, monkeypatch, evaluate_every):
    """The last loss was finite, its update was not; the run notices before it saves."""

    class Spoiler(loop.Step):
        def loss(self, images, labels, number):
            self.number = number
            return super().loss(images, labels, number)

        def update(self, rate):
            measured = super().update(rate)
            if self.number == 3:
                self.model.fc7.bias.data[0] = torch.inf
            return measured

    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(loop, "Step", Spoiler)
    folder = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"fc7\.bias is not finite any more after step 4: the learning rate"):
        train(replace(settings, evaluate_every=evaluate_every), store, "colours", folder)
    assert checkpoint.load(folder / "last.safetensors").header.progress.step == 3


def test_a_run_folder_that_holds_something_is_left_alone(settings, store, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"exists already; choose another folder$"):
        train(settings, store, "colours", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "config.json").write_text("{}")  # as a run has it
    with pytest.raises(UsageError, match=r"exists already; choose another folder, or .* --resume"):
        train(settings, store, "colours", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "mine.txt"]


@pytest.mark.parametrize("place", ["mine.txt", "mine.txt/run"])
def test_a_run_folder_that_cannot_be_made_is_named(settings, store, tmp_path, place):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"mine\.txt"):
        train(settings, store, "colours", tmp_path / place)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_empty_folder_may_become_a_run(settings, store, tmp_path):
    (tmp_path / "config.json.tmp").write_text("{")  # what a process leaves that was killed at once
    assert train(replace(settings, steps=2), store, "colours", tmp_path)


def test_changed_data_are_refused(settings, store, tmp_path, make_folder):
    recorder = Recorder()
    folder = tmp_path / "run"
    train(settings, store, "colours", folder, recorder, stop_after(1, recorder))
    names = {"train/blue": 3, "train/green": 3, "train/red": 3, "val/blue": 1, "val/red": 1}
    other = pack(open_source(make_folder(tmp_path / "colours", names)), tmp_path / "store", size=76)
    before = (folder / "last.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=r"data of .* have changed"):
        resume(other, folder)
    assert (folder / "last.safetensors").read_bytes() == before


def test_what_is_no_run_cannot_be_resumed(store, tmp_path):
    with pytest.raises(CheckpointError, match=r"no run folder: it has no config\.json"):
        resume(store, tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is incomplete or damaged"):
        resume(store, tmp_path)


def test_weights_that_nobody_fills_are_refused_before_anything_is_written(settings, store, tmp_path):
    with pytest.raises(UsageError, match="initialisation none is for weights that come from elsewhere"):
        train(replace(settings, initialisation="none"), store, "x", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pictures_smaller_than_the_input_are_refused_before_anything_is_written(settings, store, tmp_path):
    told = "the network sees 99 pixels, the store holds 76: give `input_size=67`, or pack the pictures at 112"
    with pytest.raises(UsageError, match=told):
        train(replace(settings, input_size=99), store, "colours", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("missing", "told"), [("train", "no training pictures"), ("val", "nothing to test on")])
def test_a_missing_split_is_named_before_anything_is_written(missing, told, settings, store, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "splits", {name: split for name, split in store.splits.items() if name != missing})
    with pytest.raises(DataError, match=told):
        train(settings, store, "colours", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_steps_follow_from_epochs():
    train = replace(config.PAPER, batch_size=4)
    assert plan.total_steps(replace(train, epochs=2), 18) == 9
    assert plan.total_steps(replace(train, epochs=0.1), 18) == 1
    assert plan.total_steps(replace(train, epochs=2, steps=5), 18) == 5


def test_decoded_pictures_take_what_the_steps_leave(settings, monkeypatch):
    model = plan.make_model(settings, 3)
    step = plan.fixed_bytes(model) + int(4 * plan.bytes_per_image(model, torch.float32))
    for left, expected in ((-5, 0), (1000, 1000), (1 << 40, 2 << 30)):
        monkeypatch.setattr("alexnet.machine.free_host_memory", lambda left=left: step + left)
        assert plan.left_for_pictures(model, 4, torch.float32) == pytest.approx(expected, abs=2)


def test_a_second_program_is_kept_out_of_a_run_in_progress(settings, store, tmp_path):
    folder = tmp_path / "run"

    def intrude(step):
        with pytest.raises(UsageError, match="run is being trained by another program"):
            resume(store, folder)

    assert train(replace(settings, steps=2, epochs=1), store, "colours", folder, Recorder(intrude))
    assert resume(store, folder)


def test_the_largest_batch_is_that_of_all_processes(settings, monkeypatch):
    model = plan.make_model(settings, 3)
    each = plan.bytes_per_image(model, torch.float32)
    monkeypatch.setattr("alexnet.machine.free_memory", lambda: int(plan.fixed_bytes(model) + 10.5 * each))
    plan.check_memory(model, 40, torch.float32, processes=4)
    with pytest.raises(UsageError, match="the largest that does is 40: take `batch_size=40`"):
        plan.check_memory(model, 44, torch.float32, processes=4)


def test_a_folder_that_was_not_trained_here_is_no_run_begun(settings, store, tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["AlexNet"]}')
    assert not Run(tmp_path).is_begun(settings, store)


def described(**changes):
    """A whole `config.json` with some entries changed."""
    whole = {"classes": ["a", "b"], "preprocessing": {"divide_pixels_by": 1.0}, "train": {}, "data": {"hash": "x"}}
    return json.dumps({**whole, **changes})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[1, 2]", r"config\.json is incomplete or damaged \(Expected `object`, got `array`\): restore it"),
        ("[" * 100_000, r"config\.json is incomplete or damaged \(nested too deeply\): restore it"),
        (described(train=None), "was not trained here, or .*: start a new run"),
        (described(train=7), r"\(Expected `object \| null`, got `int` - at `\$.train`\): restore it"),
        (described(train={"learnin_rate": 1}), "no setting 'learnin_rate'; perhaps 'learning_rate'"),
        (described(data=[]), r"\(Expected `object \| null`, got `array` - at `\$.data`\): restore it"),
        (described(data=None), "was not trained here, or .*: start a new run"),
        ('{"classes": []}', "missing required field `preprocessing`"),
    ],
)
def test_a_description_of_another_shape_is_refused(content, told, store, tmp_path):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=told) as caught:
        resume(store, tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_that_are_none_to_resume_from_are_refused(run, store, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    shutil.copy(folder / "model.safetensors", folder / "last.safetensors")
    with pytest.raises(CheckpointError, match=r"last\.safetensors does not say how far the run is: restore it"):
        resume(store, folder)


WHOLE = {"step": 3, "rate": 0.01, "seconds": 1.5, "best_loss": None, "history": [0.5]}


@pytest.mark.parametrize(
    "progress",
    [
        *[None, [], "x", {}, {**WHOLE, "speed": 1}, {name: value for name, value in WHOLE.items() if name != "step"}],
        *[{**WHOLE, "step": step} for step in (None, "3", 3.0, True, -1)],
        *[{**WHOLE, name: "fast"} for name in ("rate", "seconds", "best_loss", "history")],
        {**WHOLE, "rate": None},
        {**WHOLE, "history": ["x"]},
    ],
)
def test_progress_of_another_shape_is_refused(progress, tmp_path):
    assert json.loads(records.read(Progress, WHOLE, tmp_path, CheckpointError, "restore it").to_json()) == WHOLE
    with pytest.raises(CheckpointError, match=r"is incomplete or damaged .*: restore it$"):
        records.read(Progress, progress, tmp_path, CheckpointError, "restore it")


@pytest.mark.parametrize("line", [b"\0\0\0", b"{}", b"[1]", b"\xff", b'{"step": "x"}', b"[" * 100_000, b"null", b""])
def test_a_damaged_row_of_metrics_is_dropped(line, tmp_path):
    rows = [b'{"step": %d, "epoch": 1, "loss": 2.5}\n' % step for step in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_bytes(rows[0] + line + b"\n" + rows[1] + rows[2])
    with Journal(Run(tmp_path), 2, Observer()):
        pass
    assert (tmp_path / "metrics.jsonl").read_bytes() == rows[0] + rows[1]


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_disk_that_fills_up_under_the_metrics_is_one_line(tmp_path):
    journal = Journal(Run(tmp_path), 0, Observer())
    journal._file.close()
    journal._file = Path("/dev/full").open("a")  # noqa: SIM115
    with pytest.raises(DataError, match=f"the disk of {tmp_path} is full: free some space"):
        journal.write(StepRow(step=1, epoch=0.1, loss=2.5))
    with pytest.raises(DataError, match="is full"):
        journal.__exit__(None, None, None)


@pytest.mark.parametrize("method", ["__init__", "add_scalar", "close"])
def test_tensorboard_that_fails_is_dropped_with_one_notice(method, settings, store, tmp_path, monkeypatch):
    writer = pytest.importorskip("torch.utils.tensorboard").SummaryWriter
    monkeypatch.setattr(writer, method, full)
    recorder = Recorder()
    assert train(settings, store, "colours", tmp_path / "run", recorder)
    (notice,) = recorder.notices
    assert "TensorBoard's events cannot be written, the training goes on without: " in notice
    assert [row["step"] for row in metrics(tmp_path / "run") if "loss" in row] == [1, 2, 3, 4, 5, 6]


def test_data_of_a_name_that_is_no_text_are_trained_on(settings, store, tmp_path):
    """A path of bytes that are no UTF-8, as Python has it."""
    folder, recorder = tmp_path / "run", Recorder()
    brief = replace(settings, steps=4)
    assert not train(brief, store, "pictures-\udcff", folder, recorder, stop_after(3, recorder))
    assert resume(store, folder)
    assert json.loads((folder / "manifest.json").read_text())["data"]["source"] == "pictures-\udcff"
