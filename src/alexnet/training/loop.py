"""Training, from the first step to the report, in the order of time.

A step is a pure function of (settings, weights, momentum, step): pictures, crops, colour and dropout are drawn from the
seed and the step. A run that was interrupted and resumed therefore equals the unbroken run bit for bit. Draws are made
for the whole batch, of which each process of a team takes its rows, so that any team trains the same network; only its
first process touches the run folder.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexnet import config, machine
from alexnet.config import Train
from alexnet.data.augment import augment, draw
from alexnet.data.batches import indices, prefetch
from alexnet.data.pictures import Pictures
from alexnet.data.store import Store
from alexnet.errors import CheckpointError, DataError, UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import evaluate
from alexnet.files import write
from alexnet.models.create import build
from alexnet.models.network import Network
from alexnet.team import ALONE, Team
from alexnet.training import memory, run
from alexnet.training.observer import Observer
from alexnet.training.parallel import Part
from alexnet.training.schedule import learning_rate
from alexnet.training.step import Step, dead_units
from alexnet.training.watch import Watch
from alexnet.weights import checkpoint, manifest

SAVE_EVERY_S = 120.0


@dataclass
class Progress:
    """How far a run is: all that resuming needs besides weights and momentum."""

    step: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    best_loss: float | None = None
    history: list[float] = field(default_factory=list)


def train(
    settings: Train,
    store: Store,
    source: str,
    folder: Path,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    team: Team = ALONE,
) -> bool:
    """Trains a network from its start.

    Args:
        settings: What to do.
        store: The data; needs a `train` split and a `val` or `test` split.
        source: What the user called the data.
        folder: The run folder to make.
        observer: Is told how it goes.
        should_stop: Asked after every step; True saves and stops.
        team: Processes that train together; under torchrun the same command continues its run.

    Returns:
        True if the run is complete, False if it was stopped.

    Raises:
        UsageError: The folder exists, or a setting does not fit.
        DataError: A split is missing, or the disk is full.
        TrainingError: The loss is not finite any more.
        TeamError: A process of the team ended or hangs.
    """
    check(settings)
    team.compare({**config.to_json(settings), **_facts(settings, store)})
    if team.goes_on and team.tell(run.is_begun(folder, settings, store)):
        return resume(store, folder, observer, should_stop, team)
    model = make_model(settings, len(store.classes))
    _check(settings, store, model, team)
    if team.is_first:
        run.create(folder, settings, model, store, source)
    with run.alone(folder, team):
        return Job(settings, store, folder, model, {}, Progress(), observer or Observer(), team).run(should_stop)


def resume(
    store: Store,
    folder: Path,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    team: Team = ALONE,
) -> bool:
    """Continues a run from its last save; the same as `train` otherwise.

    Raises:
        CheckpointError: The folder is no run, its data have changed, or it is finished and what resuming needs is gone.
        UsageError: Another program trains in the folder.
    """
    description = team.tell(run.read_config(folder) if team.is_first else {})
    if "train" not in description or "hash" not in description.get("data", {}):
        raise CheckpointError(f"{folder} was not trained here, or its {run.CONFIG} was cut: start a new run instead")
    settings = config.from_json(description["train"])
    team.compare(_facts(settings, store))
    if store.content_hash != description["data"]["hash"]:
        raise CheckpointError(f"the data of {folder} have changed since it started; start a new run with another --out")
    with run.alone(folder, team):
        last = folder / run.LAST
        saved = checkpoint.load(last) if team.is_first and last.exists() else None
        is_saved = team.tell(saved is not None)
        if not is_saved and "seconds" in description:
            raise CheckpointError(f"{folder} is finished and its {run.LAST} is gone: there is nothing to resume")
        model = saved.model if saved else make_model(settings, len(store.classes))
        _check(settings, store, model, team)
        momentum = saved.momentum if saved else {}
        progress = read_progress(saved.header, last) if saved else Progress()
        if is_saved:
            progress = team.tell(progress)
            momentum = momentum or {name: torch.zeros_like(weights) for name, weights in model.named_parameters()}
            team.spread([*model.state_dict().values(), *(momentum[name] for name in sorted(momentum))])
        return Job(settings, store, folder, model, momentum, progress, observer or Observer(), team).run(should_stop)


def read_progress(header: dict[str, Any], path: Path) -> Progress:
    """Reads how far a run is.

    Args:
        header: Of the weight file to resume from.
        path: What errors call the file.

    Raises:
        CheckpointError: It does not say, or is of no step that there is.
    """
    found = header.get("progress")
    if isinstance(found, dict) and found.keys() == vars(Progress()).keys() and isinstance(found["history"], list):
        progress = Progress(**found)
        best = [] if progress.best_loss is None else [progress.best_loss]
        numbers = [progress.rate, progress.seconds, *best, *progress.history]
        if type(progress.step) is int and progress.step >= 0 and {*map(type, numbers)} <= {int, float}:
            return progress
    raise CheckpointError(
        f"{path} does not say how far the run is: restore it from a copy, or delete it, and the run starts anew"
    )


def check(settings: Train) -> None:
    """Refuses settings that make no network, before a picture is read.

    Raises:
        UsageError: It says why.
    """
    if settings.initialisation == "none":
        raise UsageError("initialisation none is for weights that come from elsewhere: take another, for instance he")
    with torch.device("meta"):
        make_model(settings, classes=2)


def make_model(settings: Train, classes: int) -> Network:
    """Makes the network that the settings describe, freshly initialised."""
    return build(settings, classes, settings.initialisation, settings.seed)


def total_steps(settings: Train, count: int) -> int:
    """Gives the number of updates of a run over `count` training pictures."""
    if settings.steps is not None:
        return settings.steps
    return max(1, math.ceil(settings.epochs * count / settings.batch_size))


class Job:
    """A training run in progress.

    Args:
        settings: What to do.
        store: The data.
        folder: The run folder.
        model: The network, fresh or as it was saved.
        momentum: Parameter name -> momentum, as it was saved.
        progress: How far it is.
        observer: Is told how it goes.
        team: Processes that train together; each has a job like this.
    """

    def __init__(
        self,
        settings: Train,
        store: Store,
        folder: Path,
        model: Network,
        momentum: dict[str, Tensor],
        progress: Progress,
        observer: Observer,
        team: Team = ALONE,
    ) -> None:
        self.settings, self.store, self.folder, self.progress, self.team = settings, store, folder, progress, team
        self.observer = observer if team.is_first else Observer()
        self.device, self.dtype = machine.device(), machine.dtype(settings.precision)
        for_pictures = memory.left_for_pictures(model, settings.batch_size // team.images.count, self.dtype)
        self.model = model.to(self.device)
        self.part = Part(self.model, team, settings.reduction)
        self.step = Step(self.model, settings, self.dtype, self.part)
        self.step.restore(self.part.mine(momentum), progress.rate)
        self.split, self.watched = store.splits["train"], _watched(store)
        self.steps_per_epoch = len(self.split) / settings.batch_size
        self.total = total_steps(settings, len(self.split))
        self.header = run.read_config(folder) if team.is_first else {}
        self.mean = torch.from_numpy(store.mean_image).to(self.device)
        self.pictures = Pictures(self.split, store.size, for_pictures)
        self.watch = Watch(settings, np.bincount(self.split.labels).tolist())
        self.journal = run.Journal(folder, progress.step, observer) if team.is_first else None
        self.writer = ThreadPoolExecutor(1, "save")
        self.saving: Future[None] | None = None
        self.clock = self.saved_at = time.monotonic()

    def run(self, should_stop: Callable[[], bool]) -> bool:
        """Makes the steps that are left; False if it was asked to stop before the last."""
        try:
            with closing(prefetch(self.batch, range(self.progress.step, self.total))) as batches:
                for images, labels in batches:
                    self.update(images, labels)
                    is_due = self.is_evaluation_due()
                    if is_due:
                        self.evaluate()
                    is_save_due = time.monotonic() - self.saved_at > SAVE_EVERY_S
                    is_stopping, is_save_due = self.team.agree(should_stop(), is_save_due)
                    if is_due or is_stopping or is_save_due:
                        self.save()
                    if is_stopping and self.progress.step < self.total:
                        return False
        finally:
            self.pictures.close()
            self.writer.shutdown()
            if self.journal:
                self.journal.close()
            self.finish_writing()
        if self.team.is_first:
            described = {**self.header, "seconds": self.progress.seconds}
            write(self.folder / run.CONFIG, json.dumps(described, indent=1) + "\n")
        return True

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Gives the images (N, 3, S, S) and labels (N,) of one step, ready for the network: this process's."""
        count = self.settings.batch_size
        mine, seen = self.team.images.part(count), self.team.data.part(count)
        chosen = indices(self.settings.seed, step, count, len(self.split))
        draws = draw(self.settings, self.store.covariance, step, self.store.size, self.model.input_size)
        images = augment(self.pictures.read(chosen[mine]), draws[mine], self.mean, self.model.input_size, self.dtype)
        return images, torch.from_numpy(self.split.labels[chosen[seen]]).to(self.device)

    def update(self, images: Tensor, labels: Tensor) -> None:
        """Makes one update and writes it down."""
        progress = self.progress
        progress.rate = learning_rate(self.settings, progress.step, self.total, progress.history)
        sent = self.team.sent
        loss = self.step(images, labels, progress.step, progress.rate)
        if not sent:
            self.tell_cost()
        self.watch.follow(progress.step, loss)
        progress.step += 1
        images_per_s = self.settings.batch_size / self.lap()
        self.observer.stepped(progress.step, self.total, loss, images_per_s)
        self.note(loss=loss, error=self.step.error, lr=progress.rate, images_per_s=images_per_s)
        if self.watch.is_dead_at(progress.step):
            self.observer.notice(self.watch.diagnosis(dead_units(self.model, images, self.dtype)))

    def is_evaluation_due(self) -> bool:
        """Says whether the last step crossed a multiple of `evaluate_every` epochs, or was the last of all."""
        done, every = self.progress.step, self.steps_per_epoch * self.settings.evaluate_every
        return done == self.total or math.floor(done / every) > math.floor((done - 1) / every)

    def evaluate(self) -> None:
        """Measures the validation split and keeps the weights if their loss is the lowest so far.

        The loss, not the error: on a small split the error of one evaluation is mostly luck.
        """
        self.watch.check(self.progress.step, self.model)
        progress, store = self.progress, self.store
        divide_by = self.settings.divide_pixels_by
        classifier = Classifier(self.model, store.classes, store.mean_image, divide_by, self.dtype, {})
        try:
            summary, _ = evaluate([classifier], store, self.watched, team=self.team)
        except UsageError as error:  # its probabilities are no numbers, though its weights are
            raise self.watch.diverged(str(error)) from error
        summary = self.team.tell(summary)
        self.observer.evaluated(progress.step / self.steps_per_epoch, summary)
        self.note(**{f"val_{name}": summary[name] for name in ("top1_error", "top5_error", "loss")})
        if progress.best_loss is None or summary["loss"] < progress.best_loss:
            progress.best_loss = summary["loss"]
            metrics = {name: summary[name] for name in ("top1_error", "top5_error", "loss", "n", "views", "split")}
            self.write(run.BEST, {"step": progress.step, "metrics": metrics}, {})
        progress.history.append(summary["top1_error"])
        self.lap()

    def save(self) -> None:
        """Saves what resuming needs, if it is worth resuming."""
        self.watch.check(self.progress.step, self.model)
        self.write(run.LAST, {"progress": copy.deepcopy(vars(self.progress))}, self.step.momentum())
        self.lap()
        self.saved_at = self.clock

    def write(self, name: str, facts: dict[str, Any], momentum: dict[str, Tensor]) -> None:
        """Copies the weights and has a thread write them, while the training goes on."""
        weights, momentum = self.part.whole(self.model.state_dict()), self.part.whole(momentum)
        self.finish_writing()
        if self.team.is_first:
            path, header, mean = self.folder / name, {**self.header, **facts}, self.store.mean_image
            renewed = manifest.renewed(path) if name == run.BEST else nullcontext()
            self.saving = self.writer.submit(_save, renewed, path, self.model, mean, header, momentum, weights)

    def finish_writing(self) -> None:
        """Waits for the file that is being written.

        Raises:
            DataError: The disk is full.
        """
        saving, self.saving = self.saving, None
        if saving:
            saving.result()

    def note(self, **figures: float) -> None:
        """Writes a row of metrics."""
        if self.journal:
            step = self.progress.step
            self.journal.write({"step": step, "epoch": step / self.steps_per_epoch, **figures})

    def tell_cost(self) -> None:
        """Says what each process of a team holds and sends."""
        team = self.team
        if team.everyone.count > 1:
            self.observer.notice(
                f"--parallel {team.mode} on {team.everyone.count} processes: each holds {self.part.share:.1%} of the "
                f"weights and sends {team.sent / 1e6:,.3g} MB a step"
            )

    def lap(self) -> float:
        """Gives the seconds since the last lap, and adds them to the run's."""
        last, self.clock = self.clock, time.monotonic()
        self.progress.seconds += self.clock - last
        return self.clock - last


def _save(around: AbstractContextManager[None], *what: Any) -> None:
    with around:
        checkpoint.save(*what)


def _facts(settings: Train, store: Store) -> dict[str, Any]:
    """Gives what all processes of a team must have in common besides the settings."""
    return {"data": store.content_hash, "numbers": str(machine.dtype(settings.precision))}


def _check(settings: Train, store: Store, model: Network, team: Team) -> None:
    if "train" not in store.splits or not len(store.splits["train"]):
        raise DataError(f"{store.name} has no training pictures; put class folders under train/")
    if model.input_size > store.size:
        raise UsageError(f"the network sees {model.input_size} pixels, the store holds {store.size}; pack with --size")
    count, batch, pictures = team.images.count, settings.batch_size, len(store.splits["train"])
    if total_steps(settings, pictures) == 1 and settings.schedule in ("one-cycle", "polynomial"):
        raise UsageError(
            f"{pictures} pictures in batches of {batch} make one step, at whose end the rate is 0 and nothing is "
            "learned: give more --epochs, or smaller batches with --set batch_size"
        )
    if batch % count:
        even = batch + -batch % count
        raise UsageError(f"a batch of {batch} cannot be shared evenly by {count} processes: --set batch_size={even}")
    memory.check(model, batch, machine.dtype(settings.precision), count)
    _watched(store)


def _watched(store: Store) -> str:
    """Names the split that is evaluated during training."""
    for name in ("val", "test"):
        if name in store.splits:
            return name
    raise DataError(f"{store.name} has nothing to test on; add a val/ folder beside train/")
