"""The commands that measure, or show what networks do: evaluate, predict, claim, bench and doctor."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from glob import glob
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from msgspec import structs

from alexnet.commands import arguments, work
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.results import Claimed, Claims, Measured, Precisions, Predictions
from alexnet.config import Value
from alexnet.errors import AlexNetError, UsageError
from alexnet.observer import Observer
from alexnet.progress import Display, interruptible
from alexnet.records import Evaluation, Examples, Header, Prediction

if TYPE_CHECKING:
    from alexnet.benches import Bench
    from alexnet.benches.doctor import Examination
    from alexnet.data.store import Store
    from alexnet.evaluation.classifier import Classifier
    from alexnet.weights.checkpoint import Checkpoint

KINDS = "numbers to compute in, joined by commas: auto, float32, bf16, int8; several show what each costs"
INCLUDE = (
    "measure those pictures too that a network was trained on; left out by default, unless all are or train is named"
)
BUDGETS = (
    "quick takes minutes, standard half an hour to two hours, tiny (70,000 pictures of 64 pixels) hours, full days"
)
SEEDS = "networks an arm; by default quick 1, else 3; relu 1, 1, 3; ensemble 2, 3, 5"

SERVER = "address of `alexnet serve`, which names the pictures instead of this machine; RUN is the network's name there"

SomeData = Annotated[Place, About("SOURCE", "pictures to measure with; made up by default")]
Item = TypeVar("Item")
Kind = Literal["auto", "float32", "bf16", "int8"]
Numbers = Annotated[Kind, About(None, arguments.NUMBERS)]
Views = Annotated[Literal[1, 10], About(None, "test views: 1 takes the centre, 10 the paper's ten")]


@documented
def evaluate(
    runs: Annotated[Sequence[Place], About("RUN", "run folders or weight files; several are averaged")],
    *,
    data: arguments.OwnData | None = None,
    labels: arguments.Labels | None = None,
    split: arguments.Split | None = None,
    views: Views = 1,
    include_training: Annotated[bool, About(None, INCLUDE)] = False,
    precision: Annotated[Sequence[Kind], About("P,...", KINDS)] = ("auto",),
    timeout: arguments.Timeout = arguments.TIMEOUT_S,
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> Measured | Precisions:
    """Measures top-1 and top-5 error of one run, or of several averaged.

    The result of a single run on its own data goes into the run folder and its report, that on another split than the
    usual one into a file of its own. For several kinds of numbers there is a result each.

    Raises:
        UsageError: There is no such split, or the networks do not fit each other or the data.
        CheckpointError: A network is missing, damaged or untrained.
        DataError: The data cannot serve.
    """
    from alexnet import machine
    from alexnet.data.open import default_split
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.evaluate import evaluate as measure
    from alexnet.evaluation.overlap import overlap
    from alexnet.evaluation.quantise import weight_bytes
    from alexnet.meeting import assemble

    machine.keep_memory()
    observer, runs, store = observer or Display(), several(runs), None
    includes = include_training or "train" in (split or "").split("+")
    results: list[Measured] = []
    with assemble(None, timeout) as team:
        for numbers in [precision] if isinstance(precision, str) else precision:
            networks = [load(run, numbers=numbers) for run in runs]
            store = store or own_data(networks[0], data, on_bad_image, observer, labels, True)
            # Processes that measured different weights or pictures would average nonsense.
            team.compare({"weights": str([each.header.crc32 for each in networks]), "data": store.content_hash})
            observer.began("evaluating")
            usual, models = default_split(store), (each.model for each in networks)
            headers = ((Path(run), each.header) for run, each in zip(runs, networks, strict=True))
            trained_on = overlap(headers, store, split or usual)
            measured, examples = measure(networks, store, split or usual, views, observer, team, trained_on, includes)
            measured = structs.replace(measured, precision=numbers, weight_bytes=sum(map(weight_bytes, models)))
            is_kept = not results and team.is_first and len(runs) == 1 and _is_own(data, networks[0].header, store)
            results.append(_kept(Path(runs[0]) if is_kept else None, measured, examples, usual))
    return results[0] if len(results) == 1 else Precisions(precisions=tuple(results))


@documented
def predict(
    run: arguments.Network,
    images: Annotated[Sequence[Place], About("IMAGE|FOLDER", "pictures, or folders of them")],
    *,
    precision: Numbers = "auto",
    top: Annotated[int, About("K", "classes to name")] = 5,
    views: Views = 1,
    server: Annotated[str, About("URL", SERVER)] | None = None,
    token_file: Annotated[Place, About("FILE", "with `server`: file that holds its token")] | None = None,
    timeout: arguments.Timeout = arguments.TIMEOUT_S,
    observer: arguments.Watcher = None,
) -> Predictions:
    """Names what is on pictures, each as soon as it is known; here, or by a service.

    Raises:
        UsageError: There is no such picture, a folder holds none, `top` is below 1, or a service refuses.
        CheckpointError: The network is missing, damaged or untrained.
    """
    from alexnet.meeting import assemble

    observer, answers = observer or Display(), []
    with assemble(None, timeout) as team:
        if top < 1:
            raise UsageError(f"`top` takes 1 or more, got {top}")
        name_pictures = _namer(run, precision, server, token_file)
        mine = islice(pictures_of(several(images)), team.everyone.index, None, team.everyone.count)
        for answer in team.in_order(name_pictures(mine, views, top)):
            answers.append(answer)
            observer.predicted(answer)
    return Predictions(run=str(run), views=views, images=tuple(answers))


def _namer(
    run: Place, precision: Kind, server: str | None, token_file: Place | None
) -> Callable[[Iterable[Path], int, int], Iterator[Prediction]]:
    """Returns what names picture files at so many views by so many classes: a network here, or that of a service."""
    if server is None:
        from alexnet.evaluation.classifier import load, predict

        if token_file is not None:
            raise UsageError("`token_file` is for a `server`; leave it away")
        return partial(predict, load(run, numbers=precision))
    from alexnet.serving.client import Client
    from alexnet.serving.tokens import read_token

    if not server.startswith(("http://", "https://")):
        raise UsageError(f"`server` takes an address such as http://127.0.0.1:8000, got {server!r}")
    if precision != "auto":
        raise UsageError("`precision` is the service's own choice; leave it away")
    return Client(server, Path(run).name, None if token_file is None else read_token(Path(token_file))).predict


@documented
def claim(
    name: Annotated[str, About("CLAIM", "which claim; see `list`")] | None = None,
    *,
    list: Annotated[bool, About(None, "list the claims: where they are made, what was measured")] = False,
    data: arguments.TrainingData = "solar-cells",
    budget: Annotated[Literal["quick", "standard", "tiny", "full"], About(None, BUDGETS)] = "quick",
    seeds: Annotated[int, About("K", SEEDS)] | None = None,
    pictures: Annotated[int, About("N", "about so many pictures to train on; by default those of the budget")]
    | None = None,
    out: Annotated[Place, About("DIR", "folder of all experiments")] = "runs/claims",
    observer: arguments.Watcher = None,
    **settings: Annotated[Value, About("NAME=VALUE", "settings to change in every arm")],
) -> Claims | Claimed:
    """Puts a claim of the lecture to the test, on your own data.

    Trains a network with and without what the lecture praises, with paired seeds, and says whether the difference is
    there: 'confirmed here', 'not seen here' or 'opposite here', with a 95 % interval. It says before it starts what it
    will cost and how weak the evidence will be. After Ctrl-C the same command goes on: nothing is trained twice, and
    claims share the networks they have in common. It writes DIR/NAME/claim.html and claim.json.

    Raises:
        UsageError: A name or a setting is unknown, there are too few seeds, or the question has no meaning here.
        DataError: The data cannot serve.
    """
    from alexnet.claims.table import CLAIMS

    if list:
        return Claims(claims=CLAIMS)
    if name is None:
        raise UsageError(f"claim takes a name, one of {', '.join(CLAIMS)}; alexnet claim --list tells more")
    from alexnet import machine
    from alexnet.claims.conduct import PAGE, conduct
    from alexnet.claims.experiment import Request
    from alexnet.claims.laboratory import Stopped
    from alexnet.data.open import from_anywhere, refuse_inside

    machine.keep_memory()
    source, folder, observer = from_anywhere(data), Path(out), observer or Display()
    refuse_inside(folder, source)
    request, result = Request(name, source, budget, seeds, folder, settings, pictures), None
    with interruptible(observer), suppress(Stopped):
        result = conduct(request, observer)
    return Claimed(request, result, str(folder / name / PAGE))


@documented
def bench(
    what: Annotated[
        Literal["lrn", "train", "data", "predict", "start", "parallel", "serve", "all"], About(None, "which bench")
    ] = "all",
    *,
    per_layer: Annotated[bool, About(None, "time each layer against its floors")] = False,
    data: SomeData | None = None,
    observer: arguments.Watcher = None,
) -> "Bench":
    """Measures speed beside other implementations and this machine's limits.

    Raises:
        UsageError: There is no such data.
        DataError: The data cannot be read.
    """
    from alexnet import benches

    return benches.run(what, None if data is None else str(data), per_layer, observer or Display())


@documented
def doctor(
    *,
    data: SomeData | None = None,
    variant: arguments.Variant = "alexnet",
    input_size: arguments.InputSize | None = None,
    hours: Annotated[float, About("H", "hours that a training may take, for what is proposed")] = 8.0,
    observer: arguments.Watcher = None,
) -> "Examination":
    """Measures this machine, says what would bound training on it with these data, and proposes a training.

    Raises:
        UsageError: There is no such network or data.
        DataError: The data cannot be read.
    """
    from alexnet.benches import Size
    from alexnet.benches import doctor as examination
    from alexnet.data.open import from_anywhere

    source, size = None if data is None else from_anywhere(data), Size(input_size=input_size)
    return examination.examine(source, variant, observer or Display(), size, hours)


def own_data(
    network: "Classifier | Checkpoint",
    data: Place | None,
    on_bad_image: arguments.OnBadImage,
    observer: Observer,
    labels: Place | None = None,
    is_measured: bool = False,
) -> "Store":
    """Opens the data that were named, or else those that a network was trained on, as the network takes them.

    Of new data without splits that are only measured on, all pictures are in "test".
    """
    from alexnet.data.open import is_new, open_data, present_source
    from alexnet.records import EVERYTHING

    trained_with = network.header.data
    selection = trained_with.selection if trained_with else EVERYTHING
    is_other = data is not None and is_measured and (labels is not None or is_new(data, trained_with))
    if is_other:
        selection = work.selection((), labels)
    return open_data(
        present_source(trained_with) if data is None else data,
        size=len(network.mean),
        square=network.header.preprocessing.square,
        draw=trained_with.draw if trained_with else "content",
        selection=selection,
        is_measured=is_other,
        on_bad_image=on_bad_image,
        observer=observer,
    )


def several(values: Sequence[Item] | Item) -> list[Item]:
    """Returns a list where one value or several may be given; a text is one."""
    return [*values] if isinstance(values, Iterable) and not isinstance(values, str) else [values]


def _is_own(data: Place | None, header: Header, store: "Store") -> bool:
    """Whether a run is measured on its own data: none are named, or the very same, wherever they lie."""
    return data is None or (header.data is not None and header.data.hash == store.content_hash)


def _kept(run: Path | None, measured: Evaluation, examples: Examples, usual: str) -> Measured:
    """Puts a result into a run folder, if there is one, and its report; returns it with its file or the problem."""
    from alexnet.explaining.examples import draw_maps
    from alexnet.pages.report import write_report
    from alexnet.run import Run

    file = problem = None
    if run is not None and run.is_dir():  # else a weight file alone
        try:
            file = str(Run(run).put(measured, examples, usual))
            draw_maps(Run(run))
            write_report(run)
        except (AlexNetError, OSError) as error:
            file, problem = None, f"{error}; the run keeps what it had"
    return Measured(file=file, problem=problem, **structs.asdict(measured))


def _matching(path: Path) -> list[Path]:
    """Returns what a pattern such as `*.jpg` matches, which Windows leaves to programs; else the path itself."""
    if os.path.exists(path):  # noqa: PTH110  # a path of any length is no error
        return [path]
    return [Path(each) for each in sorted(glob(str(path), recursive=True))] or [path]  # noqa: PTH207  # of any root


def pictures_of(places: Sequence[Place]) -> Iterator[Path]:
    """Yields the picture files that were named, and those in the folders that were named, in order."""
    from alexnet.data.scan import pictures_below

    paths = [path for place in places for path in _matching(Path(place))]
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no picture {path}")
    for path in paths:
        below = pictures_below(path) if path.is_dir() else [path]
        if not below:
            raise UsageError(f"there are no pictures in {path}")
        yield from below
