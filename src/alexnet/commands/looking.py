"""The commands that look at pictures through a trained network: features, explain and units."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from msgspec import structs

from alexnet.commands import arguments
from alexnet.commands.arguments import About, Place, documented
from alexnet.commands.measuring import Numbers, own_data, pictures_of, several
from alexnet.commands.results import Examined, Explained, Extracted
from alexnet.files import check_new, make_folder, write
from alexnet.progress import Display
from alexnet.records import Prediction, sealed

Method = Literal["occlusion", "gradcam", "gradient"]

METHODS = "how the maps are drawn, joined by commas: occlusion, gradcam, gradient"
FILL = "what covers the picture in occlusion: the mean image, the picture out of focus, or gray"
CLASS = "class to look for, as the network calls it or in words; each picture's first guess by default"
MAPS = "folder to make, with a PNG a map, explanations.json and a page"

UNITS = "layers with the numbers of their units or channels, from 0, such as conv5:12"
SHEETS = "folder to make, with a PNG a unit, units.json and a page"

LAYER = "layer to take, such as fc6, conv5 or pool5, behind its ReLU as in Caffe; by default what the last layer reads"
FEATURES = "file to make, in the format of its ending: .npz, .safetensors or .parquet"
OF_SPLIT = "split to take: train, val, train+val ...; all by default"


@documented
def features(
    run: arguments.Network,
    source: Annotated[Place, About("SOURCE", f"{arguments.SOURCES}; {arguments.PACKED}")],
    *,
    out: Annotated[Place, About("FILE", FEATURES)],
    layer: Annotated[str, About("LAYER", LAYER)] | None = None,
    views: Annotated[Literal[1, 10], About(None, "views to average over: 1, the centre, or the paper's 10")] = 1,
    split: Annotated[str, About("SPLIT", OF_SPLIT)] | None = None,
    precision: Numbers = "auto",
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> Extracted:
    """Writes what a layer gives on every picture, for other programs: AlexNet's 4096 features of fc7, or any other.

    The file also holds the names and labels of the pictures, and an account of the network, its preprocessing and the
    data.

    Raises:
        UsageError: There is no such layer, split or source, or the file exists or has another ending.
        CheckpointError: The network is missing, damaged or untrained.
        DataError: The data cannot serve, or the disk is full.
    """
    from alexnet import machine
    from alexnet.evaluation import feature_files
    from alexnet.evaluation import features as extraction
    from alexnet.evaluation.classifier import load, weight_file

    machine.keep_memory()
    observer, path = observer or Display(), Path(out)
    feature_files.check_out(path)
    classifier = load(run, numbers=precision)
    name = extraction.layer_of(classifier.model, layer)
    store = own_data(classifier, source, on_bad_image, observer)
    account = feature_files.account(classifier, weight_file(run), store, name, views, split)
    observer.began("extracting features")
    start = time.monotonic()
    batches = extraction.features(classifier, store, name, views, tuple(account.splits), observer)
    shape = feature_files.save(path, account, store, batches)
    return Extracted(
        file=str(path),
        layer=name,
        shape=shape,
        seconds=time.monotonic() - start,
        bytes=path.stat().st_size,
        quarantine=store.quarantine,
    )


@documented
def explain(
    run: arguments.Network,
    images: Annotated[Sequence[Place], About("IMAGE|FOLDER", "pictures, or folders of them")],
    *,
    method: Annotated[Sequence[Method], About("M,...", METHODS)] = ("occlusion", "gradcam"),
    class_name: Annotated[str, About("CLASS", CLASS)] | None = None,
    fill: Annotated[Literal["mean", "blur", "gray"], About(None, FILL)] = "mean",
    out: Annotated[Place, About("DIR", MAPS)] = "explained",
    observer: arguments.Watcher = None,
) -> Explained:
    """Draws where on pictures a network finds what it names, and checks that the maps show the network.

    Beside every map stands how much of it is left when the network's weights are shuffled, layer after layer from the
    top, and what deleting the marked pixels costs. A map that fails is marked as such. Probabilities are of float32;
    those of predict differ slightly where it takes bf16.

    Raises:
        UsageError: There is no such picture or class, or the folder exists.
        CheckpointError: The network is missing, damaged or untrained.
        DataError: The disk is full.
    """
    from alexnet.errors import BadImage
    from alexnet.evaluation.classifier import load
    from alexnet.explaining import explain as explaining
    from alexnet.explaining.page import explanation_page

    observer, folder = observer or Display(), Path(out)
    check_new(folder)
    methods: list[Method] = several(method)
    classifier, paths = load(run, numbers="float32", device="cpu"), list(pictures_of(several(images)))
    observer.began("explaining", "maps")
    drawn = []
    for one in explaining.explain(classifier, paths, methods, class_name, fill):
        drawn.append(one)
        observer.advanced(len(drawn), len(paths) * len(methods))
    make_folder(folder)
    explanations = []
    for number, each in enumerate(one for one in drawn if not isinstance(one, BadImage)):
        path = folder / f"{number:04d}-{each.explanation.method}.png"
        write(path, each.overlaid())
        explanations.append(structs.replace(each.explanation, map=str(path)))
    unread = tuple(Prediction(image=bad.name, error=bad.reason) for bad in drawn if isinstance(bad, BadImage))
    page = folder / "index.html"
    write(page, explanation_page(str(run), drawn).render())
    result = Explained(run=str(run), page=str(page), explanations=tuple(explanations), unread=unread)
    write(folder / "explanations.json", sealed(result) + "\n")
    return result


@documented
def units(
    run: arguments.Network,
    source: Annotated[Place, About("SOURCE", f"{arguments.SOURCES}; {arguments.PACKED}")],
    units: Annotated[Sequence[str], About("LAYER:UNIT", UNITS)],
    *,
    top: Annotated[int, About("K", "pictures to show of each unit")] = 9,
    split: Annotated[str, About("SPLIT", OF_SPLIT)] | None = None,
    out: Annotated[Place, About("DIR", SHEETS)] = "units",
    precision: Numbers = "auto",
    on_bad_image: arguments.OnBadImage = "skip",
    observer: arguments.Watcher = None,
) -> Examined:
    """Shows the pictures that excite units of a network most, and what each unit sees of them: its receptive field.

    Each layer takes one pass over the pictures.

    Raises:
        UsageError: There is no such unit, split or source, or the folder exists.
        CheckpointError: The network is missing, damaged or untrained.
        DataError: The data cannot serve, or the disk is full.
    """
    from alexnet import machine
    from alexnet.data.open import from_anywhere, refuse_inside
    from alexnet.evaluation.classifier import load
    from alexnet.explaining import units as examining
    from alexnet.explaining.units_page import drawn, units_page

    machine.keep_memory()
    observer, folder = observer or Display(), Path(out)
    check_new(folder)
    refuse_inside(folder, from_anywhere(source))
    classifier = load(run, numbers=precision)
    wanted = examining.units_of(classifier, several(units))
    store = own_data(classifier, source, on_bad_image, observer, is_measured=True)
    sheets = [drawn(store, one) for one in examining.excite(classifier, store, wanted, top, split, observer)]
    make_folder(folder)
    shown = []
    for one in sheets:
        path = folder / f"{one.excited.unit.replace(':', '-')}.png"
        if one.pictures:
            write(path, one.png())
        shown.append(structs.replace(one.excited, file=str(path) if one.pictures else None))
    page = folder / "index.html"
    write(page, units_page(str(run), sheets).render())
    result = Examined(run=str(run), page=str(page), units=tuple(shown), quarantine=store.quarantine)
    write(folder / "units.json", sealed(result) + "\n")
    return result
