"""The commands that show finished runs: compare and report."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import structs

from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.measuring import Views, own_data, several
from alexnet.commands.results import Written
from alexnet.errors import AlexNetError, UsageError
from alexnet.files import check_new, make_folder, write
from alexnet.observer import Observer
from alexnet.progress import Display

if TYPE_CHECKING:
    from alexnet.claims.side_by_side import Side, SideBySide
    from alexnet.evaluation.overlap import Overlap

SAME = "pictures to measure all runs on; by default what each run's folder says of its own data is compared"
FOLDER = "folder to make, with a page and comparison.json"


@documented
def compare(
    runs: Annotated[Sequence[Place], About("RUN", "run folders; weight files too, with `data`")],
    *,
    data: Annotated[Place, About("SOURCE", SAME)] | None = None,
    labels: arguments.Labels | None = None,
    split: arguments.Split | None = None,
    views: Views = 1,
    out: Annotated[Place, About("DIR", FOLDER)] = "runs/compared",
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> "SideBySide":
    """Sets runs side by side: errors, learning curves, settings that differ, time, size, what each started from.

    Every run is compared with the first on the same pictures, with a paired 95 % interval of the difference. Pictures
    that any of them was trained on are left out. Runs that were measured on different pictures are marked so.

    Raises:
        UsageError: There are fewer than two runs, they tell different classes apart or take different pictures, or
            the folder exists.
        CheckpointError: A run is missing, damaged or not evaluated yet.
        DataError: The data cannot serve, or the disk is full.
    """
    from alexnet.claims.side_by_side import side_by_side
    from alexnet.claims.side_page import side_page
    from alexnet.data.open import from_anywhere, refuse_inside
    from alexnet.records import sealed

    named: list[Place] = several(runs)
    observer, places, folder = observer or Display(), list(map(Path, named)), Path(out)
    if len(places) < 2:
        raise UsageError("a comparison takes two runs or more")
    check_new(folder)
    if data is None:
        if labels or split or views != 1:
            raise UsageError("`labels`, `split` and `views` go with `data`; without it what was measured is compared")
        sides = [_recorded(name, place) for name, place in zip(_names(places), places, strict=True)]
    else:
        refuse_inside(folder, from_anywhere(data))
        sides = _measured(places, data, labels, split, views, on_bad_image, observer)
    make_folder(folder)
    page = folder / "index.html"
    result = structs.replace(side_by_side(sides), page=str(page))
    write(page, side_page(result, sides).render())
    write(folder / "comparison.json", sealed(result) + "\n")
    return result


@documented
def report(run: Annotated[Place, About("RUN", "run folder")]) -> Written:
    """Writes a run's report: one HTML page that needs nothing else. It draws the maps that its pictures lack.

    Raises:
        UsageError: The folder does not exist, or cannot be written.
        CheckpointError: The folder is no run.
    """
    from alexnet.explaining.examples import draw_maps
    from alexnet.pages.report import write_report
    from alexnet.run import Run

    own = Run(run)
    with suppress(AlexNetError):  # a page without maps, or without what is damaged, is better than none
        draw_maps(own)
    return Written(report=str(write_report(own.folder)))


def _names(places: Sequence[Path]) -> list[str]:
    """Returns what to call each run: its last name, with as many of the folders above as tell all of them apart."""
    whole = [place.resolve().parts for place in places]
    depth = next((deep for deep in range(1, 9) if len({parts[-deep:] for parts in whole}) == len(places)), 1)
    return ["/".join(parts[-depth:]) for parts in whole]


def _recorded(name: str, place: Path) -> "Side":
    """Returns a run with what its folder says was measured of it."""
    from alexnet.claims.side_by_side import Side
    from alexnet.errors import CheckpointError
    from alexnet.records import Examples
    from alexnet.run import Run

    run = Run(place)
    description, evaluation = run.description(), run.evaluation()
    if evaluation is None:
        raise CheckpointError(f"{place} is not evaluated yet: run alexnet evaluate {place}, or give `data`")
    size = run.weights.stat().st_size if run.weights.is_file() else 0
    return Side(name, description, run.rows(), size, evaluation, run.examples() or Examples())


def _measured(
    places: Sequence[Path],
    data: Place,
    labels: Place | None,
    split: str | None,
    views: int,
    on_bad_image: arguments.OnBadImage,
    observer: Observer,
) -> "list[Side]":
    """Measures all runs on the same pictures, of which none was trained on any."""
    from alexnet import machine
    from alexnet.claims.side_by_side import Side
    from alexnet.data.open import default_split
    from alexnet.evaluation.classifier import load, weight_file
    from alexnet.evaluation.evaluate import evaluate
    from alexnet.evaluation.overlap import overlap
    from alexnet.run import Run

    machine.keep_memory()
    networks = [load(place) for place in places]
    stores = [own_data(network, data, on_bad_image, observer, labels, True) for network in networks]
    split = split or default_split(stores[0])
    masks = [
        overlap([(place, net.header)], store, split) for place, net, store in zip(places, networks, stores, strict=True)
    ]
    trained_on, sides = _any_of(masks), []
    for name, place, network, store in zip(_names(places), places, networks, stores, strict=True):
        observer.began(f"evaluating {name}")
        evaluation, examples = evaluate([network], store, split, views, observer, trained_on=trained_on)
        description = Run(place).description() if Run(place).exists else network.header
        size = weight_file(place).stat().st_size
        sides.append(Side(name, description, Run(place).rows(), size, evaluation, examples))
    return sides


def _any_of(masks: "Sequence[Overlap | None]") -> "Overlap | None":
    """Returns the pictures that any network was trained on; None where that is not known of one.

    Raises:
        UsageError: The masks are of different pictures.
    """
    whole = [mask for mask in masks if mask is not None]
    if len(whole) < len(masks):
        return None
    if len({tuple((name, len(part)) for name, part in mask.items()) for mask in whole}) > 1:
        raise UsageError("the runs read these data as different pictures: pack them once, and give the packed store")
    first, *others = whole
    for other in others:
        for name, part in other.items():
            first[name] |= part
    return first
