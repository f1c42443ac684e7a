"""What an audit finds wrong with a collection of pictures, and what that costs."""

from typing import Literal

import msgspec

from alexnet.records.duplicates import Duplicates, Member, Pair
from alexnet.records.record import Count, Finite, Fraction, Quarantined, Record

Oddity = Literal["one colour", "dark", "bright", "blurred", "tiny", "odd shape"]
"""What makes it doubtful whether a picture shows its class."""


class Odd(Record, frozen=True, kw_only=True):
    """A picture that may show nothing, the figure that says so, and the threshold that the figure crosses."""

    picture: Member
    oddity: Oddity
    figure: Finite
    threshold: Finite


class Suspect(Record, frozen=True, kw_only=True):
    """A picture that heads fitted without it take for another class: its label may be wrong.

    Suspects are sorted by the logarithm of the ratio of both probabilities.
    """

    picture: Member
    suggested: str
    own_probability: Fraction  # of the class that it is labelled as
    suggested_probability: Fraction


class ClassPair(Record, frozen=True, kw_only=True):
    """Two classes that may be one.

    `mixed_up` is the share of their pictures that heads take for the wrong one of the two, of those taken for either;
    None where it is their names that are alike.
    """

    first: str
    second: str
    mixed_up: Fraction | None = None


class Price(Record, frozen=True, kw_only=True):
    """What findings cost: the error of heads fitted with them and without, on the same pictures.

    `difference` is the error without them less the error with them, above 0 where they make the error look too small;
    `low` and `high` are its 95 % interval, paired by pictures.
    """

    findings: Literal["leaks", "suspects"]
    left_out: Count  # pictures that the second head was not fitted to
    pictures: Count  # on which both are measured
    error_with: Fraction
    error_without: Fraction
    difference: Finite
    low: Finite
    high: Finite


class Audit(Record, frozen=True, kw_only=True):
    """What is wrong with a collection of pictures.

    Leaks are pairs across splits; `two_labels` and `repeated` are the pairs inside a split, of two classes and of one.
    `counts` has the pictures of each class. The heads' error is None where there is one class.
    """

    source: str
    network: str
    pictures: Count
    counts: dict[str, Count]
    duplicates: Duplicates
    suspects: tuple[Suspect, ...]
    odd: tuple[Odd, ...]
    unreadable: tuple[Quarantined, ...]
    alike: tuple[ClassPair, ...]
    prices: tuple[Price, ...]
    head_error: Fraction | None = None  # of heads fitted without the picture
    page: str = ""

    @property
    def leaks(self) -> tuple[Pair, ...]:
        """Pairs across splits."""
        return tuple(pair for pair in self.duplicates.pairs if pair.is_across)

    @property
    def two_labels(self) -> tuple[Pair, ...]:
        """Pairs of two classes inside a split."""
        return tuple(pair for pair in self.duplicates.pairs if pair.has_two_labels and not pair.is_across)

    @property
    def repeated(self) -> tuple[Pair, ...]:
        """Pairs of one class inside a split."""
        return tuple(pair for pair in self.duplicates.pairs if not pair.has_two_labels and not pair.is_across)

    @property
    def imbalance(self) -> float:
        """How many times as many pictures the largest class has as the smallest."""
        return max(self.counts.values()) / max(1, min(self.counts.values()))

    @property
    def exit_code(self) -> int:
        """1 where something is wrong for certain; suspects and classes that look alike are opinions of a head."""
        return int(bool(self.duplicates.pairs or self.odd or self.unreadable))


class Excluded(msgspec.Struct, frozen=True):
    """A row of a table of pictures to leave out: the path in the source, and why."""

    path: str
    reason: str
