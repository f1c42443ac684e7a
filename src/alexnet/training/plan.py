"""Whether a training can be done, how long it is, and what memory it takes, before it starts."""

import math

import torch

from alexnet import machine
from alexnet.config import Train
from alexnet.data.pictures import MEMORY_BUDGET
from alexnet.data.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.models.create import build
from alexnet.models.network import Network
from alexnet.models.summary import summarise
from alexnet.models.variants import input_for_store, stored_size
from alexnet.observer import Observer
from alexnet.team import Team
from alexnet.training.loss import class_weights

KEPT = 1.5
"""Bytes that a step keeps for an image, over the bytes of all its layers' outputs; measured 1.2 to 1.3 on the CPU."""

LEAST_SEEN = 0.5
"""Share of a picture's area; AlexNet sees 0.79 of it, cuda-convnet's networks of crops 0.56."""


def check(settings: Train, is_transfer: bool = False) -> None:
    """Refuses settings that make no network, before a picture is read; `is_transfer` says that one is there to start.

    Raises:
        UsageError: The settings make no network, or treat layers as trained that are not; the message says why.
    """
    if not is_transfer and (settings.head_first or (settings.freeze, settings.renew) != ("none", "none")):
        kept = f"renew={settings.renew}" if settings.freeze == "none" else f"freeze={settings.freeze}"
        what = "head_first=true" if settings.head_first else kept
        raise UsageError(f"`{what}` is for a network that is trained already: name one by `from_`")
    if settings.initialisation == "none":
        raise UsageError("initialisation none is for weights that come from elsewhere: take another, for instance he")
    if not (settings.epochs or settings.steps or settings.head_first):
        raise UsageError("`epochs=0` fits the head alone, with `head_first=true`, as the recipe finetune does")
    with torch.device("meta"):  # shapes only
        make_model(settings, classes=2)


def make_model(settings: Train, classes: int) -> Network:
    """Returns the network that the settings describe, freshly initialised."""
    return build(settings, classes, settings.initialisation, settings.seed)


def total_steps(settings: Train, count: int) -> int:
    """Returns the number of updates of a run over `count` training pictures."""
    if settings.steps is not None:
        return settings.steps
    if not settings.epochs:
        return 0
    return max(1, math.ceil(settings.epochs * count / settings.batch_size))


def check_fit(settings: Train, store: Store, model: Network, team: Team) -> None:
    """Refuses settings that do not fit the data, the machine or the team, before the first step.

    Raises:
        UsageError: Pictures are smaller than the input, or the batch fits neither the memory nor the number of
            processes, or classes are to be balanced of which one has no training pictures.
        DataError: There is nothing to train on, or nothing to test on.
    """
    if "train" not in store.splits or not len(store.splits["train"]):
        raise DataError(f"{store.name} has no training pictures; put class folders under train/")
    if model.input_size > store.size:
        suiting = input_for_store(model.variant, store.size)
        smaller = f"give `input_size={suiting}`, or " if suiting else ""
        raise UsageError(
            f"the network sees {model.input_size} pixels, the store holds {store.size}: {smaller}"
            f"pack the pictures at {stored_size(model.variant, model.input_size)}"
        )
    count, batch = team.images.count, settings.batch_size
    if batch % count:
        even = batch + -batch % count
        raise UsageError(f"a batch of {batch} cannot be shared evenly by {count} processes: take `batch_size={even}`")
    check_memory(model, batch, machine.dtype(settings.precision), count)
    watched(store)
    class_weights(settings, store)


def warn(store: Store, model: Network, observer: Observer) -> None:
    """Says where the network sees less than half of each picture, its centre, because it was packed too large."""
    share = (model.input_size / store.size) ** 2
    if share < LEAST_SEEN:
        observer.notice(
            f"the network sees the middle {model.input_size} of {store.size} pixels, {share:.0%} of each picture: "
            f"pack the pictures at {stored_size(model.variant, model.input_size)}"
        )


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


def check_memory(model: Network, batch_size: int, dtype: torch.dtype, processes: int = 1) -> None:
    """Refuses a batch, divided among processes, that does not fit into the memory that is free.

    Raises:
        UsageError: The batch does not fit; the message names the largest that does.
    """
    free = machine.free_memory()
    if free is None:
        return
    largest = processes * max(0, int((free - fixed_bytes(model)) / bytes_per_image(model, dtype)))
    if batch_size > largest:
        raise UsageError(
            f"a batch of {batch_size} images does not fit into the {free / 1e9:.1f} GB of memory that are free; "
            + (f"the largest that does is {largest}: take `batch_size={largest}`" if largest else "no batch does")
        )


def left_for_pictures(model: Network, batch_size: int, dtype: torch.dtype) -> int:
    """Returns the bytes, `MEMORY_BUDGET` at most, that decoded pictures may keep beside this process's steps."""
    free = machine.free_host_memory()
    if free is None:
        return MEMORY_BUDGET
    is_here = machine.device().type == "cpu"
    step = fixed_bytes(model) + batch_size * bytes_per_image(model, dtype) if is_here else 0
    return max(0, min(MEMORY_BUDGET, int(free - step)))


def fixed_bytes(model: Network) -> int:
    """Returns the bytes that training takes besides images: weights, gradients, momentum, and weights in bf16."""
    return 16 * sum(p.numel() for p in model.parameters())


def bytes_per_image(model: Network, dtype: torch.dtype) -> float:
    """Returns the bytes that each image of a batch takes in a step."""
    outputs = sum(math.prod(row.output_shape) for row in summarise(model)) + 3 * model.input_size**2
    return KEPT * outputs * dtype.itemsize
