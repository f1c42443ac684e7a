"""A class-per-folder tree, in a folder or in a tar file that is read without unpacking.

    tree -> names of all pictures -> their first folders ("heads") -> split and class of each head

All decisions are made on the few heads; the pictures themselves are only counted into arrays.
"""

import os
import posixpath
import stat
import tarfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import blake2b
from pathlib import Path
from unicodedata import normalize

import numpy as np

from alexnet.data.listing import TAR_ERRORS, Integers, Listing, Names, Source, Spans, hold_out, stamp
from alexnet.errors import DataError

# The lower-case name of a folder -> the split in it.
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

# The endings of picture names; every other file is ignored and listed. The decoder refuses the last four, so that each
# such picture is named and none is left out in silence.
PICTURES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
    | {".heic", ".heif", ".avif", ".jxl"}
)

LONGEST_NAME = 4096  # bytes in a tar file, as of a path; names are sorted in a column as wide as the longest
_HIDDEN = frozenset({"__MACOSX", "@eaDir"})

Folder = tuple[str, ...]  # the parts of a path
Place = tuple[str, str]  # split, class


@dataclass
class Tree:
    """The paths in a folder or a tar file, before splits and classes are told apart."""

    fetch: Callable[[int], bytes]
    names: Names = field(default_factory=Names)
    folders: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)  # all that is hidden or no picture; a hidden folder counts once
    fingerprint: str = ""


def open_tree(path: Path, seed: int) -> Source:
    """Reads the names in a class-per-folder tree, a folder or an uncompressed tar file; errors as in `open_source`."""
    kind, tree = ("folder", _scan_folder(path)) if path.is_dir() else ("tar", _scan_tar(path))
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
    return Source(
        name=_printable(path.resolve().stem if kind == "tar" else path.resolve().name),
        kind=kind,
        classes=tuple(map(_printable, classes)),
        splits=splits if has_splits else hold_out(splits["train"], classes, seed),
        fingerprint=tree.fingerprint if has_splits else f"{tree.fingerprint} seed {seed}",
        path=path.resolve(),
        is_split_drawn=not has_splits,
        ignored=tree.ignored,
    )


def tar_members(path: Path, start: int = 0) -> Iterator[tarfile.TarInfo]:
    """Yields the members of a tar file without keeping them, and refuses one that is compressed, damaged or truncated.

    It may begin at any byte, `start`, of the file at `path`; `offset_data` counts from the start of that file.
    """
    with path.open("rb") as file:
        file.seek(start)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # it keeps every member otherwise
                    _refuse_forged(member, tar.offset)
                    yield member
        except TAR_ERRORS as error:
            if isinstance(error, OSError) and error.errno:
                raise DataError(f"{path} cannot be read ({error.strerror}): see to its disk and try again") from error
            reason = str(error) or type(error).__name__
            raise DataError(f"{path} is no plain tar ({reason}): uncompress it or fetch it again") from error
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile takes any rubbish as the end
            raise DataError(f"{path} is damaged or truncated at byte {tar.offset:,}: fetch it again")


def _refuse_forged(member: tarfile.TarInfo, end: int) -> None:
    """Raises for a member with which tarfile would read for ever, or fill the memory."""
    if not 0 <= member.size < 1 << 63 or end < member.offset_data:
        raise tarfile.ReadError(f"a member of impossible size at byte {member.offset:,}")
    if (length := len(os.fsencode(member.name))) > LONGEST_NAME:
        raise tarfile.ReadError(f"a name of {length:,} bytes, more than {LONGEST_NAME:,}, at byte {member.offset:,}")


def pictures_below(root: Path) -> list[Path]:
    """Returns the picture files in a folder and its subfolders that packing would find; hidden ones are left out."""
    names = _scan_folder(root).names
    return sorted(root / os.fsdecode(names[i]) for i in range(len(names)))


def _scan_folder(root: Path) -> Tree:
    tree = Tree(fetch=lambda row: Path(root, os.fsdecode(tree.names[row])).read_bytes())
    digest = blake2b(digest_size=16)
    for path, status in _walk(root, "", frozenset()):
        mode = status.st_mode if status and not _is_hidden(path) else 0
        if stat.S_ISDIR(mode):
            tree.folders.append(path)
        elif status and _is_picture(path) and stat.S_ISREG(mode):
            tree.names.append(os.fsencode(path))
            digest.update(os.fsencode(f"{path} {status.st_size} {status.st_mtime_ns}\n"))
        else:
            tree.ignored.append(_printable(path))
    tree.fingerprint = digest.hexdigest()
    return tree


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yields the path below the root and the status of everything, sorted by folder; a dead link has no status."""
    try:
        own = folder.stat()
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}): change its permissions") from error
    here = (own.st_dev, own.st_ino)
    for entry in ordered if here not in above else []:  # a link back to a folder above counts as an empty folder
        path, status = prefix + entry.name, None
        with suppress(OSError):
            status = entry.stat()
        yield path, status
        if status and stat.S_ISDIR(status.st_mode) and not _is_hidden(path):
            yield from _walk(Path(entry.path), f"{path}/", above | {here})


def _scan_tar(path: Path) -> Tree:
    spans = Spans(path)
    tree = Tree(spans.fetch, spans.names, fingerprint=stamp(path))
    for member in tar_members(path):
        name = posixpath.normpath(member.name)
        if member.isdir():
            tree.folders += [name] if name != "." and not _is_hidden(name) else []
        elif _is_picture(name) and not _is_hidden(name) and member.isreg() and not member.issparse():
            spans.append(name, member)
        else:
            tree.ignored.append(_printable(name))
    return tree


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") or part in _HIDDEN for part in path.split("/"))


def _is_picture(path: str) -> bool:
    return posixpath.splitext(path)[1].lower() in PICTURES


def _printable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


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
        raise DataError(f"{path} has {' and '.join(map(_printable, sorted(tops)))} but no train folder: add one")
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
        raise DataError(f"{path}: class folder {_printable(empty[0])!r} holds no pictures: fill or remove it")
    if not filled:
        raise DataError(f"{path}: the pictures lie in no class folder: make one folder a class")
    _refuse_unnamed(path, classes)
    for split, name in sorted(filled):
        if classes and name not in classes:
            near = [_printable(each) for each in get_close_matches(name, classes, 1)]
            hint = f"did you mean {near[0]!r}?" if near else "rename it, or add it to train"
            raise DataError(f"{path}: class {_printable(name)!r} of {split} is unknown to train: {hint}")
    if len(classes) == 1:
        raise DataError(f"{path} has one class only ({_printable(classes[0])!r}): add a folder for another")
    return classes


def _refuse_unnamed(path: Path, classes: tuple[str, ...]) -> None:
    if "" in classes:
        raise DataError(f"{path}: a class folder has no name, as in absolute paths: pack it again with relative ones")
    first: dict[str, str] = {}
    for name in classes:
        other = first.setdefault(normalize("NFC", _printable(name)), name)
        if other != name:
            both = f"{os.fsencode(other)!r} and {os.fsencode(name)!r} are both printed {_printable(name)!r}"
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
    tree.ignored += [tree.names[row].decode("utf-8", "replace") for row in order[labels < 0]]
    return {
        split: Listing(labels[splits == split], order[splits == split], tree.names, tree.fetch)
        for split in ("train", "val", "test")
        if (splits == split).any()
    }
