"""A tree of folders as a source, in a folder or in an archive (`scan.py` reads either, `layout.py` says what it means).

    tree -> names of all pictures -> their folders -> split and class of each folder

All decisions are made on the folders; the pictures themselves are only counted into arrays.
"""

import os
import posixpath
from array import array
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from alexnet.data.excluding import Exclusion
from alexnet.data.heldout import divided
from alexnet.data.labelled import Assignment, by_tables, metadata, named_table, with_annotations
from alexnet.data.layout import Lost, Place, understand
from alexnet.data.listing import Integers, Listing, Source
from alexnet.data.nodes import Folder
from alexnet.data.scan import Tree, as_text, scan_folder, scan_tar
from alexnet.data.zips import is_zip, scan_zip
from alexnet.errors import DataError
from alexnet.observer import Observer
from alexnet.records import Draw, LeftOut, Selection

FEW = 20  # pictures of a folder that are left out one by one


def open_tree(
    path: Path, seed: int, draw: Draw, observer: Observer, selection: Selection, is_measured: bool = False
) -> Source:
    """Reads the names in a tree of folders, a folder or an archive; see `open_source`."""
    kind, tree = _scanned(path, observer)
    rows = _chosen(tree, selection)
    if not len(rows):
        raise DataError(f"{path} holds no pictures (such as .jpg or .png){_why(tree)}: give it one folder a class")
    tables = [named_table(path, selection.labels)] if selection.labels else metadata(path, tree)
    if tables:
        assignment = by_tables(path, tree, rows, tables, is_measured)
    else:
        assignment = _by_folders(path, tree, rows, is_measured)
    excluded = f"exclude {selection.exclude}\n" if selection.exclude else ""
    grouped = f"groups {selection.groups}\n" if selection.groups else ""
    source = Source(
        name=as_text(path.resolve().name if kind == "folder" else path.resolve().stem),
        kind=kind,
        classes=tuple(map(as_text, assignment.classes)),
        splits=_listings(tree, rows, assignment),
        fingerprint=f"{tree.fingerprint}{assignment.fingerprint}{excluded}{grouped}",
        path=path.resolve(),
        left_out=tree.left_out,
        layout=assignment.text,
        notes=assignment.notes,
        selection=selection,
    )
    if is_measured and not assignment.has_splits and source.splits.keys() == {"train"}:
        return replace(source, splits={"test": source.splits["train"]})
    is_divided = not is_measured and source.splits.keys() == {"train"} and not assignment.has_splits
    return divided(source, seed, draw, observer) if is_divided else source


def _by_folders(path: Path, tree: Tree, rows: Integers, is_measured: bool) -> Assignment:
    """Returns what the pictures are by the folders in which they lie."""
    folders, folder_of = _folders(tree, rows)
    pictures = dict(zip(folders, np.bincount(folder_of, minlength=len(folders)).tolist(), strict=True))
    empty = [tuple(folder.split("/")) for folder in tree.folders]
    layout = understand(str(path), pictures, empty, tree.left_out, is_measured)
    places, has_splits = [layout.places[folder] for folder in folders], layout.has_splits and not layout.flat
    assignment = Assignment(places, folder_of, layout.classes, layout.text, layout.notes, has_splits)
    return with_annotations(path, tree, rows, assignment, layout.flat)


def _scanned(path: Path, observer: Observer) -> tuple[str, Tree]:
    if path.is_dir():
        return "folder", scan_folder(path, observer)
    return ("zip", scan_zip(path)) if is_zip(path) else ("tar", scan_tar(path))


def _chosen(tree: Tree, selection: Selection) -> Integers:
    """Returns the rows of the pictures that `exclude` leaves, and takes the rest out of the tree's other lists."""
    if not selection.exclude:
        return np.arange(len(tree.names))
    exclusion = Exclusion(selection.exclude)
    rows = [row for row in range(len(tree.names)) if not exclusion.leaves_out(os.fsdecode(tree.names[row]))]
    tree.left_out = [entry for entry in tree.left_out if not exclusion.leaves_out(entry.path)]
    tree.folders = [folder for folder in tree.folders if not exclusion.leaves_out(folder, 0)]
    tree.left_out += exclusion.entries()
    return np.array(rows, dtype=np.int64)


def _why(tree: Tree) -> str:
    causes = Counter(entry.reason for entry in tree.left_out)
    return f", but {len(tree.left_out):,} others, such as {causes.most_common(1)[0][0]}" if causes else ""


def _folders(tree: Tree, rows: Integers) -> tuple[list[Folder], Integers]:
    """Returns the distinct folders of the pictures, and the position among them for each picture."""
    positions: dict[bytes, int] = {}
    folder_of = array("q")
    for row in rows.tolist():
        folder_of.append(positions.setdefault(tree.names[row].rpartition(b"/")[0], len(positions)))
    folders = [tuple(os.fsdecode(folder).split("/")) if folder else () for folder in positions]
    return folders, np.array(folder_of, dtype=np.int64)


def _listings(tree: Tree, rows: Integers, assignment: Assignment) -> dict[str, Listing]:
    """Returns the splits, each sorted by name; what has no place is added to what is left out."""
    label_of = {name: label for label, name in enumerate(assignment.classes)}
    places, place_of = assignment.places, assignment.place_of
    labels = np.array([label_of[place.name] if isinstance(place, Place) else -1 for place in places])[place_of]
    splits = np.array([place.split if isinstance(place, Place) else "" for place in places])[place_of]
    order = tree.names.order()
    position = np.full(len(tree.names), -1)
    position[rows] = np.arange(len(rows))
    order = position[order][position[order] >= 0]  # in the order of the sorted names
    rows, labels, splits, place_of = rows[order], labels[order], splits[order], place_of[order]
    tree.left_out += _lost(tree, rows[labels < 0], [places[place] for place in place_of[labels < 0]])
    return {
        split: Listing(labels[splits == split], rows[splits == split], tree.names, tree.fetch)
        for split in ("train", "val", "test")
        if (splits == split).any()
    }


def _lost(tree: Tree, rows: Integers, whys: list[Place | Lost]) -> list[LeftOut]:
    """Returns what is said of pictures without a place: those of a folder together, or each where they are few."""
    together: dict[tuple[str, Lost], list[str]] = {}
    for row, why in zip(rows, whys, strict=True):
        assert isinstance(why, Lost)  # the rows are those without a place
        path = as_text(os.fsdecode(tree.names[row]))
        around = posixpath.dirname(path) if why.around is None else as_text("/".join(why.around))
        together.setdefault((around, why), []).append(path)
    entries = []
    for (folder, why), paths in together.items():
        if why.around is None and len(paths) <= FEW:
            entries += [LeftOut(path=path, cause=why.cause, reason=why.reason) for path in paths]
        else:
            entries.append(LeftOut(path=folder or ".", cause=why.cause, reason=why.reason, count=len(paths)))
    return entries
