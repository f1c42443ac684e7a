"""The commands from pictures to a trained network: pack, train and demo."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from alexnet import config
from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.results import Packed, Trained, doubtful, left_out
from alexnet.config import Train, Value
from alexnet.errors import UsageError
from alexnet.observer import Observer
from alexnet.progress import Display, interruptible
from alexnet.records import EVERYTHING, Dataset, Draw, Selection, Understanding, left_out_lines

if TYPE_CHECKING:
    from alexnet.data.listing import Source
    from alexnet.data.store import Store
    from alexnet.records import Evaluation
    from alexnet.run import Run
    from alexnet.team import Team
    from alexnet.training.loop import Training

RESUME = "run to continue from its last save; `data` then says where its pictures have moved to"
PARALLEL = (
    "how several processes under torchrun share the work: data shares the pictures of a batch; towers gives each of "
    "two processes one tower; hybrid shares pictures among the convolutions and cuts fc6, fc7 and fc8"
)
STORED_SIZE = "side of the stored pictures, pixels; by default 256, or what suits small pictures"
SETTINGS = "any other setting of the recipe, such as learning_rate, batch_size, colour or smallest_crop"


class Work(NamedTuple):
    """A training to do: its settings, its data as the user names them, and its run folder, which may be there."""

    settings: Train
    source: str
    run: "Run"
    is_resumed: bool = False
    draw: Draw = "content"  # what decides which pictures are held out of data without splits
    selection: Selection = EVERYTHING


@documented
def pack(
    source: Annotated[Place, About("SOURCE", arguments.SOURCES)],
    store: Annotated[Place, About("STORE", "folder to make")] | None = None,
    *,
    size: Annotated[int, About("S", STORED_SIZE)] | None = None,
    seed: Annotated[int, About("S", "seed of the held-out quarter, if the source has no split")] = 0,
    exclude: arguments.Excluded = (),
    labels: arguments.Labels | None = None,
    dry_run: Annotated[bool, About(None, "say how the source is understood and what is left out, and stop")] = False,
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> Packed | Understanding:
    """Decodes, resizes and packs a source of pictures, once; run it again to resume.

    It first says how it understands the source: splits, classes, counts, and what is left out and why.

    Raises:
        UsageError: There is no such source, or the folder holds something else.
        DataError: The source cannot serve, or the disk is full.
    """
    from alexnet.data import pack as packing
    from alexnet.data.heldout import understanding
    from alexnet.data.sources import open_source

    observer = observer or Display()
    pictures = open_source(source, seed=seed, selection=_selection(exclude, labels), observer=observer)
    if dry_run:
        return understanding(pictures)
    if store is None:
        raise UsageError("pack needs a STORE, the folder to make, or `dry_run`")
    for line in understanding(pictures).lines():
        observer.notice(f"alexnet: {line}")
    len(pictures.splits["train"])  # holds pictures out, which may take as long as reading them all
    size = size or _size_for(pictures, Path(store))
    observer.began("packing")
    progress = observer.advanced
    packed = packing.pack(pictures, store, size=size, on_bad_image=on_bad_image, progress=progress, retry=True)
    return Packed(
        store=str(packed.directory),
        classes=packed.classes,
        counts={name: len(split) for name, split in packed.splits.items()},
        ignored=packed.ignored,
        layout=packed.layout,
        notes=packed.notes,
        left_out=packed.left_out,
        quarantine=tuple(packed.quarantine),
        doubtful=packed.doubtful,
        hash=packed.content_hash,
    )


@documented
def train(
    recipe: Annotated[str, About("RECIPE", f"settings to start from: {', '.join(config.RECIPES)}")] | None = None,
    *,
    data: arguments.TrainingData | None = None,
    out: arguments.NewRun | None = None,
    resume: Annotated[Place, About("RUN", RESUME)] | None = None,
    variant: arguments.Variant | None = None,
    epochs: Annotated[float, About("E", "passes over the training pictures")] | None = None,
    steps: Annotated[int, About("N", "updates, instead of epochs")] | None = None,
    seed: Annotated[int, About("S", "seed of weights, order, crops, colour and dropout")] | None = None,
    input_size: arguments.InputSize | None = None,
    precision: Annotated[Literal["auto", "bf16", "float32"], About(None, arguments.NUMBERS)] | None = None,
    parallel: Annotated[Literal["data", "towers", "hybrid"], About(None, PARALLEL)] | None = None,
    exclude: arguments.Excluded = (),
    labels: arguments.Labels | None = None,
    timeout: arguments.Timeout = arguments.TIMEOUT_S,
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
    **settings: Annotated[Value, About("NAME=VALUE", SETTINGS)],
) -> Trained:
    """Trains a network on a source of pictures, or resumes a run; then tests it and writes its report.

    Raises:
        UsageError: An argument is missing, or a setting does not fit the others, the data or the machine.
        DataError: The data cannot serve, or the disk is full.
        CheckpointError: The run to resume is damaged, or its data have changed.
        TrainingError: The loss is not finite any more.
        TeamError: A process of the team ended or hangs.
    """
    from alexnet import machine
    from alexnet.meeting import assemble

    machine.keep_memory()
    observer = observer or Display()
    named = {"variant": variant, "epochs": epochs, "steps": steps, "seed": seed}
    named |= {"input_size": input_size, "precision": precision}
    changes = settings | {name: value for name, value in named.items() if value is not None}
    with assemble(parallel, timeout) as team:
        if resume is None:
            work = _new(recipe, data, out, changes, _selection(exclude, labels))
        else:
            work = _old(resume, data, recipe or out or changes or exclude or labels, team)
        store = _pictures(work, on_bad_image, observer, team)
        with interruptible(observer, team), _begun(work, store, observer, team) as training:
            is_complete = training.run()
    evaluation = _test(work, store, observer) if is_complete and team.is_first else None
    return Trained(run=str(work.run.folder), complete=is_complete, evaluation=evaluation, source=work.source)


@documented
def demo(
    *,
    out: Annotated[Place, About("RUN", "run folder to make or continue")] = "runs/demo",
    observer: arguments.Watcher = None,
) -> Trained:
    """Trains on photographs of solar cells, or continues such a run, and compares with published results.

    Raises:
        DataError: The photographs are not installed, or the disk is full.
    """
    from alexnet.run import Run

    if Run(out).exists:
        return train(resume=out, observer=observer)
    return train("demo", data="solar-cells", out=out, observer=observer)


def _size_for(pictures: "Source", store: Path) -> int:
    """Returns the size that a store has already, or else one that suits the pictures."""
    from alexnet.data.manifest import is_store, read_manifest
    from alexnet.data.sides import typical_side
    from alexnet.models.variants import input_for_pictures, stored_size

    if is_store(store):
        return read_manifest(store).size
    variant, side = config.PAPER.variant, typical_side(pictures)
    return stored_size(variant, None if side is None else input_for_pictures(variant, side))


def _new(
    recipe: str | None, data: Place | None, out: Place | None, changes: dict[str, Value], selection: Selection
) -> Work:
    from alexnet.data.open import from_anywhere, refuse_inside
    from alexnet.run import Run

    if changes.get("epochs") is not None and changes.get("steps") is not None:
        raise UsageError("`epochs` and `steps` are two ways to say how long a training is: give one of them")
    if recipe is None:
        raise UsageError("train needs a RECIPE, for instance modern")
    settings = config.change(config.recipe(recipe), changes)
    if data is None:
        raise UsageError("train needs `data`, for instance `data=~/pictures`")
    if out is None:
        raise UsageError("train needs `out`, for instance `out=runs/mine`")
    source = from_anywhere(data)
    refuse_inside(Path(out), source)
    return Work(_fitted(settings, source), source, Run(out), selection=selection)


def _fitted(settings: Train, source: str) -> Train:
    """Takes the input that a packed store of small pictures suits, where none was asked for."""
    from alexnet.data.manifest import is_store, read_manifest
    from alexnet.models.variants import input_for_store, row

    if settings.input_size is None and is_store(source):
        side, own = read_manifest(Path(source)).size, row(settings.variant).input_size
        if side < own and (suiting := input_for_store(settings.variant, side)):
            return config.change(settings, {"input_size": suiting})
    return settings


def _selection(exclude: Sequence[str], labels: Place | None) -> Selection:
    patterns = (exclude,) if isinstance(exclude, str) else tuple(exclude)
    return Selection(exclude=patterns, labels=None if labels is None else str(Path(labels).expanduser().absolute()))


def _old(resume: Place, data: Place | None, others: object, team: "Team") -> Work:
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
    return Work(description.settings, source, run, True, trained_on.draw, trained_on.selection)


def _pictures(work: Work, on_bad_image: arguments.OnBadImage, observer: Observer, team: "Team") -> "Store":
    """Opens the data, after everything is checked that needs none."""
    from alexnet.data.open import open_data
    from alexnet.models.variants import stored_size
    from alexnet.training import plan

    settings = work.settings
    plan.check(settings)
    if team.is_first and not (work.is_resumed or _goes_on(work, team)):
        work.run.check_new()
    side = settings.stored_size or stored_size(settings.variant, settings.input_size)
    store = open_data(
        work.source,
        size=side,
        draw=work.draw,
        selection=work.selection,
        on_bad_image=on_bad_image,
        observer=observer,
    )
    if team.is_first:
        for line in (*left_out(store.quarantine), *doubtful(store.doubtful)):
            observer.notice(f"alexnet: {line}")
        for line in (*store.notes, *left_out_lines(store.left_out, most=0)):
            observer.notice(f"alexnet: {line}")
    return store


def _begun(work: Work, store: "Store", observer: Observer, team: "Team") -> "AbstractContextManager[Training]":
    from alexnet.training import loop

    if work.is_resumed:
        return loop.resume(store, work.run, observer, team, source=work.source)
    return loop.begin(work.settings, store, work.source, work.run, observer, team, goes_on=_goes_on(work, team))


def _goes_on(work: Work, team: "Team") -> bool:
    """Whether a command that was given before goes on: one that torchrun repeats, or that a full disk ended."""
    return team.goes_on or work.run.is_unfinished(work.settings)


def _test(work: Work, store: "Store", observer: Observer) -> "Evaluation":
    """Measures a finished run with its best weights and writes its report."""
    from alexnet.data.open import default_split
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.evaluate import evaluate
    from alexnet.pages.report import write_report

    observer.began("evaluating")
    classifier = load(work.run.folder, numbers=work.settings.precision)
    evaluation, examples = evaluate([classifier], store, default_split(store), observer=observer)
    work.run.put(evaluation, examples)
    write_report(work.run.folder)
    return evaluation
