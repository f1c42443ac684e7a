"""What a person should know before the work starts: how long it takes, and how little it may tell."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from alexnet import machine
from alexnet.claims.budgets import Budget
from alexnet.claims.statistics import resolved
from alexnet.claims.table import Claim, as_published
from alexnet.config import Train
from alexnet.data.store import Store
from alexnet.errors import UsageError
from alexnet.evaluation.metrics import TOP
from alexnet.models.network import Network
from alexnet.models.variants import row, stored_size
from alexnet.training.plan import make_model, total_steps
from alexnet.training.step import Step

POINT = 0.01
"""The difference to look for where the paper gives none."""

FEW_SEEDS = 3

FEW_EPOCHS = 2

ALL_BUT_GRAY = 1e-3
"""Of the largest eigenvalue of the colours: a second one below this is no colour that a person sees."""


def check(claim: Claim, train: Train, seeds: int) -> None:
    """Refuses what can have no answer.

    Raises:
        UsageError: There are too few seeds, the two arms are one and the same network, the pictures are smaller than
            the crops, or the race is over before an epoch is.
    """
    side, stored = train.input_size or row(train.variant).input_size, train.stored_size
    if stored is not None and side > stored:
        suited = f"--set stored_size={stored_size(train.variant, side)}"
        raise UsageError(f"crops of {side} pixels do not fit into pictures of {stored}: add {suited}")
    if claim.kind == "race" and train.epochs < FEW_EPOCHS:
        raise UsageError(f"the race needs {FEW_EPOCHS} epochs or more, got {train.epochs:g}: nobody is there earlier")
    if claim.kind == "arms":
        ours, theirs = (change(train) for change in claim.arms.values())
        layers = [str(_blank(arm)) for arm in (ours, theirs)]
        if layers[0] == layers[1] and replace(theirs, **{name: getattr(ours, name) for name in _LAYERS}) == ours:
            raise UsageError(f"{ours.variant} has nothing that this claim takes away: both arms are the same network")
    least = 2 if claim.kind == "ensemble" else 1
    if seeds < least:
        raise UsageError(f"this claim takes --seeds {least} or more, got {seeds}")


_LAYERS = ("variant", "activation", "lrn", "alpha_factor", "pooling", "without", "dropout")
"""The settings that change layers and nothing else."""


def _blank(settings: Train) -> Network:
    with torch.device("meta"):
        return make_model(replace(settings, initialisation="none"), classes=2)


def warnings(claim: Claim, budget: Budget, seeds: int, store: Store) -> list[str]:
    """Says why the answer may be weak, before it is known."""
    said = [f"this budget takes {budget.about}"]
    if claim.kind == "race":
        if (level := guessing(store)) < 0.5:
            said.append(f"always naming the largest class errs on {level:.0%} only: the race to 25 % is a short one")
        return said
    tested = sum(len(split) for name, split in store.splits.items() if name != "train")
    size = as_published(claim, seeds).top1 or POINT
    if len(store.classes) <= TOP:
        said.append(f"{len(store.classes)} classes: five guesses name every class, so only the top-1 error is compared")
    if (seen := resolved(tested, seeds)) > size:
        said.append(
            f"{tested:,} test pictures show differences of about {seen * 100:.1f} points or more, this claim is about "
            f"{size * 100:.1f}: the likely answer is 'not seen here'"
        )
    if any("colour" in changed for changed in claim.changes(budget.train).values()):
        *_, second, largest = np.linalg.eigvalsh(store.covariance)
        if second < ALL_BUT_GRAY * largest:
            said.append(
                f"the pictures of {store.name} are all but gray: the noise changes how bright they are, no colour"
            )
    if seeds < FEW_SEEDS and claim.kind == "arms":
        said.append(f"{seeds} seed{'s' * (seeds > 1)} an arm: what other seeds would give is hardly known")
    return said


def guessing(store: Store) -> float:
    """Gives the share of the training pictures that are not of the largest class."""
    labels = store.splits["train"].labels
    return 1 - float(np.bincount(labels).max()) / len(labels)


def cost(runs: Sequence[tuple[str, Train]], store: Store) -> float:
    """Gives roughly how many seconds the runs will train, from a measured step of each arm."""
    count, paces, seconds = len(store.splits["train"]), dict[str, float](), 0.0
    for arm, settings in runs:
        paces[arm] = paces.get(arm) or seconds_per_step(settings, len(store.classes))
        seconds += paces[arm] * total_steps(settings, count)
    return seconds


def seconds_per_step(settings: Train, classes: int) -> float:
    """Measures an update on pictures that are none: the second, because the first is slower."""
    model = make_model(settings, classes).to(machine.device())
    step = Step(model, settings, machine.dtype(settings.precision))
    shape = (settings.batch_size, 3, model.input_size, model.input_size)
    images = torch.randn(shape, device=machine.device()).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(settings.batch_size, dtype=torch.int64, device=machine.device())
    for number in range(2):
        start = time.monotonic()
        step(images, labels, number, settings.learning_rate)
    return time.monotonic() - start
