"""What a source of pictures was understood to be, and what was left out of it."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from alexnet.errors import printable
from alexnet.records.record import Count, Fraction, Record

LISTED = 10_000
"""How many entries of what was left out are kept in files."""

LISTED_IN_RUNS = 100
"""How many of them are kept in the description of a run, which every weight file carries."""

Cause = Literal["hidden", "bin", "excluded", "link", "special", "kind", "copy", "unlabelled", "outside", "missing"]
"""Why something was left out: it is hidden; a bin, snapshot or thumbnail of the system; left out by `exclude`; a dead
link; a pipe or device; no picture; a copy of the tree inside itself; without labels; in no class folder; named in a
table, but not there."""


_WORDS: dict[Cause, str] = {
    "hidden": "hidden",
    "bin": "bins, snapshots or thumbnails",
    "excluded": "by `exclude`",
    "link": "links that lead nowhere",
    "special": "pipes or devices",
    "kind": "no pictures",
    "copy": "copies of the tree",
    "unlabelled": "unlabelled",
    "outside": "in no class folder",
    "missing": "named in the table, but not there",
}


class LeftOut(Record, frozen=True, kw_only=True):
    """A file or folder of a source that is no picture of a class, and why; `count` is how many files it stands for.

    The count of a hidden folder, of which nothing is read, is 1.
    """

    path: str  # in the source
    cause: Cause
    reason: str  # in a few words
    count: Annotated[int, Meta(ge=1)] = 1


def left_out_lines(left_out: Sequence[LeftOut], most: int = 10) -> list[str]:
    """Returns a line for each of the first entries, and one that counts the others by their causes."""
    lines = []
    for entry in left_out[:most]:
        files = f" ({entry.count:,} files)" if entry.count > 1 else ""
        lines.append(printable(f"left out {entry.path}{files}: {entry.reason}"))
    causes: Counter[Cause] = Counter()
    for entry in left_out[most:]:
        causes[entry.cause] += entry.count
    rest = ", ".join(f"{count:,} {_WORDS[cause]}" for cause, count in causes.most_common())
    return [*lines, f"{'more ' * bool(lines)}left out: {rest}"] if rest else lines


class Selection(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What a user says about how a source is to be read."""

    exclude: tuple[str, ...] = ()  # patterns of paths that are left out
    labels: str | None = None  # the table of paths and labels, an absolute path
    groups: tuple[tuple[str, ...], ...] = ()  # paths of duplicates, which a held-out split does not divide


EVERYTHING = Selection()
"""All of a source, labelled by its folders."""


class Understanding(Record, frozen=True, kw_only=True):
    """What a source was understood to be, before any of its pictures is decoded."""

    source: str
    layout: str  # in words
    classes: tuple[str, ...]
    counts: dict[str, Count]  # pictures of each split; "train" includes what is held out
    held_out: Fraction | None = None  # share of every class that becomes "val", where the source has no such split
    notes: tuple[str, ...] = ()  # sentences on what a person should look at
    left_out: tuple[LeftOut, ...] = ()

    def lines(self) -> list[str]:
        """Returns what a person should read before the source is packed."""
        counts = ", ".join(f"{count:,} {split}" for split, count in self.counts.items())
        lines = [f"{self.source}: {self.layout}" if self.layout else self.source]
        lines.append(f"{len(self.classes):,} class{'es' * (len(self.classes) != 1)}; {counts}")
        if self.held_out is not None:
            lines[-1] += f", of which about {self.held_out:.0%} of every class is held out as val"
        return [*lines, *self.notes, *left_out_lines(self.left_out)]
