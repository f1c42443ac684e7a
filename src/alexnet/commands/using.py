"""The commands that use trained networks: `evaluate`, `predict` and `report`."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import structs

from alexnet.commands.arguments import (
    TIMEOUT_S,
    About,
    Kind,
    Network,
    Numbers,
    OnBadImage,
    OwnData,
    Place,
    Split,
    Timeout,
    Views,
    Watcher,
    documented,
)  # fmt: skip
from alexnet.commands.results import Precisions, Predictions, Unkept, Written
from alexnet.errors import DataError, UsageError
from alexnet.observer import Observer
from alexnet.progress import Display
from alexnet.records import Evaluation, Examples

if TYPE_CHECKING:
    from alexnet.team import Team


NUMBERS = "numbers to compute in, joined by commas: auto, float32, bf16, int8; several show what each costs"


@documented
def evaluate(
    runs: Annotated[Sequence[Place], About("RUN", "run folders or weight files; several are averaged")],
    *,
    data: OwnData | None = None,
    split: Split | None = None,
    views: Views = 1,
    precision: Annotated[Sequence[Kind], About("P,...", NUMBERS)] = ("auto",),
    timeout: Timeout = TIMEOUT_S,
    on_bad_image: OnBadImage = "skip",
    observer: Watcher = None,
) -> Evaluation | Precisions:
    """Measures top-1 and top-5 error of one run, or of several averaged.

    Of a single run that is measured on its own data, the result goes into the run folder and its report. Several kinds
    of numbers give `Precisions`, one gives an evaluation.

    Raises:
        UsageError: There is no such split, or the networks fit neither each other nor the data.
        CheckpointError: A network is missing, damaged or untrained.
        DataError: The data cannot serve.
    """
    from alexnet import machine
    from alexnet.meeting import assemble

    machine.keep_memory()
    observer, runs = observer or Display(), _several(runs)
    kinds = [precision] if isinstance(precision, str) else list(precision)
    results: list[Evaluation] = []
    with assemble(None, timeout) as team:
        for numbers in kinds:
            measured, examples, is_own = _measure(runs, data, split, views, numbers, on_bad_image, observer, team)
            if not results and is_own and team.is_first:
                measured = _kept(Path(runs[0]), measured, examples)
            results.append(measured)
    return results[0] if len(results) == 1 else Precisions(precisions=tuple(results))


@documented
def predict(
    run: Network,
    images: Annotated[Sequence[Place], About("IMAGE|FOLDER", "pictures, or folders of them")],
    *,
    precision: Numbers = "auto",
    top: Annotated[int, About("K", "classes to name")] = 5,
    views: Views = 1,
    timeout: Timeout = TIMEOUT_S,
    observer: Watcher = None,
) -> Predictions:
    """Names what is on pictures; the observer is told of every picture as soon as it is named.

    Raises:
        UsageError: There is no such picture, a folder holds none, or `top` is below 1.
        CheckpointError: The network is missing, damaged or untrained.
    """
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.classifier import predict as name_pictures
    from alexnet.meeting import assemble

    observer, answers = observer or Display(), []
    with assemble(None, timeout) as team:
        if top < 1:
            raise UsageError(f"`top` takes 1 or more, got {top}")
        classifier = load(run, numbers=precision)
        mine = islice(_pictures(_several(images)), team.everyone.index, None, team.everyone.count)
        for answer in team.in_order(name_pictures(classifier, mine, views, top)):
            answers.append(answer)
            observer.predicted(answer)
    return Predictions(run=str(run), views=views, images=tuple(answers))


@documented
def report(run: Annotated[Place, About("RUN", "run folder")]) -> Written:
    """Writes a run's report: one HTML page that needs nothing else.

    Raises:
        UsageError: The folder does not exist, or cannot be written.
        CheckpointError: The folder is no run.
    """
    from alexnet.pages.report import write_report

    return Written(report=str(write_report(Path(run))))


def _several(places: Sequence[Place] | Place) -> list[Place]:
    """Returns a list of places, of a single one too."""
    return [*places] if isinstance(places, Iterable) and not isinstance(places, str) else [places]


def _measure(
    runs: Sequence[Place],
    data: Place | None,
    split: str | None,
    views: int,
    numbers: str,
    on_bad_image: OnBadImage,
    observer: Observer,
    team: "Team",
) -> tuple[Evaluation, Examples, bool]:
    """Returns what is measured in one kind of numbers, and whether it is a run's own result on its own data."""
    from alexnet.data.open import default_split, open_data, source_of
    from alexnet.data.remote import is_remote
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.evaluate import evaluate as measure
    from alexnet.evaluation.quantise import weight_bytes

    classifiers = [load(run, numbers=numbers) for run in runs]
    first = classifiers[0]
    recorded = first.header.data.source if first.header.data else None
    is_own = data is None or (is_remote(data) and str(data) == recorded)
    source = source_of(first.header.data) if data is None else str(data)
    store = open_data(source, size=first.stored_size, square=first.square, on_bad_image=on_bad_image, observer=observer)
    team.compare({"weights": str([each.header.crc32 for each in classifiers]), "data": store.content_hash})
    observer.began("evaluating")
    measured, examples = measure(classifiers, store, split or default_split(store), views, observer, team)
    size = sum(weight_bytes(each.model) for each in classifiers)
    measured = structs.replace(measured, precision=numbers, weight_bytes=size)
    return measured, examples, is_own and len(runs) == 1 and Path(runs[0]).is_dir()


def _kept(folder: Path, measured: Evaluation, examples: Examples) -> Evaluation:
    """Puts a result into a run folder and its report; returns it with the problem where they cannot be written."""
    from alexnet.pages.report import write_report
    from alexnet.run import Run

    try:
        Run(folder).put(measured, examples)
        write_report(folder)
    except (UsageError, DataError) as error:
        return Unkept(problem=f"{error}; the run keeps what it had", **structs.asdict(measured))
    return measured


def _pictures(places: Sequence[Place]) -> Iterator[Path]:
    """Yields the picture files that were named, and those in the folders that were named, in order."""
    from alexnet.data.folders import pictures_below

    paths = [Path(place) for place in places]
    missing = next((path for path in paths if not (path.is_file() or path.is_dir())), None)
    if missing is not None:
        raise UsageError(f"there is no picture {missing}")
    for path in paths:
        if path.is_dir():
            below = pictures_below(path)
            if not below:
                raise UsageError(f"there are no pictures in {path}")
            yield from below
        else:
            yield path
