"""Which folders of a tree hold the classes of which split."""

from collections import Counter
from dataclasses import dataclass

from alexnet.data.nodes import Node
from alexnet.data.splits import split_of
from alexnet.errors import DataError

ALL = "all"
"""The split of a tree that has none."""


@dataclass(frozen=True)
class Level:
    """A folder whose sub-folders are the classes of a split; with `class_name`, all of it is one class.

    `top` is the folder as its users call it, around `node`. The folders of the names in `others` are no classes.
    """

    split: str
    top: Node
    node: Node
    class_name: str | None = None
    others: frozenset[str] = frozenset()

    def classes(self) -> dict[str, Node]:
        """Returns the filled folders of the classes by their names; none where all pictures lie right in the split."""
        if self.class_name is not None:
            return {self.class_name: self.node}
        if self.node.is_flat and self.split != ALL:
            return {}
        return {name: child for name, child in self.node.filled.items() if name not in self.others}


def levels_of(path: str, root: Node, is_measured: bool = False) -> tuple[Level, ...]:
    """Returns where the classes of each split lie; a tree that `is_measured` needs no training pictures.

    Raises:
        DataError: Some folders hold splits and others do not, or there are splits but no train folder.
    """
    top = root.unwrapped()
    if groups := _groups(path, top, is_measured):
        return _split_first(groups)
    if _is_split_in_classes(top):
        return tuple(
            Level(split, node, node, name)
            for name, child in top.filled.items()
            for split, nodes in child.splits().items()
            for node in nodes
        )
    holding = [child for child in top.filled.values() if "train" in child.splits() and len(child.splits()) > 1]
    if len(holding) == 1 and 2 * holding[0].whole > top.whole:
        return levels_of(path, holding[0])
    if holding:
        names = " and ".join(repr(child.name) for child in holding[:2])
        raise DataError(f"{path}: beside other folders, {names} holds splits: give it as the source, or `exclude` it")
    return _implied(top) or (Level(ALL, top, top),)


def _groups(path: str, top: Node, is_measured: bool) -> dict[str, list[Node]]:
    """Returns the folders of each split right in a folder; empty where those in it are classes."""
    exact, affixed = top.splits(), top.splits("affixed")
    named = {child.name for nodes in exact.values() for child in nodes}
    others = [name for name in top.filled if name not in named]
    trains = exact.get("train", [])
    if exact and not trains and not others:
        if is_measured:
            return exact
        if empty := [name for name in top.children if (spelt := split_of(name)) and spelt.split == "train"]:
            raise DataError(f"{path}: folder {empty[0]!r} holds no pictures in class folders: fill or remove it")
        raise DataError(f"{path} has {' and '.join(sorted(top.filled))} but no train folder: add one")
    if trains and all(node.is_flat for node in trains):
        # "train" may be a class: its pictures lie right in it, and beside it lie other classes, such as "bus".
        return {} if len(exact) == 1 and len(others) > 1 and not affixed else exact
    if trains and len(exact) > 1:
        return exact
    merged = {split: exact.get(split, []) + affixed.get(split, []) for split in ("train", "val", "test")}
    merged = {split: nodes for split, nodes in merged.items() if nodes}
    train_classes = {name for node in merged.get("train", []) for name in node.unwrapped().filled}
    is_fit = all(
        node.unwrapped().is_flat == (split != "train")
        or train_classes & node.unwrapped(frozenset(train_classes)).filled.keys()
        for split, nodes in merged.items()
        for node in nodes
    )
    unnamed = len(top.filled) - sum(map(len, merged.values()))
    if "train" in merged and len(merged) > 1 and is_fit and unnamed <= len(merged):
        return merged
    return exact if trains else {}


def _split_first(groups: dict[str, list[Node]]) -> tuple[Level, ...]:
    for node in groups.get("train", []):  # `train` may be divided once more, into train and val
        inner = node.unwrapped().splits()
        if "train" in inner and len(inner) > 1 and not any(each.is_flat for each in inner["train"]):
            groups = {split: [each for each in nodes if each is not node] for split, nodes in groups.items()}
            for split, nodes in inner.items():
                groups[split] = groups.get(split, []) + nodes
    levels, classes = [], frozenset[str]()
    for split in ("train", "val", "test"):
        for node in groups.get(split, []):
            levels.append(Level(split, node, node.unwrapped(classes)))
        if split == "train":
            classes = frozenset(name for level in levels for name in level.classes())
    return tuple(levels)


def _is_split_in_classes(top: Node) -> bool:
    """Returns whether every folder holds nothing but flat splits, as in class/train and class/test."""
    tops = list(top.filled.values())
    inner = [child for node in tops for child in node.filled.values()]
    are_splits = all((spelt := split_of(child.name)) and spelt.spelling == "exact" for child in inner)
    has_train = all("train" in node.splits() for node in tops)
    return len(tops) > 1 and has_train and are_splits and all(child.is_flat for child in inner)


def _implied(top: Node) -> tuple[Level, ...]:
    """Returns the levels of class folders beside `val` or `test`: the class folders are then the training pictures."""
    spelt = {name: split_of(name) for name in top.filled}
    named = {name: each.split for name, each in spelt.items() if each and each.spelling == "exact"}
    classes = frozenset(top.filled) - named.keys()
    parts = []
    for name, split in named.items():
        node = top.filled[name].unwrapped(classes)
        if (split == "test" and node.is_flat and len(classes) > 1) or len(node.filled.keys() & classes) > 1:
            parts.append(Level(split, top.filled[name], node))
    splits = frozenset(level.top.name for level in parts)
    return (Level("train", top, top, others=splits), *parts) if parts else ()


def repeated(level: Level) -> tuple[list[str], list[str]] | None:
    """Returns folders that should be classes but hold the same sub-folders, and those; None where it is not so.

    What differs between them lies deeper then, so that they are splits, places or sizes rather than classes.
    """
    tops = {name: child for name, child in level.classes().items() if not child.own and not child.is_flat}
    counts = Counter(name for child in tops.values() for name in child.filled)
    shared = sorted(name for name, count in counts.items() if count > 1)
    if len(shared) < 2 or 2 * sum(counts[name] for name in shared) < counts.total():
        return None
    return sorted(name for name, child in tops.items() if child.filled.keys() & set(shared)), shared


def copies(level: Level) -> list[Node]:
    """Returns the folders inside classes that hold a copy of the whole level: the same folders once more."""
    classes = level.classes()
    if level.class_name is not None:
        return []
    nested = []
    for name, child in classes.items():
        waiting = [child]
        while waiting:
            node = waiting.pop()
            again = len(node.filled.keys() & classes.keys())
            if again >= 2 and 2 * again >= len(classes.keys() - {name}):
                nested.append(node)
            else:
                waiting += node.filled.values()
    return nested
