"""Pictures that a collection holds twice, as exact or as near duplicates."""

from typing import Literal

import msgspec

from alexnet.records.record import Count, Finite, Fraction, Record

Alignment = Literal[
    "same",
    "turned 90",
    "turned 180",
    "turned 270",
    "mirrored",
    "mirrored, turned 90",
    "mirrored, turned 180",
    "mirrored, turned 270",
]
"""What lays the second picture of a pair over the first: it is mirrored left to right, then turned anticlockwise."""


class Member(Record, frozen=True, kw_only=True):
    """A picture of a store."""

    split: str
    place: Count  # in the split
    name: str  # in the source
    class_name: str = msgspec.field(name="class")


class Pair(Record, frozen=True, kw_only=True):
    """Two pictures that are one: `exact` if their decoded pixels are the same, so that a lossless copy counts.

    `near` are the same picture saved again, resized, cropped, mirrored, turned or in other colours, and shots of one
    moment.
    """

    first: Member
    second: Member
    kind: Literal["exact", "near"]
    alignment: Alignment
    similarity: Finite  # cosine of the features, which proposed the pair or not
    agreement: Fraction  # correlation of the pixels once they are laid over each other, which verified the pair

    @property
    def is_across(self) -> bool:
        """Whether the pictures are of two splits: a leak."""
        return self.first.split != self.second.split

    @property
    def has_two_labels(self) -> bool:
        """Whether the pictures are of two classes."""
        return self.first.class_name != self.second.class_name


class Duplicates(Record, frozen=True, kw_only=True):
    """The duplicates of a store: pairs across splits first, then those of two labels, then the rest.

    A group is pictures that pairs connect, of two or more; every picture of a pair is in one group.
    """

    pairs: tuple[Pair, ...]
    groups: tuple[tuple[Member, ...], ...]
