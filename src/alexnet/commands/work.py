"""What there is to train: settings, data, run folder, and the trained network that it starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from alexnet import config, recipes
from alexnet.commands.arguments import Place
from alexnet.config import Train, Value
from alexnet.errors import UsageError
from alexnet.observer import Observer
from alexnet.recipes import FINETUNE
from alexnet.records import EVERYTHING, Dataset, Draw, Selection, Square

if TYPE_CHECKING:
    from alexnet.data.store import Store
    from alexnet.foreign.trained import TrainedNetwork
    from alexnet.run import Run
    from alexnet.team import Team


class Job(NamedTuple):
    """A training to do: its settings, its data as the user names them, and its run folder, which may be there."""

    settings: Train
    source: str
    run: "Run"
    is_resumed: bool = False
    square: Square = "centre"
    draw: Draw = "content"  # what decides which pictures are held out of data without splits
    selection: Selection = EVERYTHING
    trained: "TrainedNetwork | None" = None  # the network that it starts from


def given(values: Mapping[str, Value]) -> dict[str, Value]:
    """Returns the arguments that a user gave."""
    return {name: value for name, value in values.items() if value is not None}


def selection(exclude: Sequence[str], labels: Place | None, split_by_duplicates: Place | None = None) -> Selection:
    """Returns what a user said about how the source is to be read.

    Raises:
        UsageError: A table of what is excluded, or of groups, cannot be read.
    """
    from alexnet.data.excluding import patterns_in
    from alexnet.data.groups import groups_in

    patterns = (exclude,) if isinstance(exclude, str) else tuple(exclude)
    return Selection(
        exclude=tuple(patterns_in(patterns)),
        labels=None if labels is None else str(Path(labels).expanduser().absolute()),
        groups=() if split_by_duplicates is None else tuple(groups_in(Path(split_by_duplicates).expanduser())),
    )


def new(
    recipe: str | None,
    data: Place | None,
    out: Place | None,
    from_: Place | None,
    changes: dict[str, Value],
    selection: Selection,
) -> Job:
    """Returns a training that begins, from nothing or from a trained network.

    Raises:
        UsageError: An argument is missing or contradicts another, or there is no such recipe or network.
    """
    from alexnet.run import Run
    from alexnet.weights.box import TINY_IMAGENET

    if changes.get("epochs") is not None and changes.get("steps") is not None:
        raise UsageError("`epochs` and `steps` are two ways to say how long a training is: give one of them")
    if recipe is None and from_ is None:
        raise UsageError("train needs a RECIPE, for instance modern")
    settings = FINETUNE if recipe is None else config.change(recipes.recipe(recipe), changes)
    if recipe is not None and settings.head_first:
        from_ = from_ or TINY_IMAGENET
    if from_ is not None:
        return _tuned(None if recipe is None else settings, data, out, from_, changes, selection)
    source, folder = _places(data, out)
    return Job(_fitted(settings, source), source, Run(folder), selection=selection)


def _places(data: Place | None, out: Place | None) -> tuple[str, Path]:
    from alexnet.data.open import from_anywhere, refuse_inside

    if data is None:
        raise UsageError("train needs `data`, for instance `data=~/pictures`")
    if out is None:
        raise UsageError("train needs `out`, for instance `out=runs/mine`")
    source = from_anywhere(data)
    refuse_inside(Path(out), source)
    return source, Path(out)


def _tuned(
    settings: Train | None,
    data: Place | None,
    out: Place | None,
    from_: Place,
    changes: dict[str, Value],
    selection: Selection,
) -> Job:
    """Returns a training that starts from a trained network; without settings by that network's own, and its data."""
    from alexnet.data.open import present_source
    from alexnet.foreign.trained import open_trained
    from alexnet.run import Run
    from alexnet.training.transfer import take_over

    variant = changes.get("variant")
    trained = open_trained(from_, None if variant is None else str(variant))
    header, draw = trained.weights.header, Job._field_defaults["draw"]
    if settings is None:
        if header.settings is None:
            raise UsageError(f"{trained.name} does not say how it was trained: give a RECIPE, for instance finetune")
        own = replace(header.settings, steps=None) if "epochs" in changes else header.settings
        settings = config.change(replace(own, head_first=False, renew="none"), changes)
        out = out or f"{str(from_).rstrip('/')}-2"
        if data is None:
            trained_on = header.data or Dataset()
            data, draw, selection = present_source(header.data), trained_on.draw, trained_on.selection
    source, folder = _places(data, out)
    changes = _enlarged(settings, changes, trained, source, selection)
    settings, square = take_over(settings, changes, trained), header.preprocessing.square
    return Job(settings, source, Run(folder), False, square, draw, selection, trained)


def _enlarged(
    settings: Train, changes: dict[str, Value], trained: "TrainedNetwork", source: str, selection: Selection
) -> dict[str, Value]:
    """Returns the changes with the input that the pictures suit, where layers are made anew and none was asked for."""
    from alexnet.data.manifest import is_store, read_manifest
    from alexnet.data.remote import is_remote
    from alexnet.data.sides import typical_side
    from alexnet.data.sources import open_source
    from alexnet.training.transfer import input_for, is_small

    if settings.renew == "none" or not (settings.epochs or settings.steps) or "input_size" in changes:
        return changes
    if is_remote(source):
        return changes
    if is_store(source):
        side = read_manifest(Path(source)).size
    else:
        pictures = open_source(source, draw="names", selection=selection)
        is_alone = is_small(pictures) and not {"epochs", "steps"} & changes.keys()
        side = 0 if is_alone else typical_side(pictures) or 0
    return changes | {"input_size": input_for(trained, side)}


def head_alone(job: Job, store: "Store", changes: dict[str, Value], observer: Observer) -> Job:
    """Returns the job without its second stage where there are few pictures and the user did not ask for it."""
    from alexnet.training.transfer import FEW, is_small

    if job.trained is None or not job.settings.head_first or {"epochs", "steps"} & changes.keys():
        return job
    if "train" not in store.splits or not is_small(store):
        return job
    observer.notice(
        f"fewer than {FEW} training pictures a class: the head alone is fitted, which is best for so few; "
        "give the epochs to train all layers"
    )
    return job._replace(settings=replace(job.settings, epochs=0, steps=None))


def _fitted(settings: Train, source: str) -> Train:
    """Takes the input that a packed store of small pictures suits, where none was asked for."""
    from alexnet.data.manifest import is_store, read_manifest
    from alexnet.models.variants import input_for_store, row

    if settings.input_size is None and is_store(source):
        side, own = read_manifest(Path(source)).size, row(settings.variant).input_size
        if side < own and (suiting := input_for_store(settings.variant, side)):
            return config.change(settings, {"input_size": suiting})
    return settings


def old(resume: Place, data: Place | None, others: object, team: "Team") -> Job:
    """Returns a training that is resumed; `others` are arguments that do not go with that."""
    from alexnet.data.open import from_anywhere, present_source
    from alexnet.run import Run

    if others:
        raise UsageError("`resume` takes all but `data` from the run; leave the other settings away")
    run = Run(resume)
    description = team.tell(run.description() if team.is_first else None)
    if description is None or description.settings is None:
        raise UsageError(f"{run.folder} was converted, not trained here: there is nothing to resume")
    source = present_source(description.data) if data is None else from_anywhere(data)
    trained_on = description.data or Dataset(draw="content")
    square, draw, selection = description.preprocessing.square, trained_on.draw, trained_on.selection
    return Job(description.settings, source, run, True, square, draw, selection)
