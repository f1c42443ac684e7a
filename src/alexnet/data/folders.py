"""What a tree of folders means: splits and classes, in a folder or in a tar file (`scan.py` reads either).

    tree -> names of all pictures -> their first folders ("heads") -> split and class of each head

All decisions are made on the few heads; the pictures themselves are only counted into arrays.
"""

import os
from array import array
from difflib import get_close_matches
from pathlib import Path
from unicodedata import normalize

import numpy as np

from alexnet.data.heldout import divided
from alexnet.data.listing import Integers, Listing, Names, Source
from alexnet.data.scan import Tree, as_text, scan_folder, scan_tar
from alexnet.errors import DataError
from alexnet.observer import Observer
from alexnet.records import Draw, LeftOut

# The lower-case name of a folder -> the split in it.
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

Folder = tuple[str, ...]  # the parts of a path
Place = tuple[str, str]  # split, class


def open_tree(path: Path, seed: int, draw: Draw, observer: Observer) -> Source:
    """Reads the names in a class-per-folder tree, a folder or an uncompressed tar file; see `open_source`."""
    kind, tree = ("folder", scan_folder(path, observer)) if path.is_dir() else ("tar", scan_tar(path))
    if not len(tree.names):
        raise DataError(f"{path} holds no pictures (such as .jpg or .png): give it one folder a class")
    heads, head_of = _heads(tree.names)
    heads, folders = _unwrapped(heads, [tuple(folder.split("/")) for folder in tree.folders])
    has_splits = _has_splits(path, heads, folders)
    places = _spelt_as_in_train([_place(head, has_splits) for head in heads])
    classes = _classes(path, places, {_place(folder, has_splits) for folder in folders})
    if has_splits:
        _refuse_empty_splits(path, places, folders)
    splits = _listings(tree, classes, places, head_of)
    source = Source(
        name=as_text(path.resolve().stem if kind == "tar" else path.resolve().name),
        kind=kind,
        classes=tuple(map(as_text, classes)),
        splits=splits,
        fingerprint=tree.fingerprint,
        path=path.resolve(),
        left_out=tree.left_out,
    )
    return source if has_splits else divided(source, seed, draw, observer)


def _heads(names: Names) -> tuple[list[Folder], Integers]:
    """Returns the distinct first three folders of the pictures, and the position among them for each picture."""
    positions: dict[bytes, int] = {}
    head_of = array("q")
    for row in range(len(names)):
        head = b"/".join(names[row].split(b"/")[:-1][:3])
        head_of.append(positions.setdefault(head, len(positions)))
    heads = [tuple(os.fsdecode(head).split("/")) if head else () for head in positions]
    return heads, np.array(head_of, dtype=np.int64)


def _unwrapped(heads: list[Folder], folders: list[Folder]) -> tuple[list[Folder], list[Folder]]:
    """Leaves out a single folder around all the others, as archives often have it."""
    first = {folder[:1] for folder in heads + folders}
    if len(first) > 1 or min(map(len, heads)) < 2 or heads[0][0].lower() in SPLITS:
        return heads, folders
    return [head[1:] for head in heads], [folder[1:] for folder in folders if len(folder) > 1]


def _has_splits(path: Path, heads: list[Folder], folders: list[Folder]) -> bool:
    tops = {folder[0] for folder in heads + folders if folder}
    splits = {SPLITS.get(top.lower()) for top in tops}
    if tops and not splits & {"train", None}:
        raise DataError(f"{path} has {' and '.join(map(as_text, sorted(tops)))} but no train folder: add one")
    if splits != {"train", None}:
        return "train" in splits
    # "train" may be a class: its pictures lie right in it, and beside it lie other classes, such as "bus".
    others = {head[0].lower() for head in heads if head} - SPLITS.keys()
    are_classes = len(others) > 1 and not any(name.startswith(tuple(SPLITS)) for name in others)
    return any(len(head) > 1 and head[0].lower() in SPLITS for head in heads) or not are_classes


def _place(folder: Folder, has_splits: bool) -> Place | None:
    if not has_splits:
        return ("train", folder[0]) if folder else None
    split = SPLITS.get(folder[0].lower()) if len(folder) > 1 else None
    return (split, folder[1]) if split else None


def _spelt_as_in_train(places: list[Place | None]) -> list[Place | None]:
    """Spells the classes of the other splits as in train, since systems differ in how they encode accents."""
    spelt = {normalize("NFC", name): name for split, name in filter(None, places) if split == "train"}

    def respelt(split: str, name: str) -> Place:
        return split, name if split == "train" else spelt.get(normalize("NFC", name), name)

    return [place and respelt(*place) for place in places]


def _classes(path: Path, places: list[Place | None], folders: set[Place | None]) -> tuple[str, ...]:
    """Returns the sorted classes of the training split, and refuses a class that only another split has."""
    filled = set(filter(None, places))
    classes = tuple(sorted(name for split, name in filled if split == "train"))
    if empty := [name for split, name in sorted(filter(None, folders - filled)) if split == "train"]:
        raise DataError(f"{path}: class folder {as_text(empty[0])!r} holds no pictures: fill or remove it")
    if not filled:
        raise DataError(f"{path}: the pictures lie in no class folder: make one folder a class")
    _refuse_unnamed(path, classes)
    for split, name in sorted(filled):
        if classes and name not in classes:
            near = [as_text(each) for each in get_close_matches(name, classes, 1)]
            hint = f"did you mean {near[0]!r}?" if near else "rename it, or add it to train"
            raise DataError(f"{path}: class {as_text(name)!r} of {split} is unknown to train: {hint}")
    if len(classes) == 1:
        raise DataError(f"{path} has one class only ({as_text(classes[0])!r}): add a folder for another")
    return classes


def _refuse_unnamed(path: Path, classes: tuple[str, ...]) -> None:
    if "" in classes:
        raise DataError(f"{path}: a class folder has no name, as in absolute paths: pack it again with relative ones")
    first: dict[str, str] = {}
    for name in classes:
        other = first.setdefault(normalize("NFC", as_text(name)), name)
        if other != name:
            both = f"{os.fsencode(other)!r} and {os.fsencode(name)!r} are both printed {as_text(name)!r}"
            raise DataError(f"{path}: class folders {both}: rename one")


def _refuse_empty_splits(path: Path, places: list[Place | None], folders: list[Folder]) -> None:
    filled = {split for split, _ in filter(None, places)}
    for top in sorted({folder[0] for folder in folders if folder}):
        if SPLITS.get(top.lower(), "train") not in filled:
            raise DataError(f"{path}: folder {top!r} holds no pictures in class folders: fill or remove it")


def _listings(
    tree: Tree, classes: tuple[str, ...], places: list[Place | None], head_of: Integers
) -> dict[str, Listing]:
    """Returns the splits, each sorted by name; pictures outside the class folders become ignored."""
    order = tree.names.order()
    label_of = {name: label for label, name in enumerate(classes)}
    heads = head_of[order]
    labels = np.array([label_of[place[1]] if place else -1 for place in places], dtype=np.int64)[heads]
    splits = np.array([place[0] if place else "" for place in places])[heads]
    for row in order[labels < 0]:
        path = tree.names[row].decode("utf-8", "replace")
        tree.left_out.append(LeftOut(path=path, cause="outside", reason="in no class folder"))
    return {
        split: Listing(labels[splits == split], order[splits == split], tree.names, tree.fetch)
        for split in ("train", "val", "test")
        if (splits == split).any()
    }
