"""The commands from pictures to a trained network: pack, train and demo."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import structs

from alexnet import config, recipes
from alexnet.commands import arguments, work
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.results import Packed, Trained, doubtful, left_out
from alexnet.commands.work import Job
from alexnet.config import Value
from alexnet.errors import AlexNetError, TrainingError, UsageError
from alexnet.observer import Observer
from alexnet.progress import Display, interruptible
from alexnet.records import EVERYTHING, Understanding, left_out_lines

if TYPE_CHECKING:
    from alexnet.data.listing import Source
    from alexnet.data.store import Store
    from alexnet.data.verify import Verified
    from alexnet.team import Team
    from alexnet.training.loop import Training

VERIFY = "compare every byte of the packed store SOURCE with what it was when it was packed"
RESUME = "run to continue from its last save; `data` then says where its pictures have moved to"
PARALLEL = (
    "how several processes under torchrun share the work: data shares the pictures of a batch; towers gives each of "
    "two processes one tower; hybrid shares pictures among the convolutions and cuts fc6, fc7 and fc8"
)
STORED_SIZE = "side of the stored pictures, pixels; by default 256, or what suits small pictures"
FROM = (
    "trained network to start from: tiny-imagenet, which finetune takes by default; a run folder; a weight file; a "
    "folder as Hugging Face has it; a file of Caffe, torchvision or cuda-convnet; or the name of public weights that "
    "were fetched. Without a RECIPE a run goes on as a new one"
)
FREEZE = "last of the layers that keep the weights they start from"
SETTINGS = "any other setting of the recipe, such as learning_rate, batch_size, colour or smallest_crop"

Freeze = Literal["none", "conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]


@documented
def pack(
    source: Annotated[Place, About("SOURCE", f"{arguments.SOURCES}; or the packed store to check")],
    store: Annotated[Place, About("STORE", "folder to make")] | None = None,
    *,
    verify: Annotated[bool, About(None, VERIFY)] = False,
    size: Annotated[int, About("S", STORED_SIZE)] | None = None,
    seed: Annotated[int, About("S", "seed of the held-out quarter, if the source has no split")] = 0,
    exclude: arguments.Excluded = (),
    labels: arguments.Labels | None = None,
    split_by_duplicates: arguments.Groups | None = None,
    dry_run: Annotated[bool, About(None, "say how the source is understood and what is left out, and stop")] = False,
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> "Packed | Understanding | Verified":
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
    if verify:
        return _verified(source, store, observer)
    selection = work.selection(exclude, labels, split_by_duplicates)
    pictures = open_source(source, seed=seed, selection=selection, observer=observer)
    if dry_run:
        return understanding(pictures)
    if store is None:
        raise UsageError("pack needs a STORE, the folder to make, or `dry_run`")
    for line in understanding(pictures).lines():
        observer.notice(f"alexnet: {line}")
    len(pictures.splits["train"])  # holds pictures out, which may take as long as reading them all
    size, progress = size or _size_for(pictures, Path(store)), observer.advanced
    observer.began("packing")
    return _packed(packing.pack(pictures, store, size=size, on_bad_image=on_bad_image, progress=progress, retry=True))


def _verified(packed: Place, other: Place | None, observer: Observer) -> "Verified":
    from alexnet.data.verify import verify

    if other is not None:
        raise UsageError("`verify` checks one packed store, and makes none: give its folder alone")
    observer.began("checking", "B")
    return verify(packed, observer.advanced)


@documented
def train(
    recipe: Annotated[str, About("RECIPE", f"settings to start from: {', '.join(recipes.RECIPES)}")] | None = None,
    *,
    data: arguments.TrainingData | None = None,
    out: arguments.NewRun | None = None,
    from_: Annotated[Place, About("W", FROM)] | None = None,
    resume: Annotated[Place, About("RUN", RESUME)] | None = None,
    variant: arguments.Variant | None = None,
    epochs: Annotated[float, About("E", "passes over the training pictures")] | None = None,
    steps: Annotated[int, About("N", "updates, instead of epochs")] | None = None,
    seed: Annotated[int, About("S", "seed of weights, order, crops, colour and dropout")] | None = None,
    input_size: arguments.InputSize | None = None,
    freeze: Annotated[Freeze, About(None, FREEZE)] | None = None,
    precision: Annotated[Literal["auto", "bf16", "float32"], About(None, arguments.NUMBERS)] | None = None,
    parallel: Annotated[Literal["data", "towers", "hybrid"], About(None, PARALLEL)] | None = None,
    exclude: arguments.Excluded = (),
    labels: arguments.Labels | None = None,
    split_by_duplicates: arguments.Groups | None = None,
    timeout: arguments.Timeout = arguments.TIMEOUT_S,
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
    **settings: Annotated[Value, About("NAME=VALUE", SETTINGS)],
) -> Trained:
    """Trains a network, from nothing or from a trained one, or resumes a run; then tests it and writes its report.

    Raises:
        UsageError: An argument is missing, or a setting does not fit the others, the data or the machine.
        DataError: The data cannot serve, or the disk is full.
        CheckpointError: The run to resume is damaged, or its data have changed.
        TrainingError: The loss is not finite any more.
        TeamError: A process of the team ended or hangs.
    """
    from alexnet import machine, meeting

    machine.keep_memory()
    observer, chosen = observer or Display(), work.selection(exclude, labels, split_by_duplicates)
    named = {"variant": variant, "epochs": epochs, "steps": steps, "seed": seed, "input_size": input_size}
    changes = work.given(settings | named | {"freeze": freeze, "precision": precision})
    with meeting.assemble(parallel, timeout) as team:
        if resume is None:
            job = work.new(recipe, data, out, from_, changes, chosen)
        else:
            job = work.old(resume, data, recipe or out or from_ or changes or chosen != EVERYTHING, team)
        store, is_complete = _pictures(job, on_bad_image, observer, team), None
        job = work.head_alone(job, store, changes, observer)
        while is_complete is None:  # a tuning that diverges begins again, once
            with interruptible(observer, team), _begun(job, store, observer, team) as training:
                is_complete = training.run()
    done = Trained(run=str(job.run.folder), complete=is_complete, source=job.source)
    return _tested(done, job, store, observer) if is_complete and team.is_first else done


@documented
def demo(
    *,
    out: Annotated[Place, About("RUN", "run folder to make or continue")] = "runs/demo",
    observer: arguments.Watcher = None,
) -> Trained:
    """Fine-tunes the network in the package on photographs of solar cells, and compares with published results.

    A run that is there is continued.

    Raises:
        DataError: The photographs are not installed, or the disk is full.
    """
    from alexnet.run import Run

    if Run(out).exists:
        return train(resume=out, observer=observer)
    return train("demo", data="solar-cells", out=out, observer=observer)


def _packed(packed: "Store") -> Packed:
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


def _size_for(pictures: "Source", store: Path) -> int:
    """Returns the size that a store has already, or else one that suits the pictures."""
    from alexnet.data.manifest import is_store, read_manifest
    from alexnet.data.sides import typical_side
    from alexnet.models.variants import input_for_pictures, stored_size

    if is_store(store):
        return read_manifest(store).size
    variant, side = config.PAPER.variant, typical_side(pictures)
    return stored_size(variant, None if side is None else input_for_pictures(variant, side))


def _pictures(job: Job, on_bad_image: arguments.OnBadImage, observer: Observer, team: "Team") -> "Store":
    """Opens the data, after everything is checked that needs none."""
    from alexnet.data.open import open_data
    from alexnet.models.variants import stored_size
    from alexnet.training import plan

    settings = job.settings
    plan.check(settings, is_transfer=job.is_resumed or job.trained is not None)
    if team.is_first and not (job.is_resumed or _goes_on(job, team)):
        job.run.check_new()
    side = settings.stored_size or stored_size(settings.variant, settings.input_size)
    store = open_data(
        job.source,
        size=side,
        square=job.square,
        is_resized=job.trained is not None,
        draw=job.draw,
        selection=job.selection,
        on_bad_image=on_bad_image,
        observer=observer,
    )
    if team.is_first:
        understood = () if store.is_announced else (*store.notes, *left_out_lines(store.left_out, most=0))
        for line in (*left_out(store.quarantine), *doubtful(store.doubtful), *understood):
            observer.notice(f"alexnet: {line}")
    return store


@contextmanager
def _begun(job: Job, store: "Store", observer: Observer, team: "Team") -> "Iterator[Training]":
    """Begins or resumes a training; one that took over a trained network and diverges is set back, once."""
    from alexnet.training import loop
    from alexnet.training.start import begin_slower, is_slowed

    settings, run = job.settings, job.run
    if job.is_resumed or team.tell(team.is_first and is_slowed(run)):
        begun = loop.resume(store, run, observer, team, source=job.source)
    else:
        begun = loop.begin(settings, store, job.source, run, observer, team, job.trained, _goes_on(job, team))
    try:
        with begun as training:
            if job.is_resumed and team.is_first and training.progress.step == training.total:
                go_on = f"alexnet train --from {shlex.quote(str(run.folder))} --epochs 20"
                observer.notice(f"{run.folder} is finished; to go on from it as a new run: {go_on}")
            yield training
    except TrainingError as error:
        rate = team.tell(begin_slower(run) if team.is_first else None)
        if rate is None:
            raise
        observer.notice(f"{error}. It begins again at a tenth of its rates, {rate:g}, this once")


def _goes_on(job: Job, team: "Team") -> bool:
    """Whether a command that was given before goes on: one that torchrun repeats, or that a full disk ended."""
    return team.goes_on or job.run.is_unfinished(job.settings, job.trained.sha256 if job.trained else None)


def _tested(done: Trained, job: Job, store: "Store", observer: Observer) -> Trained:
    """Measures a finished run with its best weights, and what tuning gained, and writes its report."""
    from alexnet.claims.gain import measure_gain
    from alexnet.data.open import default_split
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.evaluate import evaluate
    from alexnet.evaluation.overlap import overlap
    from alexnet.explaining.examples import draw_maps
    from alexnet.pages.report import write_report

    observer.began("evaluating")
    classifier, split = load(job.run.folder, numbers=job.settings.precision), default_split(store)
    trained_on = overlap([(job.run.folder, classifier.header)], store, split)
    evaluation, examples = evaluate([classifier], store, split, observer=observer, trained_on=trained_on)
    job.run.put(evaluation, examples, split)
    gain = measure_gain(job.run, job.settings, store, split)
    with suppress(AlexNetError):  # a report without maps is better than none
        draw_maps(job.run)
    write_report(job.run.folder)
    return structs.replace(done, evaluation=evaluation, gain=gain)
