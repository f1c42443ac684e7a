"""The network that a training starts from."""

import math
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray
from torch import Tensor

from alexnet import config
from alexnet.config import Train
from alexnet.data.feed import Feed
from alexnet.data.store import Store
from alexnet.errors import CheckpointError
from alexnet.files import make_folder, write
from alexnet.foreign.trained import TrainedNetwork
from alexnet.models.initialise import quieten, settle
from alexnet.models.network import Network
from alexnet.observer import Observer
from alexnet.records import BEGINNING, Description, Header, Progress, sealed
from alexnet.run import Run, describe
from alexnet.team import Team
from alexnet.training import plan
from alexnet.training.head import fit_head
from alexnet.training.parallel import Part
from alexnet.training.transfer import check_classes, freeze, learning, plant, renewed, table
from alexnet.weights import checkpoint

SETTLED_ON = 256


def fit_to_pictures(settings: Train, store: Store, model: Network) -> None:
    """Fits fresh weights to the first training pictures where the initialisation is `measured`; else does nothing.

    All processes of a team come to the same weights, since each sees the same pictures.
    """
    if settings.initialisation == "measured":
        settle(model, model.order, _first_pictures(settings, store, model))


def _first_pictures(settings: Train, store: Store, model: Network) -> Tensor:
    """Returns the first training pictures as the network takes them, whatever the team: (`SETTLED_ON`, 3, S, S)."""
    device, steps = torch.device("cpu"), math.ceil(SETTLED_ON / settings.batch_size)
    with closing(Feed(settings, store, model.input_size, torch.float32, device, memory_budget=0)) as feed:
        return torch.cat([feed.batch(step)[0] for step in range(steps)])[:SETTLED_ON]


def create(
    settings: Train,
    store: Store,
    source: str,
    run: Run,
    observer: Observer,
    team: Team,
    trained: TrainedNetwork | None,
) -> None:
    """Makes the folder of a new run, from which it can be resumed: its description, and what it takes over.

    Raises:
        UsageError: The folder holds something, or a setting does not fit the data, the machine or the trained network.
        DataError: There is nothing to train on or to test on, no head can be fitted to the data, or the disk is full.
    """
    if trained is None:
        planted = None
        with torch.device("meta"):  # shapes only
            model = plan.make_model(settings, len(store.classes))
    else:
        check_classes(settings, store)
        planted = plant(settings, trained, store.classes)
        model = planted.model
    plan.check_fit(settings, store, model, team)
    plan.check_length(settings, store)
    if not team.is_first:
        return
    run.check_new()
    description = describe(settings, model, store, source, planted.ancestor if planted else None)
    if planted is None:
        plan.warn(store, model, observer)
    else:
        for line in table(planted.ancestor, settings):
            observer.notice(line)
        make_folder(run.folder)
        checkpoint.save(run.planted, model, planted.mean, Header.of(description, model.design))
    run.create(description)


def saved(
    settings: Train, store: Store, run: Run, description: Description, team: Team, start: Network | None
) -> tuple[Network, dict[str, Tensor], Progress, NDArray[np.float32]]:
    """Returns the network of a run as it was last saved, its momentum, its progress, and its mean image."""
    newest = run.newest
    weights = checkpoint.load(newest) if team.is_first and newest.exists() else None
    is_saved = team.tell(weights is not None)
    if not is_saved and description.seconds is not None:
        raise CheckpointError(f"{run.folder} is finished and its {run.last.name} is gone: there is nothing to resume")
    if not is_saved and description.ancestor:
        raise CheckpointError(f"{run.folder} has lost the weights that it started from: start a new run")
    momentum = weights.momentum if weights else {}
    progress = _progress(weights.header, run, description) if weights and newest == run.last else BEGINNING
    if weights and start is not None:
        start.load_state_dict(weights.model.state_dict())
    model = start or (weights.model if weights else plan.make_model(settings, len(store.classes)))
    plan.check_fit(settings, store, model, team)
    freeze(model, settings.freeze)
    if start is None and not is_saved:
        fit_to_pictures(settings, store, model)
    if is_saved:
        progress, names = team.tell((progress, sorted(momentum)))
        if not team.is_first:
            momentum = {name: torch.zeros_like(model.get_parameter(name)) for name in names}
        team.spread([*model.state_dict().values(), *(momentum[name] for name in names)])
    return model, momentum, progress, team.tell(weights.mean if weights else store.mean_image)


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


def renew(settings: Train, store: Store, model: Network, part: Part) -> None:
    """Makes the layers anew of which the settings say so, in place, and rescales those before them.

    The first process of a team does it, and all take its weights.
    """
    if settings.renew not in model.order:
        return
    whole, fresh = (plan.make_model(settings, model.classes) for _ in range(2))
    weights = part.whole(model.state_dict())
    if part.team.is_first:
        whole.load_state_dict(weights)
        whole.eval()
        images = _first_pictures(settings, store, whole)
        layers = renewed(settings, whole)
        kept = [name for name in learning(whole) if name not in layers]
        if settings.activation == "relu":
            with torch.no_grad():
                quieten(whole, whole.order, whole.activations(images, *kept))
        for layer in layers:
            whole.get_submodule(layer).load_state_dict(fresh.get_submodule(layer).state_dict())
        settle(whole, whole.order, images, kept)
    part.team.spread(whole.state_dict().values())
    model.load_state_dict(part.mine(whole.state_dict()))


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


def _progress(header: Header, run: Run, description: Description) -> Progress:
    run.compare(description, header)
    if header.progress is None:
        remedy = "restore it from a copy, or delete it, and the run starts anew"
        raise CheckpointError(f"{run.last} does not say how far the run is: {remedy}")
    return header.progress
