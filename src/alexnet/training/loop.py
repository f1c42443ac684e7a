"""Training, from the first step to the report, in the order of time.

A step is a pure function of (settings, weights, momentum, step): pictures, crops, colour and dropout are drawn from the
seed and the step. A run that was interrupted and resumed therefore equals the unbroken run bit for bit.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet import config, precision
from alexnet.config import Train
from alexnet.data.augment import augment, draw
from alexnet.data.batches import indices, prefetch
from alexnet.data.pictures import Pictures
from alexnet.data.store import Store
from alexnet.errors import CheckpointError, DataError, UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import evaluate
from alexnet.files import write
from alexnet.models.alexnet import AlexNet
from alexnet.training import run
from alexnet.training.schedule import learning_rate
from alexnet.training.step import Step, dead_units
from alexnet.training.watch import Watch
from alexnet.weights import checkpoint

SAVE_EVERY_S = 120.0


class Observer:
    """Is told how the training goes; does nothing with it."""

    def stepped(self, step: int, total: int, loss: float, images_per_s: float) -> None:
        """A step was made."""

    def evaluated(self, epoch: float, summary: dict[str, Any]) -> None:
        """The validation split was measured."""

    def notice(self, text: str) -> None:
        """Something a person should know."""


@dataclass
class Progress:
    """How far a run is: all that resuming needs besides weights and momentum."""

    step: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    history: list[float] = field(default_factory=list)


def train(
    settings: Train,
    store: Store,
    source: str,
    folder: Path,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Trains a network from its start.

    Args:
        settings: What to do.
        store: The data; needs a `train` split and a `val` or `test` split.
        source: What the user called the data.
        folder: The run folder to make.
        observer: Is told how it goes.
        should_stop: Asked after every step; True saves and stops.

    Returns:
        True if the run is complete, False if it was stopped.

    Raises:
        UsageError: The folder exists, or a setting does not fit.
        DataError: A split is missing, or the disk is full.
        TrainingError: The loss is not finite any more.
    """
    model = make_model(settings, len(store.classes))
    _check(settings, store, model)
    run.create(folder, settings, model, store, source)
    return _train(settings, store, folder, model, {}, Progress(), observer or Observer(), should_stop)


def resume(
    store: Store,
    folder: Path,
    observer: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Continues a run from its last save; the same as `train` otherwise.

    Raises:
        CheckpointError: The folder is no run, or its data have changed.
    """
    description = run.read_config(folder)
    settings = config.from_json(description["train"])
    if store.content_hash != description["data"]["hash"]:
        raise CheckpointError(f"the data of {folder} have changed since it started; start a new run with another --out")
    last = folder / run.LAST
    if not last.exists():
        model = make_model(settings, len(store.classes))
        return _train(settings, store, folder, model, {}, Progress(), observer or Observer(), should_stop)
    saved = checkpoint.load(last)
    progress = Progress(**saved.header["progress"])
    return _train(settings, store, folder, saved.model, saved.momentum, progress, observer or Observer(), should_stop)


def make_model(settings: Train, classes: int) -> AlexNet:
    """Makes the network that the settings describe, freshly initialised."""
    return AlexNet(
        settings.variant,
        classes=classes,
        input_size=settings.input_size,
        activation=settings.activation,
        lrn=settings.lrn,
        pooling=settings.pooling,
        dropout=settings.dropout,
        initialisation=settings.initialisation,
        seed=settings.seed,
    )


def total_steps(settings: Train, count: int) -> int:
    """Gives the number of updates of a run over `count` training pictures."""
    if settings.steps is not None:
        return settings.steps
    return math.ceil(settings.epochs * count / settings.batch_size)


def _train(
    settings: Train,
    store: Store,
    folder: Path,
    model: AlexNet,
    momentum: dict[str, Tensor],
    progress: Progress,
    observer: Observer,
    should_stop: Callable[[], bool],
) -> bool:
    device, dtype = precision.device(), precision.dtype(settings.precision)
    step = Step(model.to(device), settings, dtype)
    step.restore(momentum, progress.rate)
    classifier = Classifier(model, store.classes, store.mean_image, settings.divide_pixels_by, dtype, {})
    split, watched = store.splits["train"], _watched(store)
    total, epoch = total_steps(settings, len(split)), len(split) / settings.batch_size
    journal, watch = run.Journal(folder, progress.step), Watch(settings, len(store.classes))
    pictures = Pictures(split, store.size)
    header = run.read_config(folder)
    began = saved_at = time.monotonic()
    seconds_before = progress.seconds

    def batch(number: int) -> tuple[Tensor, Tensor]:
        chosen = indices(settings.seed, number, settings.batch_size, len(split))
        draws = draw(settings, store.covariance, number, store.size, model.input_size)
        images = augment(pictures.read(chosen), draws, store.mean_image, model.input_size, dtype)
        return images.to(device), torch.from_numpy(split.labels[chosen]).to(device)

    def save() -> None:
        progress.seconds = seconds_before + time.monotonic() - began
        state = {**header, "progress": vars(progress)}
        checkpoint.save(folder / run.LAST, model, store.mean_image, state, step.momentum())

    batches = prefetch(batch, range(progress.step, total))
    try:
        for images, labels in batches:
            started = time.monotonic()
            progress.rate = learning_rate(settings, progress.step, total, progress.history)
            loss = step(images, labels, progress.step, progress.rate)
            watch.follow(progress.step, loss)
            progress.step += 1
            images_per_s = settings.batch_size / (time.monotonic() - started)
            observer.stepped(progress.step, total, loss, images_per_s)
            journal.write(
                {
                    "step": progress.step,
                    "epoch": progress.step / epoch,
                    "loss": loss,
                    "lr": progress.rate,
                    "images_per_s": images_per_s,
                }
            )
            if watch.is_dead_at(progress.step):
                observer.notice(watch.diagnosis(dead_units(model, images, dtype)))
            if _is_due(progress.step, epoch * settings.evaluate_every) or progress.step == total:
                summary, _ = evaluate([classifier], store, watched)
                observer.evaluated(progress.step / epoch, summary)
                journal.write(_validation_row(progress.step, epoch, summary))
                if summary["top1_error"] < min(progress.history, default=math.inf):
                    state = {**header, "step": progress.step, "metrics": _headline(summary)}
                    checkpoint.save(folder / run.BEST, model, store.mean_image, state)
                progress.history.append(summary["top1_error"])
                save()
                saved_at = time.monotonic()
            elif should_stop() or time.monotonic() - saved_at > SAVE_EVERY_S:
                save()
                saved_at = time.monotonic()
            if should_stop() and progress.step < total:
                return False
    finally:
        batches.close()  # type: ignore[attr-defined]
        pictures.close()
        journal.close()
    header["seconds"] = progress.seconds
    write(folder / run.CONFIG, json.dumps(header, indent=1) + "\n")
    return True


def _check(settings: Train, store: Store, model: AlexNet) -> None:
    if "train" not in store.splits or not len(store.splits["train"]):
        raise DataError(f"{store.name} has no training pictures; put class folders under train/")
    if model.input_size > store.size:
        raise UsageError(f"the network sees {model.input_size} pixels, the store holds {store.size}; pack with --size")
    _watched(store)


def _watched(store: Store) -> str:
    """Names the split that is evaluated during training."""
    for name in ("val", "test"):
        if name in store.splits:
            return name
    raise DataError(f"{store.name} has nothing to test on; add a val/ folder beside train/")


def _is_due(done: int, every: float) -> bool:
    """Says whether the last step crossed a multiple of `every` steps."""
    return math.floor(done / every) > math.floor((done - 1) / every)


def _headline(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: summary[name] for name in ("top1_error", "top5_error", "n", "views", "split")}


def _validation_row(step: int, epoch: float, summary: dict[str, Any]) -> dict[str, float]:
    return {
        "step": step,
        "epoch": step / epoch,
        "val_top1_error": summary["top1_error"],
        "val_top5_error": summary["top5_error"],
    }
