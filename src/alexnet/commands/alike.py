"""The commands that look for pictures that are alike: index and search."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.measuring import Numbers, own_data, pictures_of, several
from alexnet.commands.results import Alike, Indexed, Searched
from alexnet.files import check_new, make_folder, write
from alexnet.progress import Display, interruptible
from alexnet.records import Prediction, sealed

LAYER = "layer to compare by, such as fc6 or pool5; by default what the last layer reads, AlexNet's fc7"
MOVED = "where the index's network lies, if it was moved; it is compared by its hash"


@documented
def index(
    run: arguments.Network,
    source: Annotated[Place, About("SOURCE", f"{arguments.SOURCES}; {arguments.PACKED}")],
    index: Annotated[Place, About("INDEX", "folder to make, or an index that pictures are added to")],
    *,
    layer: Annotated[str, About("LAYER", LAYER)] | None = None,
    precision: Numbers = "auto",
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> Indexed:
    """Makes an index of pictures by what a layer of a network gives on them, for `search`; or adds pictures to one.

    Pictures that the index has, by name and content, are not added again; so the same command goes on after Ctrl-C.

    Raises:
        UsageError: There is no such layer or source, or the index is of another network or layer.
        CheckpointError: The network is missing, damaged or untrained.
        DataError: The data cannot serve, the index is damaged, or the disk is full.
    """
    from alexnet import machine
    from alexnet.data.open import from_anywhere, refuse_inside
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.features import layer_of
    from alexnet.searching.contents import describe
    from alexnet.searching.grow import add

    machine.keep_memory()
    observer, folder, start = observer or Display(), Path(index), time.monotonic()
    refuse_inside(folder, from_anywhere(source))
    classifier = load(run, numbers=precision)
    fresh = describe(run, classifier, layer_of(classifier.model, layer))
    store = own_data(classifier, source, on_bad_image, observer, is_measured=True)
    with interruptible(observer):
        contents, added, complete = add(folder, fresh, classifier, store, from_anywhere(source), observer)
    return Indexed(
        index=str(index),
        layer=contents.layer,
        pictures=contents.pictures,
        added=added,
        complete=complete,
        bytes=sum(part.length for part in contents.files.values()),
        seconds=time.monotonic() - start,
        quarantine=store.quarantine,
    )


@documented
def search(
    index: Annotated[Place, About("INDEX", "folder that alexnet index made")],
    images: Annotated[Sequence[Place], About("IMAGE|FOLDER", "pictures to look for, or folders of them")],
    *,
    top: Annotated[int, About("K", "neighbours to name")] = 10,
    run: Annotated[Place, About("RUN", MOVED)] | None = None,
    precision: Numbers = "auto",
    out: Annotated[Place, About("DIR", "folder to make, with a page of rows as in the paper's figure 4")] | None = None,
    observer: arguments.Watcher = None,
) -> Searched:
    """Names the pictures of an index that its network finds most like others, with their distances.

    The search is exact: every picture of the index is compared.

    Raises:
        UsageError: There is no such index or picture, `run` is another network, or the folder exists.
        CheckpointError: The network is missing, damaged or untrained.
        DataError: The index is damaged, or the disk is full.
    """
    from alexnet.errors import BadImage
    from alexnet.evaluation.classifier import load
    from alexnet.searching.contents import describe
    from alexnet.searching.index import Index
    from alexnet.searching.page import neighbour_page
    from alexnet.searching.search import search as look

    observer, folder = observer or Display(), None if out is None else Path(out)
    if folder:
        check_new(folder)
    paths, opened = list(pictures_of(several(images))), Index.open(index)
    contents = opened.contents
    network = contents.located(Path(index)) if run is None else run
    classifier = load(network, numbers=precision)
    contents.check_network(describe(network, classifier, contents.layer), Path(index))
    observer.began("searching")
    results = []
    for result in look(opened, classifier, paths, top):
        results.append(result)
        observer.advanced(len(results), len(paths))
    searched = Searched(
        index=str(index),
        layer=contents.layer,
        page=str(folder / "index.html") if folder else None,
        queries=tuple(Alike(image=r.image, neighbours=r.neighbours) for r in results if not isinstance(r, BadImage)),
        unread=tuple(Prediction(image=r.name, error=r.reason) for r in results if isinstance(r, BadImage)),
    )
    if folder:
        _write(folder, neighbour_page(opened, results).render(), searched)
    return searched


def _write(folder: Path, page: str, searched: Searched) -> None:
    make_folder(folder)
    write(folder / "index.html", page)
    write(folder / "neighbours.json", sealed(searched) + "\n")
