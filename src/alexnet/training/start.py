"""The network that a training starts from."""

import math
import time
from contextlib import closing
from dataclasses import replace

import torch
from msgspec import structs

from alexnet import config
from alexnet.config import Train
from alexnet.data.feed import Feed
from alexnet.data.store import Store
from alexnet.files import plain_errors, write
from alexnet.foreign.trained import Trained
from alexnet.models.initialise import settle
from alexnet.models.network import Network
from alexnet.observer import Observer
from alexnet.records import BEGINNING, Description, Header, Progress, sealed
from alexnet.run import Run, describe
from alexnet.team import Team
from alexnet.training import plan
from alexnet.training.head import fit_head
from alexnet.training.transfer import check_classes, plant, table
from alexnet.weights import checkpoint

SETTLED_ON = 256


def fit_to_pictures(settings: Train, store: Store, model: Network) -> None:
    """Fits fresh weights to the first training pictures where the initialisation is `measured`; else does nothing.

    All processes of a team come to the same weights, since each sees the same pictures.
    """
    if settings.initialisation != "measured":
        return
    device = torch.device("cpu")
    steps = math.ceil(SETTLED_ON / settings.batch_size)
    with closing(Feed(settings, store, model.input_size, torch.float32, device, memory_budget=0)) as feed:
        settle(model, model.order, torch.cat([feed.batch(step)[0] for step in range(steps)])[:SETTLED_ON])


def take_root(
    trained: Trained, settings: Train, store: Store, source: str, run: Run, observer: Observer, team: Team
) -> None:
    """Makes the folder of a run that takes over a trained network, from which it can be resumed.

    Raises:
        UsageError: The folder holds something, or a setting does not fit the data, the machine or the trained network.
        DataError: No head can be fitted to the data, or the disk is full.
    """
    check_classes(settings, store)
    planted = plant(settings, trained, store.classes)
    model, ancestor = planted.model, planted.ancestor
    plan.check_fit(settings, store, model, team)
    plan.check_length(settings, store)
    if not team.is_first:
        return
    run.check_new()
    for line in table(ancestor, settings):
        observer.notice(line)
    description = describe(settings, model, store, source, ancestor)
    with plain_errors(run.folder):
        run.folder.mkdir(parents=True, exist_ok=True)
    checkpoint.save(run.planted, model, planted.mean, Header.of(description, model.design))
    run.create(description)


def with_head(
    store: Store, run: Run, description: Description, model: Network, observer: Observer, team: Team
) -> Progress:
    """Fits the head of a network that took over a trained one, and keeps the result beside the run's weights.

    Returns the progress of the run, whose seconds are those of this stage.
    """
    settings, clock = description.settings, time.monotonic()
    assert settings is not None  # whatever was trained here has settings
    fit_head(settings, store, model, observer, team)
    team.spread(model.state_dict().values())
    if team.is_first:
        checkpoint.save(run.frozen, model, store.mean_image, Header.of(description, model.design))
        run.planted.unlink(missing_ok=True)
    return structs.replace(BEGINNING, seconds=time.monotonic() - clock)


def begin_slower(run: Run) -> float | None:
    """Sets a run that took over a trained network back to its first step, once, at a tenth of its rates.

    Returns the new learning rate; None where that has been done already, or the run began otherwise.
    """
    description = run.description()
    settings, ancestor = description.settings, description.ancestor
    if settings is None or ancestor is None or ancestor.is_slowed:
        return None
    slower = replace(settings, learning_rate=settings.learning_rate / 10)
    layers = tuple(structs.replace(layer, rate=layer.rate / 10) for layer in ancestor.layers)
    ancestor = structs.replace(ancestor, layers=layers, is_slowed=True)
    run.last.unlink(missing_ok=True)
    slowed = structs.replace(description, train=config.to_json(slower), ancestor=ancestor)
    write(run.config, sealed(slowed) + "\n")
    return slower.learning_rate


def is_slowed(run: Run) -> bool:
    """Returns whether a folder holds a run that was set back to its first step."""
    ancestor = run.description().ancestor if run.exists else None
    return ancestor is not None and ancestor.is_slowed
