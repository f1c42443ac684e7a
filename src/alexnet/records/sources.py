"""What a source of pictures was understood to be, and what was left out of it."""

from typing import Annotated, Literal

from msgspec import Meta

from alexnet.records.record import Count, Fraction, Record

LISTED = 10_000
"""How many entries of what was left out are kept in files."""

Cause = Literal[
    "hidden", "bin", "excluded", "link", "special", "kind", "copy", "unlabelled", "outside", "missing", "size"
]
"""Why something was left out: it is hidden; a bin, snapshot or thumbnail of the system; left out by `exclude`; a dead
link; a pipe or device; no picture; a copy of the tree inside itself; without labels; in no class folder; named in a
table, but not there."""


class LeftOut(Record, frozen=True, kw_only=True):
    """A file or folder of a source that is no picture of a class, and why; `count` is how many files it stands for.

    The count of a hidden folder, of which nothing is read, is 1.
    """

    path: str  # in the source
    cause: Cause
    reason: str  # in a few words
    count: Annotated[int, Meta(ge=1)] = 1


class Selection(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What a user says about how a source is to be read."""

    exclude: tuple[str, ...] = ()  # patterns of paths that are left out
    labels: str | None = None  # the table of paths and labels, an absolute path


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
