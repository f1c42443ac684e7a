"""The one door to all sources: a built-in name or a path, its kind recognised."""

import csv
import tarfile
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from alexnet.data import cifar, folders, ilsvrc
from alexnet.data.heldout import divided
from alexnet.data.listing import TAR_ERRORS, Listing, Names, Source, stamp
from alexnet.data.manifest import is_store
from alexnet.data.zips import is_zip
from alexnet.errors import DataError, UsageError
from alexnet.files import from_home
from alexnet.observer import Observer
from alexnet.records import EVERYTHING, Draw, Selection

SOLAR_CELLS = "solar-cells"
"""The name of the built-in source: 2,624 electroluminescence photographs of solar cells, functional or defective."""

LICENCE = (
    "CC BY-NC-SA 4.0; S. Deitsch et al., Automatic classification of defective photovoltaic module cells in "
    "electroluminescence images, Solar Energy 185 (2019) 455-468, doi:10.1016/j.solener.2019.02.067"
)


def open_source(
    spec: str | Path,
    *,
    seed: int = 0,
    draw: Draw = "content",
    selection: Selection = EVERYTHING,
    is_measured: bool = False,
    observer: Observer | None = None,
) -> Source:
    """Opens the source that a name or a path stands for; reads names and labels, no pictures.

    Where the source has no splits, its pictures are read when `Source.splits` are first used: their bytes decide which
    are held out.

    Recognised are the name "solar-cells"; a folder of the ILSVRC-2012 archives; CIFAR-10 or CIFAR-100 as its
    python archive or unpacked; a class-per-folder tree as a folder, a zip file or an uncompressed tar file.

    Args:
        spec: The built-in name or the path.
        seed: The seed of the held-out quarter, where the source has no split of its own.
        draw: What decides which pictures are held out.
        selection: What is left out, where the labels stand, and which pictures stay on one side of a held-out split.
        is_measured: Whether a network is only to be measured on the pictures: nothing is held out, one class will do,
            and all pictures of a source without splits are in "test".
        observer: Is told about the scan of a folder, and about the reading of pictures to hold some out.

    Raises:
        UsageError: There is no such source, it is of no known kind, or it has splits and pictures are to be kept
            together in a held-out one.
        DataError: The source has no pictures, only one class or an empty class; a file is missing or damaged; or a
            package that the source needs is not installed.
    """
    source = _open(spec, seed, draw, selection, is_measured, observer or Observer())
    if selection.groups and not is_measured and (spec == SOLAR_CELLS or not source.is_split_drawn):
        raise UsageError(f"`split_by_duplicates` is for pictures without splits of their own, and {spec} has them")
    return source


def _open(
    spec: str | Path, seed: int, draw: Draw, selection: Selection, is_measured: bool, observer: Observer
) -> Source:
    if spec == SOLAR_CELLS:
        return open_solar_cells(seed)
    path = from_home(spec)
    if not path.exists():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, [SOLAR_CELLS, *beside], 1)
        hint = f"did you mean {near[0]!r}?" if near else f"give a path or {SOLAR_CELLS!r}"
        raise UsageError(f"there is no source {str(path)!r}: {hint}")
    if is_store(path):
        raise UsageError(f"{path} is a packed store already, not a source: use it as it is")
    if (archives := ilsvrc.find(path)) is not None:
        return ilsvrc.open_archives(archives)
    if (batches := cifar.find(path)) is not None:
        return cifar.open_cifar(batches)
    if path.is_dir() or is_zip(path) or _is_tar(path):
        return folders.open_tree(path, seed, draw, observer, selection, is_measured)
    raise UsageError(f"{path} is no known source: give a folder, a .tar or .zip file, or {SOLAR_CELLS!r}")


def _is_tar(path: Path) -> bool:
    try:
        if tarfile.is_tarfile(path):
            return True
    except TAR_ERRORS:  # a damaged tar file: another file never gets as far as these errors
        return True
    with path.open("rb") as file:  # later versions of Python say no to some damaged ones
        return file.read(262)[257:] == b"ustar"


def open_solar_cells(seed: int) -> Source:
    """Opens the solar cells, a quarter of each class held out as "val".

    Experts gave each cell a probability of a defect: 0, 1/3, 2/3 or 1. A cell counts as defective from 1/2.
    """
    package = find_spec("elpv_dataset")  # finds without importing: all we need is the pictures in its wheel
    if package is None or not package.submodule_search_locations:
        raise DataError(f"the source {SOLAR_CELLS!r} is not installed: pip install 'alexnet[solar-cells]'")
    folder = Path(package.submodule_search_locations[0], "data")
    lines = (folder / "labels.csv").read_text(encoding="ascii").splitlines()
    rows = list(csv.reader(lines, delimiter=" ", skipinitialspace=True))
    names, classes = Names(name.encode() for name, _, _ in rows), ("functional", "defective")
    whole = Listing(
        labels=np.array([float(probability) >= 0.5 for _, probability, _ in rows], dtype=np.int64),
        rows=np.arange(len(rows)),
        names=names,
        fetch=lambda row: (folder / names[row].decode()).read_bytes(),
    )
    source = Source(
        name=SOLAR_CELLS,
        kind=SOLAR_CELLS,
        classes=classes,
        splits={"train": whole},
        fingerprint=stamp(folder / "labels.csv"),
        path=folder,
        licence=LICENCE,
    )
    return divided(
        source, seed, "names", Observer()
    )  # its pictures never change, and figures are published on this draw
