"""Patterns of folders and files that a user leaves out of a source, and tables of them."""

import csv
import glob
from collections import Counter
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from alexnet.errors import UsageError
from alexnet.records import LeftOut

PATH = "path"
"""The column of a table that names the files."""

_WILD = frozenset("*?[")


def patterns_in(given: Iterable[str]) -> Iterator[str]:
    """Yields patterns, and for one that names a CSV file a pattern for each path in its column `path`.

    Raises:
        UsageError: A file has no such column, or is no CSV in UTF-8.
    """
    for pattern in given:
        path = Path(pattern).expanduser()
        if path.suffix.lower() != ".csv" or not path.is_file():
            yield pattern
            continue
        yield from (glob.escape(excluded) for (excluded,) in columns(path, PATH))


def columns(table: Path, *names: str) -> Iterator[tuple[str, ...]]:
    """Yields the values of some columns of a CSV file, row by row, of rows that have them all.

    Raises:
        UsageError: The file has no such column, or is no CSV in UTF-8.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            for name in names:
                if name not in (rows.fieldnames or ()):
                    raise UsageError(f"{table} has no column `{name}`: give a table as alexnet audit writes it")
            yield from (values for row in rows if all(values := tuple(row[name] for name in names)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{table} is no table of paths ({error}): give CSV in UTF-8") from error


class Exclusion:
    """What some patterns leave out.

    A pattern without a slash, such as `masks` or `*_old.jpg`, is compared with the name of every folder and file; one
    with slashes, such as `train/masks` or `*/raw`, with paths below the root. `*` stands for any characters.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        stripped = [pattern.strip("/") for pattern in patterns]
        # Thousands of plain paths, as an audit lists, are looked up and not compared one by one.
        self._paths = {pattern for pattern in stripped if "/" in pattern and not _WILD.intersection(pattern)}
        self._patterns = tuple(pattern for pattern in stripped if pattern not in self._paths)
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
        matches = (fnmatchcase(path if "/" in pattern else name, pattern) for pattern in self._patterns)
        return path in self._paths or any(matches)
