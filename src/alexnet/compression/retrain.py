"""A change of a network, and the training after it that keeps the change."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet import config, machine
from alexnet.compression.table import Table
from alexnet.config import Train
from alexnet.models.network import Network
from alexnet.observer import Observer
from alexnet.records import Header
from alexnet.run import Run, describe
from alexnet.training.loop import resume
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


def retrain(stage: Stage, weights: Path, settings: Train, table: Table, observer: Observer) -> Path | None:
    """Changes a network and trains it again, or goes on where an earlier call stopped.

    Args:
        stage: The change.
        weights: Weight file of the network.
        settings: How to train, apart from the epochs.
        table: Gets two rows, of the network before and after its training. The run folder is made beside its file.
        observer: Is told how the training goes, and may stop it.

    Returns:
        The weight file of the retrained network; None if it was stopped.
    """
    run = Run(table.folder / stage.name)
    start = run.folder / START
    if not start.exists():
        shutil.rmtree(run.folder, ignore_errors=True)
        model = checkpoint.load(weights).model
        stage.change(model)
        description = describe(replace(settings, epochs=stage.epochs), model, table.store, stage.name)
        run.create(description)
        checkpoint.save(start, model, table.store.mean_image, Header.of(description, model.design))
    model = checkpoint.load(start).model.to(machine.device())
    size = stage.size(model)
    table.measure(stage.name, start, size)
    if not run.best.exists():
        observer.began(f"training again, {stage.name}")
        stage.hold(model)
        with resume(table.store, run, observer, start=model) as training:
            if not training.run():
                return None
    run.last.unlink(missing_ok=True)
    table.measure(f"{stage.name}, retrained", run.best, size)
    return run.best


def gentler(header: Header) -> Train:
    """Returns how to train a network again: as it was trained, or else by the modern recipe, but more gently.

    The rate is lower, rises and falls once, and the errors are measured only at the end.
    """
    modern = replace(config.MODERN, divide_pixels_by=header.preprocessing.divide_pixels_by)
    trained, at_the_end = header.settings or modern, config.RANGES["evaluate_every"][1]
    rate = RATE * trained.learning_rate
    return replace(
        trained, steps=None, schedule="one-cycle", warm_up=0.1, learning_rate=rate, evaluate_every=at_the_end
    )
