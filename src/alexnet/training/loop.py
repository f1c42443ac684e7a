"""Training, in the order of time: begin or resume, make the steps, measure, save, finish.

A step is a pure function of (settings, weights, momentum, step): pictures, crops, colour and dropout are drawn from the
seed and the step. A run that was interrupted and resumed therefore equals the unbroken run bit for bit. Draws are made
for the whole batch, of which each process of a team takes its rows, so that any team trains the same network; only its
first process touches the run folder.

    with begin(settings, store, "~/pictures", Run("runs/mine")) as training:
        is_complete = training.run()
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import InitVar, dataclass

import numpy as np
from msgspec import structs
from torch import Tensor

from alexnet import config, machine
from alexnet.config import Train
from alexnet.data.feed import Feed
from alexnet.data.store import Store
from alexnet.errors import CheckpointError, UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import evaluate
from alexnet.foreign.trained import TrainedNetwork
from alexnet.models.network import Network
from alexnet.observer import Observer
from alexnet.records import Description, Evaluation, Header, Metrics, Progress, StepRow, ValidationRow
from alexnet.run import Run
from alexnet.team import ALONE, Team
from alexnet.training import plan
from alexnet.training.journal import Journal, Saver
from alexnet.training.loss import class_weights
from alexnet.training.parallel import Part
from alexnet.training.schedule import learning_rate
from alexnet.training.start import create, renew, saved, with_head
from alexnet.training.step import Step, dead_units
from alexnet.training.transfer import renewed
from alexnet.training.watch import Pace, Watch

SAVE_EVERY_S = 120.0

LOOK_EVERY_S, LOOK_SHARE = 300.0, 0.05
"""Seconds between two evaluations at most, unless they would take more than this share of the time."""


@contextmanager
def begin(
    settings: Train,
    store: Store,
    source: str,
    run: Run,
    observer: Observer | None = None,
    team: Team = ALONE,
    trained: TrainedNetwork | None = None,
    goes_on: bool = False,
) -> Iterator["Training"]:
    """Begins a run in a new folder; `source` is what the user called the data.

    It begins with the settings' own network, or takes over one that is `trained`, whose preprocessing stays. With
    `goes_on`, a run of these very settings and data that is in the folder is resumed.

    Raises:
        UsageError: The folder holds something, or a setting does not fit the data, the machine or the trained network.
        DataError: The data lack a `train` split, or both `val` and `test`; no head can be fitted to them; or the disk
            is full.
        TeamError: A process of the team ended or hangs.
    """
    plan.check(settings, is_transfer=trained is not None)
    team.compare({**config.to_json(settings), **_facts(settings, store)})
    if not (goes_on and team.tell(run.is_begun(settings, store, trained.sha256 if trained else None))):
        create(settings, store, source, run, observer or Observer(), team, trained)
    with resume(store, run, observer, team, source=source) as training:
        yield training


@contextmanager
def resume(
    store: Store,
    run: Run,
    observer: Observer | None = None,
    team: Team = ALONE,
    start: Network | None = None,
    source: str | None = None,
) -> Iterator["Training"]:
    """Continues a run from its last save, or from its start where nothing is saved yet.

    A run that began with a network of its own, or under hooks, needs it again as `start`; saved weights replace its
    weights. The run remembers `source`, what the user calls the data now; None is as before.

    Raises:
        CheckpointError: The folder is no run, its data or its `config.json` have changed, or the run is finished and
            what resuming needs is gone.
        UsageError: Another program trains in the folder.
    """
    description = team.tell(run.description() if team.is_first else None)
    if description is None or description.settings is None or description.data is None:
        raise CheckpointError(f"{run.folder} was not trained here, or its {run.config.name} was cut: start a new run")
    settings = description.settings
    team.compare(_facts(settings, store))
    if store.content_hash != description.data.hash:
        raise CheckpointError(f"the data of {run.folder} have changed since it started; start a new run elsewhere")
    with run.alone(team):
        if team.is_first:  # at every start, in case an earlier one ended before it wrote them
            run.keep_pictures(store)
        if source is not None:
            description = run.moved(description, source, team.is_first)
        model, momentum, progress, mean = saved(settings, store, run, description, team, start)
        if description.ancestor:
            store = store.with_mean(mean)
            if settings.head_first and team.tell(run.newest == run.planted):
                progress = with_head(store, run, description, model, observer or Observer(), team)
        yield Training(settings, store, run, description, model, momentum, progress, observer or Observer(), team)


@dataclass(eq=False)
class Training:
    """A training in progress; each process of a team has one."""

    settings: Train
    store: Store
    folder: Run
    description: InitVar[Description]
    model: Network  # fresh, or as it was saved
    momentum: InitVar[dict[str, Tensor]]  # by parameter name, as it was saved
    progress: Progress
    observer: Observer  # is told how it goes, and may stop it
    team: Team

    def __post_init__(self, description: Description, momentum: dict[str, Tensor]) -> None:
        settings, team = self.settings, self.team
        if team.is_first:
            self.folder.check_room(sum(weights.nbytes for weights in self.model.parameters()))
        else:
            self.observer = Observer()
        self.header = Header.of(description, self.model.design)
        dtype, device = machine.dtype(settings.precision), machine.device()
        for_pictures = plan.left_for_pictures(self.model, settings.batch_size // team.images.count, dtype)
        self.model.to(device)
        part = Part(self.model, team, settings.reduction)  # cuts the network, which is whole until here
        self.step = Step(self.model, settings, dtype, part, class_weights(settings, self.store))
        self.step.restore(momentum, self.progress.rate)
        self.feed = Feed(settings, self.store, self.model.input_size, dtype, device, for_pictures, team)
        count = len(self.feed.split)
        self.steps_per_epoch, self.total = count / settings.batch_size, plan.total_steps(settings, count)
        is_tuning = description.is_guarded and not renewed(settings, self.model)  # new layers start by guessing
        self.watch = Watch(settings, np.bincount(self.feed.split.labels).tolist(), is_tuning)
        self.journal: Journal | None = None
        self.saver: Saver | None = None
        self.clock = self.saved_at = self.looked_at = time.monotonic()
        self.pace, self.look_s = Pace(), 0.0  # how long the last evaluation took

    def run(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Makes the steps that are left, and returns whether the run is complete.

        The observer, or `until`, which is asked after every step too, may end it early.

        Raises:
            TrainingError: The loss is not finite any more.
            DataError: The disk is full.
            TeamError: A process of the team ended or hangs.
        """
        with self._opened(), closing(self.feed.batches(range(self.progress.step, self.total))) as batches:
            is_choosing = not self.total or self.steps_per_epoch * self.settings.evaluate_every <= self.total
            if not self.progress.step and self.progress.best_loss is None and self.header.ancestor:
                self._take_up(is_choosing)
            for images, labels in batches:
                rate = learning_rate(self.settings, self.progress.step, self.total, self.progress.history)
                loss = self.step.loss(images, labels, self.progress.step)
                loss.backward()  # type: ignore[no-untyped-call]
                mean_loss, error = self.step.update(rate)
                self.write_down(rate, mean_loss, error, images)
                is_due = self.is_evaluation_due()
                if is_due:
                    self.evaluate()
                is_save_due = time.monotonic() - self.saved_at > SAVE_EVERY_S
                is_stopping, is_save_due, is_look_due = self.team.agree(
                    self.observer.should_stop() or until(), is_save_due, self.is_look_due()
                )
                if is_due or is_stopping or is_save_due:
                    self.save()
                if is_stopping and self.progress.step < self.total:
                    return False
                if is_look_due and not is_due:
                    self.measure(is_look=True)
        if self.team.is_first:
            self.folder.finish(self.progress.seconds)
        return True

    def _take_up(self, is_choosing: bool) -> None:
        """Measures what was taken over, whose weights may be kept where the run is choosing, and makes layers anew."""
        if is_choosing:
            start = "frozen features" if self.settings.head_first else "before the first step"
            self.observer.notice(f"{start}: {self.evaluate().in_words}")
        if self.total:
            renew(self.settings, self.store, self.model, self.step.part)
        if is_choosing:
            self.save()

    def write_down(self, rate: float, loss: float, error: float, images: Tensor) -> None:
        """Takes in one update: progress, metrics, and warnings about it."""
        self.watch.follow(self.progress.step, loss, rate)
        self.progress = structs.replace(self.progress, step=self.progress.step + 1, rate=rate)
        step, seconds, batch = self.progress.step, self.lap(), self.settings.batch_size
        images_per_s = batch / seconds
        processes = self.team.everyone.count
        if processes > 1 and len(self.watch.losses) == 1:  # the first update since the team came together
            self.observer.notice(
                f"{self.team.mode} on {processes} processes: each holds {self.step.part.fraction:.1%} of the weights "
                f"and sends {self.team.sent / 1e6:,.3g} MB a step"
            )
        self.observer.stepped(step, self.total, loss, images_per_s)
        if self.journal:
            epoch = step / self.steps_per_epoch
            self.journal.write(
                StepRow(step=step, epoch=epoch, loss=loss, error=error, lr=rate, images_per_s=images_per_s)
            )
        if self.watch.is_dead_at(step):
            self.observer.notice(self.watch.diagnosis(step, dead_units(self.model, images, self.step.dtype)))
        if slow := self.pace.follow(batch, seconds):
            self.observer.notice(slow)

    def is_evaluation_due(self) -> bool:
        """Returns whether the last step crossed a multiple of `evaluate_every` epochs, or was the last of all."""
        done, every = self.progress.step, self.steps_per_epoch * self.settings.evaluate_every
        return done == self.total or math.floor(done / every) > math.floor((done - 1) / every)

    def is_look_due(self) -> bool:
        """Returns whether the last evaluation is so long ago that a person should be told how the run stands."""
        return time.monotonic() - self.looked_at > max(LOOK_EVERY_S, self.look_s / LOOK_SHARE)

    def evaluate(self) -> Evaluation:
        """Measures the validation split, keeps the weights if their loss is the lowest so far, and returns the errors.

        The loss decides, not the error: on a small split the error of one evaluation is mostly luck.
        """
        measured = self.measure()
        loss = measured.loss or 0.0
        if self.progress.best_loss is None or loss < self.progress.best_loss:
            self.progress = structs.replace(self.progress, best_loss=loss)
            metrics = Metrics(**{name: getattr(measured, name) for name in Metrics.__struct_fields__})
            weights = self.step.part.whole(self.model.state_dict())
            if self.saver:
                self.saver.save(structs.replace(self.header, metrics=metrics, step=self.progress.step), weights)
        self.progress = structs.replace(self.progress, history=(*self.progress.history, measured.top1_error))
        self.lap()
        return measured

    def measure(self, is_look: bool = False) -> Evaluation:
        """Measures the validation split, and tells people and the journal.

        A look comes by the clock, so neither the schedule nor the choice of weights may depend on it: a run that is
        resumed has its looks at other steps.
        """
        started = time.monotonic()
        self.watch.check(self.progress.step, self.model)
        classifier = Classifier(self.model, self.store.mean_image, self.step.dtype, self.header)
        try:
            measured, _ = evaluate([classifier], self.store, plan.watched(self.store), team=self.team)
        except UsageError as error:  # its probabilities are no numbers, though its weights are
            raise self.watch.diverged(str(error)) from error
        measured = self.team.tell(measured)
        step, epoch = self.progress.step, self.progress.step / self.steps_per_epoch
        self.observer.evaluated(epoch, measured)
        if self.journal:
            errors = {"val_top1_error": measured.top1_error, "val_top5_error": measured.top5_error}
            loss = measured.loss or 0.0
            self.journal.write(ValidationRow(step=step, epoch=epoch, **errors, val_loss=loss, is_look=is_look))
        self.lap()
        self.looked_at, self.look_s = self.clock, self.clock - started
        return measured

    def save(self) -> None:
        """Saves what resuming needs, if it is worth resuming."""
        self.watch.check(self.progress.step, self.model)
        part = self.step.part  # every process sends its part, though only the first writes
        weights, momentum = part.whole(self.model.state_dict()), part.whole(self.step.momentum())
        if self.saver:
            self.saver.save(structs.replace(self.header, progress=self.progress), weights, momentum)
        self.lap()
        self.saved_at = self.clock

    def lap(self) -> float:
        """Returns the seconds since the last lap, and adds them to the run's."""
        last, self.clock = self.clock, time.monotonic()
        self.progress = structs.replace(self.progress, seconds=self.progress.seconds + self.clock - last)
        return self.clock - last

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Opens the files that a run writes, and at the end closes them and all threads."""
        with closing(self.feed), ExitStack() as stack:
            if self.team.is_first:
                self.journal = stack.enter_context(Journal(self.folder, self.progress.step, self.observer))
                self.saver = stack.enter_context(Saver(self.folder, self.model, self.store.mean_image))
            yield


def _facts(settings: Train, store: Store) -> dict[str, str]:
    """Returns what all processes of a team must have in common besides the settings."""
    return {"data": store.content_hash, "numbers": str(machine.dtype(settings.precision))}
