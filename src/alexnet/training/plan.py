"""Whether a training can be done, and how long it is, before it starts."""

import math

import torch

from alexnet import machine
from alexnet.config import Train
from alexnet.data.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.models.create import build
from alexnet.models.network import Network
from alexnet.team import Team
from alexnet.training import memory


def check(settings: Train) -> None:
    """Refuses settings that make no network, before a picture is read.

    Raises:
        UsageError: The settings make no network; the message says why.
    """
    if settings.initialisation == "none":
        raise UsageError("initialisation none is for weights that come from elsewhere: take another, for instance he")
    with torch.device("meta"):
        make_model(settings, classes=2)


def make_model(settings: Train, classes: int) -> Network:
    """Makes the network that the settings describe, freshly initialised."""
    return build(settings, classes, settings.initialisation, settings.seed)


def total_steps(settings: Train, count: int) -> int:
    """Returns the number of updates of a run over `count` training pictures."""
    if settings.steps is not None:
        return settings.steps
    return max(1, math.ceil(settings.epochs * count / settings.batch_size))


def check_fit(settings: Train, store: Store, model: Network, team: Team) -> None:
    """Refuses settings that do not fit the data, the machine or the team, before the first step.

    Raises:
        UsageError: Pictures are smaller than the input, or the batch fits neither the memory nor the number of
            processes.
        DataError: There is nothing to train on, or nothing to test on.
    """
    if "train" not in store.splits or not len(store.splits["train"]):
        raise DataError(f"{store.name} has no training pictures; put class folders under train/")
    if model.input_size > store.size:
        raise UsageError(
            f"the network sees {model.input_size} pixels, the store holds {store.size}: pack the pictures larger"
        )
    count, batch = team.images.count, settings.batch_size
    if batch % count:
        even = batch + -batch % count
        raise UsageError(f"a batch of {batch} cannot be shared evenly by {count} processes: take `batch_size={even}`")
    memory.check(model, batch, machine.dtype(settings.precision), count)
    watched(store)


def check_length(settings: Train, store: Store) -> None:
    """Refuses to begin a run that would learn nothing.

    Raises:
        UsageError: The run has a single step, at whose end the rate is 0.
    """
    batch, pictures = settings.batch_size, len(store.splits["train"])
    if total_steps(settings, pictures) == 1 and settings.schedule in ("one-cycle", "polynomial"):
        raise UsageError(
            f"{pictures} pictures in batches of {batch} make one step, at whose end the rate is 0 and nothing is "
            "learned: give more epochs, or a smaller batch_size"
        )


def watched(store: Store) -> str:
    """Returns the split that is evaluated during training.

    Raises:
        DataError: The data have neither `val` nor `test`.
    """
    for name in ("val", "test"):
        if name in store.splits:
            return name
    raise DataError(f"{store.name} has nothing to test on; add a val/ folder beside train/")
