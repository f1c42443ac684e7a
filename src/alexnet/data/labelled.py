"""Pictures whose labels stand in tables: one that a user names, `metadata.csv`, or the annotations of a flat split."""

import os
import posixpath
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from alexnet.data.layout import Lost, Place, alike, check_classes
from alexnet.data.levels import Level
from alexnet.data.listing import TAR_ERRORS, Integers
from alexnet.data.scan import Tree, as_text
from alexnet.data.splits import split_of
from alexnet.data.tables import LARGEST, NoColumns, Row, read_table
from alexnet.data.zips import ERRORS, METHODS, UNREAD
from alexnet.errors import DataError
from alexnet.records import LeftOut

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Hugging Face's `imagefolder` keeps labels in files of these names, with paths from where they lie."""

_TABLES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Assignment:
    """What all pictures of a tree are: `place_of` (N,) has the position in `places` for each of the chosen rows."""

    places: list[Place | Lost]
    place_of: Integers
    classes: tuple[str, ...]
    text: str  # the layout in words
    notes: tuple[str, ...]
    has_splits: bool
    fingerprint: str = ""  # of the tables that were read


@dataclass(frozen=True)
class Table:
    """A table: its name for messages, the folder in the source that its paths start from, and its content."""

    name: str
    base: str
    content: bytes


def named_table(source: Path, labels: str) -> Table:
    """Reads the table that a user names.

    Raises:
        DataError: It cannot be read.
    """
    path = Path(labels)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise DataError(f"the table {labels} cannot be read ({error.strerror}): give its path by `labels`") from error
    folder = path.resolve().parent
    base = folder.relative_to(source.resolve()).as_posix() if folder.is_relative_to(source.resolve()) else "."
    return Table(path.name, base, content)


def metadata(source: Path, tree: Tree) -> list[Table]:
    """Returns the files of metadata in a source that have labels."""
    names = [entry.path for entry in tree.left_out if posixpath.basename(entry.path) in METADATA]
    tables = [Table(name, posixpath.dirname(name) or ".", content_of(source, name)) for name in names]
    return [table for table in tables if _has_labels(table)]


def _has_labels(table: Table) -> bool:
    try:
        return next(read_table(table.name, table.content), None) is not None
    except NoColumns:  # captions or boxes: the folders are the labels then
        return False


def content_of(source: Path, name: str) -> bytes:
    """Returns the content of a file of a source, or enough to be refused; raises DataError where it cannot be read."""
    try:
        if source.is_dir():
            with (source / name).open("rb") as file:
                return file.read(LARGEST + 1)
        if not zipfile.is_zipfile(source):
            with tarfile.open(source, "r:") as tar:
                entry = next((member for member in tar if posixpath.normpath(member.name) == name), None)
                opened = tar.extractfile(entry) if entry else None
                return opened.read(LARGEST + 1) if opened else b""
        with zipfile.ZipFile(source) as archive:
            entries = ((posixpath.normpath(each.filename.replace("\\", "/")), each) for each in archive.infolist())
            member = next(entry for path, entry in entries if path == name)
            if member.compress_type not in METHODS:
                raise DataError(f"{name} in {source} is {UNREAD}")
            with archive.open(member) as file:
                return file.read(LARGEST + 1)
    except (*TAR_ERRORS, *ERRORS) as error:
        raise DataError(f"{name} in {source} cannot be read ({error}): fetch it again") from error


class Finder:
    """Finds pictures by the paths that tables give: whole paths, then names, then names without their endings."""

    def __init__(self, names: Iterable[tuple[int, str]]) -> None:
        self._paths: dict[str, int] = {}
        self._names: dict[str, int] = {}
        for position, path in names:
            self._paths[path] = position
            name = posixpath.basename(path)
            for short in {name, posixpath.splitext(name)[0]}:
                self._names[short] = -1 if short in self._names else position

    def find(self, path: str, base: str) -> int | None:
        """Returns the position of the picture that a path below `base` stands for, None where it is not one picture."""
        path = path.replace("\\", "/")
        for each in (posixpath.join(base, path), path, posixpath.join(base, "images", path)):
            if (position := self._paths.get(posixpath.normpath(each).lstrip("/"))) is not None:
                return position
        position = self._names.get(posixpath.basename(path), -1)
        return None if position < 0 else position


def by_tables(path: Path, tree: Tree, rows: Integers, tables: Sequence[Table], is_measured: bool) -> Assignment:
    """Returns what the pictures are by tables of labels.

    Raises:
        DataError: The tables name none of the pictures, or one with two labels, or the classes cannot serve.
    """
    names = [as_text(os.fsdecode(tree.names[row])) for row in rows.tolist()]
    finder, title = Finder(enumerate(names)), " and ".join(table.name for table in tables)
    places: list[Place | Lost] = [Lost("outside", f"not in {title}"), Lost("unlabelled", f"without a label in {title}")]
    positions: dict[Place | Lost, int] = {place: i for i, place in enumerate(places)}
    place_of, missing = np.zeros(len(rows), np.int64), list[LeftOut]()
    for table in tables:
        for row in read_table(table.name, table.content):
            position = finder.find(row.path, table.base)
            if position is None:
                missing.append(
                    LeftOut(path=row.path or "(empty)", cause="missing", reason=f"named in {table.name} only")
                )
                continue
            place = _place(table, row, names[position])
            number = positions.setdefault(place, len(positions))
            places += [place] if number == len(places) else []
            if place_of[position] not in (0, number):
                raise DataError(f"{table.name} gives {names[position]} two labels or splits: leave one of them")
            place_of[position] = number
    filled = {place for place in places if isinstance(place, Place)}
    if not filled:
        raise DataError(f"{title} names none of the pictures in {path}: its paths start from there, or from the table")
    tree.left_out += missing
    splits = {place.split for place in filled}
    classes = tuple(sorted({place.name for place in filled if place.split == "train" or is_measured}))
    check_classes(str(path), classes, filled, is_measured)
    text = f"labels{' and splits' * (len(splits) > 1)} from {title}"
    digest = blake2b(b"\0".join(table.content for table in tables), digest_size=16).hexdigest()
    return Assignment(places, place_of, classes, text, alike(classes), len(splits) > 1, f"labels {digest}\n")


def _place(table: Table, row: Row, name: str) -> Place | Lost:
    if not row.label:
        return Lost("unlabelled", f"without a label in {table.name}")
    if row.split:
        spelt = split_of(row.split)
        if spelt is None:
            raise DataError(f"{table.name}: split {row.split!r} is none of train, val and test: rename it")
        return Place(spelt.split, row.label)
    for folder in name.split("/")[:-1]:
        if (spelt := split_of(folder)) and spelt.spelling == "exact":
            return Place(spelt.split, row.label)
    return Place("train", row.label)


def with_annotations(
    path: Path, tree: Tree, rows: Integers, assignment: Assignment, flat: Sequence[Level]
) -> Assignment:
    """Labels the pictures of flat splits by the annotations beside them, as Tiny ImageNet has `val_annotations.txt`.

    Raises:
        DataError: The pictures of a flat validation split have no labels.
    """
    for level in flat:
        around = "/".join(level.top.path) + "/"
        names = [as_text(os.fsdecode(tree.names[row])) for row in rows.tolist()]
        finder = Finder((i, name) for i, name in enumerate(names) if name.startswith(around))
        count = sum(name.startswith(around) for name in names)
        for table in _beside(path, tree, level):
            labels = dict(_annotated(table, finder, assignment.classes))
            if 2 * len(labels) > count:
                assignment = _labelled(assignment, level.split, labels, table)
                break
        else:
            if level.split != "test":
                advice = "give a table of `labels`, or leave it out by `exclude`"
                where = as_text("/".join(level.top.path))
                raise DataError(f"{path}: folder {where!r} holds no pictures in class folders: {advice}")
    return assignment


def _beside(path: Path, tree: Tree, level: Level) -> Iterator[Table]:
    """Yields the tables in the folder of a flat split, and those beside it that are called like it."""
    folder, above = "/".join(level.top.path), "/".join(level.top.path[:-1])
    for entry in tree.left_out:
        base, name = posixpath.split(entry.path)
        is_called_so = base == above and name.lower().startswith((level.split, level.top.name.lower()))
        if name.lower().endswith(_TABLES) and entry.cause == "kind" and (base == folder or is_called_so):
            yield Table(entry.path, folder, content_of(path, entry.path))


def _annotated(table: Table, finder: Finder, classes: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yields the positions and classes of the pictures that a table names; nothing of a file that is no such table."""
    names = set(classes)
    try:
        for row in read_table(table.name, table.content):
            position = finder.find(row.path, table.base)
            if position is not None and row.label in names:
                yield position, row.label
    except DataError:
        return


def _labelled(assignment: Assignment, split: str, labels: dict[int, str], table: Table) -> Assignment:
    names = sorted(set(labels.values()))
    numbers = {name: len(assignment.places) + i for i, name in enumerate(names)}
    place_of = assignment.place_of.copy()
    place_of[list(labels)] = [numbers[name] for name in labels.values()]
    return replace(
        assignment,
        places=[*assignment.places, *(Place(split, name) for name in names)],
        place_of=place_of,
        text=f"{assignment.text}; labels of {split} from {table.name}",
        fingerprint=f"{assignment.fingerprint}{table.name} {blake2b(table.content, digest_size=16).hexdigest()}\n",
    )
