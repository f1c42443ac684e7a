"""The folders of a tree as nodes that know how many pictures they hold."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from alexnet.data.splits import split_of

Folder = tuple[str, ...]
"""The parts of a path below the root; () is the root."""

# Folders around the pictures of one class or split, which say nothing of them.
_NEUTRAL = frozenset(
    {"images", "image", "imgs", "img", "pictures", "pics", "photos", "photo", "jpg", "jpeg", "jpegs", "jpegimages"}
    | {"png", "pngs", "rgb", "data", "raw", "files", "frames", "original", "originals"}
)


@dataclass(eq=False)
class Node:
    """A folder: `own` is the number of pictures right in it, `whole` that of all below it too."""

    path: Folder
    children: dict[str, "Node"] = field(default_factory=dict)
    own: int = 0
    whole: int = 0

    @property
    def name(self) -> str:
        """The folder's own name; "" of the root."""
        return self.path[-1] if self.path else ""

    @property
    def filled(self) -> dict[str, "Node"]:
        """The folders right in it that hold pictures at any depth, by name."""
        return {name: child for name, child in self.children.items() if child.whole}

    @property
    def is_flat(self) -> bool:
        """Whether its pictures lie in no folders but those that say nothing, such as `images`."""
        return all(name.lower() in _NEUTRAL and child.is_flat for name, child in self.filled.items())

    def at(self, path: Folder) -> "Node":
        """Returns the folder at a path below this one."""
        node = self
        for name in path:
            node = node.children[name]
        return node

    def below(self) -> Iterator["Node"]:
        """Yields this folder and all below it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children.values()

    def unwrapped(self, classes: frozenset[str] = frozenset()) -> "Node":
        """Returns the folder inside single folders around everything, as archives often have them.

        A folder with the name of a split or of one of the `classes` is no wrapping.
        """
        node = self
        while inner := node._only(classes):
            node = inner
        return node

    def _only(self, classes: frozenset[str]) -> "Node | None":
        filled = self.filled
        if len(filled) != 1:
            return None
        ((name, child),) = filled.items()
        spelt = split_of(name)
        few = len(child.filled)
        has_splits = "train" in child.splits()
        if (spelt and spelt.spelling == "exact" and not self.path) or name in classes or child.is_flat:
            return None
        if self.own >= few or child.own >= few or (len(self.children) > 1 and not has_splits):
            return None
        return child

    def splits(self, spelling: str = "exact") -> dict[str, list["Node"]]:
        """Returns the filled folders right in it that are spelt like splits, by split."""
        grouped: dict[str, list[Node]] = {}
        for name, child in self.filled.items():
            spelt = split_of(name)
            if spelt and spelt.spelling == spelling:
                grouped.setdefault(spelt.split, []).append(child)
        return grouped


def grown(pictures: Mapping[Folder, int], folders: Iterable[Folder]) -> Node:
    """Returns the root of a tree of the numbers of pictures right in each folder, and of folders that may be empty."""
    root = Node(())
    for folder, count in [*pictures.items(), *((folder, 0) for folder in folders)]:
        node = root
        node.whole += count
        for depth, name in enumerate(folder, start=1):
            node = node.children.setdefault(name, Node(folder[:depth]))
            node.whole += count
        node.own += count
    return root
