"""What a tree of folders means: the one place that tells splits, classes and what belongs to neither."""

import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple
from unicodedata import normalize

from alexnet.data.leaving import PICTURES
from alexnet.data.levels import ALL, Level, copies, levels_of, repeated
from alexnet.data.nodes import Folder, Node, grown
from alexnet.data.scan import as_text
from alexnet.data.splits import split_of
from alexnet.errors import DataError
from alexnet.records import Cause, LeftOut


class Place(NamedTuple):
    """The split and the class of a picture."""

    split: str
    name: str


class Lost(NamedTuple):
    """Why the pictures of a folder have no class; where they are left out together, the path of the folder around."""

    cause: Cause
    reason: str
    around: Folder | None = None


@dataclass(frozen=True)
class Layout:
    """What a tree means."""

    places: Mapping[Folder, Place | Lost]  # of every folder with pictures right in it
    classes: tuple[str, ...]  # sorted
    text: str  # in words
    notes: tuple[str, ...]
    flat: tuple[Level, ...]  # splits whose pictures lie in no class folders
    roots: frozenset[Folder]  # in which the class folders lie
    has_splits: bool


def understand(
    path: str,
    pictures: Mapping[Folder, int],
    folders: Iterable[Folder],
    left_out: Sequence[LeftOut],
    is_measured: bool = False,
) -> Layout:
    """Returns what a tree means.

    Args:
        path: Where the tree is, for messages.
        pictures: The number of pictures right in each folder that has any.
        folders: All folders, empty ones too.
        left_out: What was left out of the tree before.
        is_measured: Whether a network is only measured on the pictures, so that one class will do.

    Raises:
        DataError: The tree cannot serve: its folders can be understood in several ways, or a class has no pictures.
    """
    root = grown(pictures, folders)
    levels = levels_of(path, root, is_measured)
    has_splits = levels[0].split != ALL
    train = [level for level in levels if level.split in (ALL, "train")]
    places = _spelt_as_in_train(_places(levels, pictures))
    classes = tuple(sorted({name for split, name in _filled(places) if split == "train" or is_measured}))
    flat = tuple(level for level in levels if level.split in ("val", "test") and _is_unlabelled(level, classes))
    for level in flat:
        lost = Lost("unlabelled", f"in no class folders of {level.top.name}", level.top.path)
        places |= {node.path: lost for node in level.top.below() if node.path in places}
    roots = frozenset(level.node.path for level in levels if level.class_name is None)
    _refuse_dead_links(path, roots, has_splits, left_out)
    if not is_measured:
        _refuse_empty(path, root, levels, left_out)
        for level in train:
            _refuse_repeated(path, level)
    check_classes(path, classes, _filled(places), is_measured)
    return Layout(places, classes, _words(levels, flat), alike(classes), flat, roots, has_splits)


def _places(levels: Sequence[Level], pictures: Iterable[Folder]) -> dict[Folder, Place | Lost]:
    """Returns the place of every folder with pictures."""
    places: dict[Folder, Place | Lost] = {}
    for level in levels:
        split = "train" if level.split == ALL else level.split
        for name, child in level.classes().items():
            places |= {node.path: Place(split, name) for node in child.below()}
        for copy in copies(level):
            lost = Lost("copy", "holds the folders of the tree around it once more: a copy", copy.path)
            places |= {node.path: lost for node in copy.below()}
    tops = {level.top.path for level in levels}
    return {folder: places.get(folder) or _outside(folder, tops) for folder in pictures}


def _outside(folder: Folder, tops: set[Folder]) -> Lost:
    """Returns how pictures in no class folder are lost: one by one, or together with a folder beside the splits."""
    beside = {top[:-1] for top in tops if top}
    for end in range(1, len(folder) + 1):
        around = folder[:end]
        if around[:-1] in beside and not any(top[:end] == around for top in tops):
            return Lost("outside", "beside the folders that are read", around)
    return Lost("outside", "in no class folder")


def _filled(places: Mapping[Folder, Place | Lost]) -> set[Place]:
    return {place for place in places.values() if isinstance(place, Place)}


def _spelt_as_in_train(places: dict[Folder, Place | Lost]) -> dict[Folder, Place | Lost]:
    """Spells the classes of the other splits as in train, since systems differ in how they encode accents."""
    spelt = {normalize("NFC", name): name for split, name in _filled(places) if split == "train"}

    def respelt(place: Place) -> Place:
        return (
            place
            if place.split == "train"
            else place._replace(name=spelt.get(normalize("NFC", place.name), place.name))
        )

    return {folder: respelt(place) if isinstance(place, Place) else place for folder, place in places.items()}


def _is_unlabelled(level: Level, classes: tuple[str, ...]) -> bool:
    """Returns whether the pictures of a split lie in no class folders, or all in one that is no class, as test/test."""
    names = list(level.classes())
    is_other = len(names) == 1 and names[0] not in classes and not get_close_matches(names[0], classes, 1)
    return not names or (level.split == "test" and is_other and len(classes) > 1)


def _refuse_dead_links(path: str, roots: frozenset[Folder], has_splits: bool, left_out: Sequence[LeftOut]) -> None:
    """Raises where a link leads nowhere that stands in the place of a class folder or of a split."""

    def is_folder(entry: LeftOut) -> bool:
        *parent, name = entry.path.split("/")
        is_split = has_splits and split_of(name) is not None and len(parent) < max(map(len, roots), default=0)
        return (tuple(parent) in roots or is_split) and posixpath.splitext(name)[1].lower() not in PICTURES

    if dead := [entry for entry in left_out if entry.cause == "link" and is_folder(entry)]:
        several = f"{len(dead):,} links lead" if len(dead) > 1 else "a link leads"
        named = "; ".join(f"{entry.path} is {entry.reason}" for entry in dead[:3])
        remedy = f"mount what they point to, or leave them out: `exclude={dead[0].path}`"
        raise DataError(f"{path}: where class folders lie, {several} nowhere: {named}: {remedy}")


def _refuse_empty(path: str, root: Node, levels: Sequence[Level], left_out: Sequence[LeftOut]) -> None:
    """Raises for a class folder of the training pictures, or the folder of a split, that holds no pictures."""
    if not any(level.classes() for level in levels):
        return
    for level in levels:
        if level.split == "train" and not level.classes():
            raise DataError(f"{path}: folder {level.top.name!r} holds no pictures in class folders: fill or remove it")
        for name, child in level.node.children.items() if level.split in (ALL, "train") else ():
            if not child.whole and level.class_name is None and name not in level.others:
                within = _within(child.path, left_out)
                raise DataError(f"{path}: class folder {as_text(name)!r} holds no pictures{within}: fill or remove it")
        for name, child in root.at(level.top.path[:-1]).children.items() if level.split != ALL else ():
            if not child.whole and (spelt := split_of(name)) and spelt.spelling == "exact":
                raise DataError(f"{path}: folder {name!r} holds no pictures in class folders: fill or remove it")


def _within(folder: Folder, left_out: Sequence[LeftOut]) -> str:
    """Returns what was left out of a folder, in brackets."""
    below = [entry for entry in left_out if entry.path.startswith("/".join(folder) + "/")]
    more = [f"{len(below) - 3:,} more"] * (len(below) > 3)
    return f" ({'; '.join([f'{each.path}: {each.reason}' for each in below[:3]] + more)})" if below else ""


def _refuse_repeated(path: str, level: Level) -> None:
    if again := repeated(level):
        names, shared = ([*map(repr, each[:3]), *["..."] * (len(each) > 3)] for each in again)
        raise DataError(
            f"{path}: folders {', '.join(names)} hold the same folders ({', '.join(shared)}): they are hardly classes; "
            "call them train, val or test, give one of them as the source, or a table of `labels`"
        )


def check_classes(path: str, classes: tuple[str, ...], filled: set[Place], is_measured: bool) -> None:
    """Checks what all pictures are.

    Raises:
        DataError: There are too few classes, some cannot be told apart, or train does not have one of another split.
    """
    if not filled:
        raise DataError(f"{path}: the pictures lie in no class folder: make one folder a class, or give `labels`")
    if "" in classes:
        raise DataError(f"{path}: a class folder has no name, as in absolute paths: pack it again with relative ones")
    first: dict[str, str] = {}
    for name in classes:
        other = first.setdefault(normalize("NFC", as_text(name)), name)
        if other != name:
            both = f"{os.fsencode(other)!r} and {os.fsencode(name)!r} are both printed {as_text(name)!r}"
            raise DataError(f"{path}: class folders {both}: rename one")
    for split, name in sorted(filled):
        if name not in classes:
            near = [as_text(each) for each in get_close_matches(name, classes, 1)]
            hint = f"did you mean {near[0]!r}?" if near else "rename it, add it to train, or leave it out by `exclude`"
            raise DataError(f"{path}: class {as_text(name)!r} of {split} is unknown to train: {hint}")
    if len(classes) == 1 and not is_measured:
        raise DataError(f"{path} has one class only ({as_text(classes[0])!r}): add a folder for another")


def alike(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Returns a sentence for each group of classes that differ in case, blanks or Unicode form only."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault("".join(normalize("NFKC", as_text(name)).casefold().split()), []).append(repr(as_text(name)))
    alike = "are alike but for case, blanks or Unicode form: to join them, put their pictures into one folder"
    return tuple(f"classes {' and '.join(names)} {alike}" for names in groups.values() if len(names) > 1)


def _words(levels: Sequence[Level], flat: Sequence[Level]) -> str:
    if levels[0].split == ALL:
        return "a folder for each class, without splits"
    if levels[0].class_name is not None:
        return "a folder for each class, with folders of the splits in it"
    tops: dict[str, list[str]] = {}
    for level in levels:
        if level not in flat:
            tops.setdefault(level.split, []).append(f"{as_text('/'.join(level.top.path)) or '.'}/")
    return "; ".join(f"{split} in {' and '.join(names)}" for split, names in tops.items()) + "; a folder for each class"
