"""A change of a network, and the training after it that keeps the change."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet import config, machine
from alexnet.compression.table import Table
from alexnet.config import Train
from alexnet.models.network import Network
from alexnet.training import run
from alexnet.training.loop import Job, Progress, read_progress
from alexnet.training.observer import Observer
from alexnet.weights import checkpoint

RATE = 0.25
"""Highest learning rate of a retraining over that of the training."""

START = "start.safetensors"
"""The changed network before it is trained again, in the run folder of its training."""


@dataclass(frozen=True)
class Stage:
    """A change of a network, after which it is trained again.

    Attributes:
        name: What the table and the run folder call it.
        change: Changes a network, in place.
        hold: Makes every later update of a network keep the change, by hooks on its gradients.
        size: Returns the bytes of the changed network.
        epochs: Passes over the training pictures after the change.
    """

    name: str
    change: Callable[[Network], None]
    hold: Callable[[Network], object]
    size: Callable[[Network], int]
    epochs: float


def retrain(
    stage: Stage, weights: Path, settings: Train, table: Table, observer: Observer, should_stop: Callable[[], bool]
) -> Path | None:
    """Changes a network and trains it again, or goes on where an earlier call stopped.

    Args:
        stage: The change.
        weights: Weight file of the network.
        settings: How to train, apart from the epochs.
        table: Gets two rows, of the network before and after its training. The run folder is made beside its file.
        observer: Is told how the training goes.
        should_stop: Asked after every step; True saves and stops.

    Returns:
        The weight file of the retrained network; None if it was stopped.
    """
    folder = table.folder / stage.name
    if not (folder / START).exists():
        shutil.rmtree(folder, ignore_errors=True)
        model = checkpoint.load(weights).model
        stage.change(model)
        header = run.create(folder, replace(settings, epochs=stage.epochs), model, table.store, stage.name)
        checkpoint.save(folder / START, model, table.store.mean_image, header)
    model = checkpoint.load(folder / START).model.to(machine.device())
    size = stage.size(model)
    table.measure(stage.name, folder / START, size)
    if not (folder / run.BEST).exists():
        observer.began(f"training again, {stage.name}")
        stage.hold(model)
        if not _train(folder, model, replace(settings, epochs=stage.epochs), table, observer, should_stop):
            return None
    (folder / run.LAST).unlink(missing_ok=True)
    table.measure(f"{stage.name}, retrained", folder / run.BEST, size)
    return folder / run.BEST


def gentler(trained: Train) -> Train:
    """Returns the settings of a training with a lower rate that rises and falls once, measured only at the end."""
    at_the_end = config.RANGES["evaluate_every"][1]
    rate = RATE * trained.learning_rate
    return replace(
        trained, steps=None, schedule="one-cycle", warm_up=0.1, learning_rate=rate, evaluate_every=at_the_end
    )


def _train(
    folder: Path, model: Network, settings: Train, table: Table, observer: Observer, should_stop: Callable[[], bool]
) -> bool:
    """Trains to the end, from the last save if there is one; False if it was stopped."""
    progress, momentum = Progress(), {}
    if (folder / run.LAST).exists():
        saved = checkpoint.load(folder / run.LAST)
        model.load_state_dict(saved.model.state_dict())
        progress, momentum = read_progress(saved.header, folder / run.LAST), saved.momentum
    return Job(settings, table.store, folder, model, momentum, progress, observer).run(should_stop)
