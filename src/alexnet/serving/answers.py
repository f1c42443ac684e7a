"""What the service answers, as JSON has it."""

import msgspec

from alexnet.records import Count, Fraction, Record


class Error(Record, frozen=True, kw_only=True):
    """The top-1 error of a network, with its 95 % interval, over `pictures` pictures of a split."""

    top1: Fraction
    low: Fraction
    high: Fraction
    split: str
    pictures: Count


class Card(Record, frozen=True, kw_only=True):
    """A network that is served; `classes` are in words, `weights` is the SHA-256 of its file."""

    name: str
    variant: str
    classes: tuple[str, ...]
    input_size: int
    weights: str
    views: tuple[int, ...] = (1, 10)
    error: Error | None
    layers: tuple[str, ...]
    has_index: bool
    takes_corrections: bool


class Named(Record, frozen=True, kw_only=True):
    """A class ("class" in JSON), what people call it, and its probability."""

    class_name: str = msgspec.field(name="class")
    label: str
    probability: Fraction


class Answer(Record, frozen=True, kw_only=True):
    """What is on a picture, the most probable class first.

    `calibrated` is the fraction of test pictures that the network named rightly when it was as sure of its first guess
    as here; None where it was not measured. `unsure` says that this, or else the probability, is below one half.
    """

    name: str
    guesses: tuple[Named, ...]
    calibrated: Fraction | None
    unsure: bool


class Unread(Record, frozen=True, kw_only=True):
    """A picture that cannot be read, and why."""

    name: str
    error: str


class Answers(Record, frozen=True, kw_only=True):
    """What is on the pictures of a request; names and hashes of averaged networks are joined by commas."""

    model: str
    weights: str
    views: int
    error: Error | None  # None for averaged networks too
    pictures: tuple[Answer | Unread, ...]


class Map(Record, frozen=True, kw_only=True):
    """Where a network looks for a class: the picture with its map, and what checks say of the map."""

    class_name: str = msgspec.field(name="class")
    label: str
    method: str
    map: str  # data URL of a PNG
    passed: bool
    failure: str | None
    scores: dict[str, float]


class IndexedPicture(Record, frozen=True, kw_only=True):
    """A picture of the index, and how far its features are."""

    picture: str
    class_name: str = msgspec.field(name="class")
    label: str
    distance: float
    thumbnail: str | None  # data URL


class Neighbours(Record, frozen=True, kw_only=True):
    """The pictures of the index that are most alike, the nearest first."""

    neighbours: tuple[IndexedPicture, ...]


class Activations(Record, frozen=True, kw_only=True):
    """The maps of a layer: one picture a tower, its channels side by side in so many columns, all on one scale."""

    layer: str
    shape: tuple[int, ...]  # (C, H, W)
    towers: tuple[str, ...]  # data URLs of PNGs
    columns: int


class Kept(Record, frozen=True, kw_only=True):
    """A picture that was kept with its right class, and under which name."""

    picture: str
    class_name: str = msgspec.field(name="class")
