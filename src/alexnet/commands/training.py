"""The commands that train: `train` and `demo`."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet import config
from alexnet.commands.arguments import (
    TIMEOUT_S,
    Amount,
    Number,
    OnBadImage,
    Parallel,
    Pixels,
    Recipe,
    RunPlace,
    Seconds,
    Source,
    TrainingNumbers,
    Variant,
)
from alexnet.commands.results import Trained, left_out
from alexnet.config import Train, Value
from alexnet.errors import UsageError
from alexnet.observer import Observer
from alexnet.progress import Display, interruptible

if TYPE_CHECKING:
    from alexnet.data.store import Store
    from alexnet.records import Evaluation
    from alexnet.run import Run
    from alexnet.team import Team
    from alexnet.training.loop import Training

Planned = tuple[Train, str, "Run"]
"""The settings of a training, its data as a user calls them, and its run folder."""


def train(
    recipe: Recipe | None = None,
    *,
    data: Source | None = None,
    out: RunPlace | None = None,
    resume: RunPlace | None = None,
    variant: Variant | None = None,
    epochs: Amount | None = None,
    steps: Number | None = None,
    seed: Number | None = None,
    input_size: Pixels | None = None,
    precision: TrainingNumbers | None = None,
    parallel: Parallel | None = None,
    timeout: Seconds = TIMEOUT_S,
    on_bad_image: OnBadImage = "skip",
    observer: Observer | None = None,
    **settings: Value,
) -> Trained:
    """Trains a network on a source of pictures, or resumes a run; then tests it and writes its report.

    Args:
        recipe: Which settings to start from: paper, modern, demo, large-batch, or the name of a network for CIFAR-10.
        data: A folder (or .tar) with one folder of pictures a class, or with train/ and val/ or test/ folders of
            those; the folder of the ILSVRC-2012 archives; a CIFAR python archive; solar-cells, which the extra of that
            name installs; a packed store, or its http(s)://, s3:// or gs:// address.
        out: Run folder to make.
        resume: Run to continue from its last save. `data` then says where its pictures have moved to.
        variant: Which network; the recipe's own by default. See `alexnet summary --help`.
        epochs: Passes over the training pictures.
        steps: Updates, instead of epochs.
        seed: Seed of weights, order, crops, colour and dropout.
        input_size: Side of the crops the network sees, pixels.
        precision: Numbers to compute in; auto takes bf16 where it is fast.
        parallel: How several processes under torchrun share the work. data shares the pictures of a batch; towers
            gives each of two processes one tower; hybrid shares pictures among the convolutions and cuts fc6, fc7 and
            fc8.
        timeout: Seconds after which a process of a team that does not come or answer is given up.
        on_bad_image: skip lists a picture that cannot be read in the quarantine, stop ends with it.
        observer: Is told how it goes, and may stop it.
        settings: Any other setting of the recipe, such as learning_rate, batch_size, colour or smallest_crop.

    Raises:
        UsageError: An argument is missing, or a setting does not fit the others, the data or the machine.
        DataError: The data cannot serve, or the disk is full.
        CheckpointError: The run to resume is damaged, or its data have changed.
        TrainingError: The loss is not finite any more.
        TeamError: A process of the team ended or hangs.
    """
    from alexnet import machine
    from alexnet.data.open import open_data
    from alexnet.meeting import assemble
    from alexnet.models.variants import stored_size
    from alexnet.training import plan

    machine.keep_memory()
    observer = observer or Display()
    named = {"variant": variant, "epochs": epochs, "steps": steps, "seed": seed}
    named |= {"input_size": input_size, "precision": precision}
    changes = {**settings, **{name: value for name, value in named.items() if value is not None}}
    with assemble(parallel, timeout) as team:
        if resume is None:
            chosen, source, run = _new(recipe, data, out, changes)
        else:
            chosen, source, run = _old(resume, data, recipe or out or changes, team)
        plan.check(chosen)
        if resume is None and team.is_first and not team.goes_on:
            run.check_new()
        side = chosen.stored_size or stored_size(chosen.variant, chosen.input_size)
        store = open_data(source, size=side, on_bad_image=on_bad_image, observer=observer)
        if team.is_first:
            for line in left_out(store.quarantine):
                observer.notice(f"alexnet: {line}")
            if store.ignored:
                observer.notice(f"alexnet: files ignored: {store.ignored} (hidden, or of a kind that is not read)")
        opened = _opened(run, chosen, store, source, observer, team, is_resumed=resume is not None)
        with interruptible(observer, team.is_first, team.everyone.count == 1), opened as training:
            is_complete = training.run()
    if not team.is_first or not is_complete:
        from alexnet.data.remote import is_remote

        return Trained(run=str(run.folder), complete=is_complete, source=source if is_remote(source) else None)
    return Trained(run=str(run.folder), complete=True, evaluation=_test(run, store, chosen, observer))


def demo(*, out: RunPlace = "runs/demo", observer: Observer | None = None) -> Trained:
    """Trains on photographs of solar cells, or goes on with it, and compares with what was published.

    Args:
        out: Run folder to make or continue.
        observer: Is told how it goes, and may stop it.

    Raises:
        DataError: The photographs are not installed, or the disk is full.
    """
    from alexnet.run import Run

    if Run(out).exists:
        return train(resume=out, observer=observer)
    return train("demo", data="solar-cells", out=out, observer=observer)


def _new(recipe: str | None, data: Source | None, out: RunPlace | None, changes: dict[str, Value]) -> Planned:
    from alexnet.data.open import from_anywhere, refuse_inside
    from alexnet.run import Run

    if changes.get("epochs") is not None and changes.get("steps") is not None:
        raise UsageError("`epochs` and `steps` are two ways to say how long a training is: give one of them")
    if recipe is None:
        raise UsageError("train needs a RECIPE, for instance modern")
    chosen = config.change(config.recipe(recipe), changes)
    if data is None:
        raise UsageError("train needs `data`, for instance `data=~/pictures`")
    if out is None:
        raise UsageError("train needs `out`, for instance `out=runs/mine`")
    source = from_anywhere(data)
    refuse_inside(Path(out), source)
    return chosen, source, Run(out)


def _old(resume: RunPlace, data: Source | None, others: object, team: "Team") -> Planned:
    from alexnet.data.open import from_anywhere, source_of
    from alexnet.run import Run

    if others:
        raise UsageError("`resume` takes all but `data` from the run; leave the other settings away")
    run = Run(resume)
    description = team.tell(run.description() if team.is_first else None)
    if description is None or description.settings is None:
        raise UsageError(f"{run.folder} was converted, not trained here: there is nothing to resume")
    return description.settings, source_of(description.data) if data is None else from_anywhere(data), run


def _opened(
    run: "Run", settings: Train, store: "Store", source: str, observer: Observer, team: "Team", is_resumed: bool
) -> "AbstractContextManager[Training]":
    from alexnet.training import loop

    if is_resumed:
        return loop.resume(store, run, observer, team)
    return loop.begin(settings, store, source, run, observer, team, goes_on=team.goes_on)


def _test(run: "Run", store: "Store", settings: Train, observer: Observer) -> "Evaluation":
    """Measures a finished run with its best weights and writes its report."""
    from alexnet.data.open import default_split
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.evaluate import evaluate
    from alexnet.pages.report import write_report

    observer.began("evaluating")
    classifier = load(run.folder, numbers=settings.precision)
    evaluation, examples = evaluate([classifier], store, default_split(store), observer=observer)
    run.put(evaluation, examples)
    write_report(run.folder)
    return evaluation
