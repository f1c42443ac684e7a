"""Patterns of folders and files that a user leaves out of a source."""

from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from alexnet.records import LeftOut


class Exclusion:
    """What some patterns leave out.

    A pattern without a slash, such as `masks` or `*_old.jpg`, is compared with the name of every folder and file; one
    with slashes, such as `train/masks` or `*/raw`, with paths below the root. `*` stands for any characters.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(pattern.strip("/") for pattern in patterns)
        self._folder = lru_cache(maxsize=1 << 16)(self._around)
        self._counts: Counter[str] = Counter()

    def leaves_out(self, path: str, count: int = 1) -> bool:
        """Returns whether a path is left out, and counts it with the highest folder around it that is."""
        folder, slash, name = path.rpartition("/")
        around = (self._folder(folder) if slash else None) or (path if self._matches(name, path) else None)
        if around is not None:
            self._counts[around] += count
        return around is not None

    def entries(self) -> list[LeftOut]:
        """Returns what was left out so far: the highest folders, with the numbers of files in them."""
        reason = "named by `exclude`"
        return [
            LeftOut(path=path, cause="excluded", reason=reason, count=max(count, 1))
            for path, count in sorted(self._counts.items())
        ]

    def _around(self, folder: str) -> str | None:
        above, slash, name = folder.rpartition("/")
        higher = self._folder(above) if slash else None
        return higher or (folder if self._matches(name, folder) else None)

    def _matches(self, name: str, path: str) -> bool:
        return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in self._patterns)
