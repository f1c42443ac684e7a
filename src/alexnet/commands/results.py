"""What the commands return, where the rooms below have no record for it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from alexnet.errors import printable
from alexnet.pages.markup import plural
from alexnet.records import (
    CompressionStep,
    Description,
    Doubtful,
    Evaluation,
    Excited,
    Explanation,
    Gain,
    LeftOut,
    Neighbour,
    Prediction,
    Quarantined,
    Record,
)

if TYPE_CHECKING:
    from alexnet.claims.experiment import Request
    from alexnet.claims.table import Claim, ClaimResult

NAMED = 10
"""How many of the pictures that were left out are named in words; records name them all."""


def left_out(quarantine: Sequence[Quarantined]) -> list[str]:
    """Returns lines on the first pictures that were left out, and on how many more there are."""
    lines = [printable(f"left out {bad.name}: {bad.reason}") for bad in quarantine[:NAMED]]
    lines += [f"left out {len(quarantine) - NAMED:,} more"] * (len(quarantine) > NAMED)
    if any(bad.was_unread for bad in quarantine):
        lines.append("what could not be read is tried again by alexnet pack SOURCE STORE")
    return lines


def doubtful(pictures: Sequence[Doubtful]) -> list[str]:
    """Returns a line for each doubt: how many pictures of a store may show nothing, and the first of them."""
    return [
        printable(f"{len(names):,} {'picture is' if len(names) == 1 else 'pictures are'} {words}, such as {names[0]}")
        for doubt, words in (("one colour", "of one colour"), ("nearly black", "nearly black"))
        if (names := [picture.name for picture in pictures if picture.doubt == doubt])
    ]


class Packed(Record, frozen=True, kw_only=True):
    """A packed store: its folder, classes, pictures of each split, and content hash.

    `layout` says how the source was understood, `notes` what a person should look at. `left_out` lists what is no
    picture of a class, `ignored` counts it; `quarantine` lists the pictures that could not be read, and `doubtful`
    those that were, but may show nothing.
    """

    store: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    ignored: int
    layout: str = ""
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    quarantine: tuple[Quarantined, ...]
    doubtful: tuple[Doubtful, ...] = ()
    hash: str


class Trained(Record, frozen=True, kw_only=True):
    """A run folder, with its errors if its training is complete; `source` is the data as the user names them.

    Of a fine-tuning, `gain` compares it with the head on frozen features that it started from.
    """

    run: str
    complete: bool
    evaluation: Evaluation | None = None
    gain: Gain | None = None
    source: str

    def to_json(self, indent: int | None = 1) -> str:
        """Returns `run`, `complete` and `gain`, and beside them the fields of the evaluation, as one JSON object."""
        errors = {} if self.evaluation is None else msgspec.to_builtins(self.evaluation)
        errors |= {} if self.gain is None else {"gain": msgspec.to_builtins(self.gain)}
        return json.dumps({"run": self.run, "complete": self.complete, **errors}, indent=indent)


class Measured(Evaluation, frozen=True, kw_only=True):
    """An evaluation, the file of the run folder that holds it, and why there is none if there should be."""

    file: str | None = None
    problem: str | None = None


class Precisions(Record, frozen=True, kw_only=True):
    """The evaluations of a network in several kinds of numbers."""

    precisions: tuple[Measured, ...]

    @property
    def problem(self) -> str | None:
        """Why a result could not be written into the run folder; None if it was, or need not be."""
        return next((each.problem for each in self.precisions if each.problem), None)


class Predictions(Record, frozen=True, kw_only=True):
    """What is on pictures: the network, the views averaged, and an answer for each picture in order."""

    run: str
    views: int
    images: tuple[Prediction, ...]

    @property
    def problem(self) -> str | None:
        """How many pictures could not be read; None if all could."""
        bad = sum(prediction.error is not None for prediction in self.images)
        return f"{bad} of {plural(len(self.images), 'picture')} could not be read" if bad else None


class Compressed(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A compressed file with its size and, a row a step, the errors on `split`; or one that is not complete yet."""

    file: str
    bytes: int | None = None
    complete: bool
    split: str | None = None
    table: tuple[CompressionStep, ...] = ()


class Extracted(Record, frozen=True, kw_only=True):
    """A file of features: the layer, their shape, the seconds of extraction, and the pictures that were left out."""

    file: str
    layer: str
    shape: tuple[int, ...]
    seconds: float
    bytes: int
    quarantine: tuple[Quarantined, ...]


class Explained(Record, frozen=True, kw_only=True):
    """Maps of where a network looks, the page that shows them, and the pictures that could not be read."""

    run: str
    page: str
    explanations: tuple[Explanation, ...]
    unread: tuple[Prediction, ...]

    @property
    def problem(self) -> str | None:
        """How many pictures could not be read; None if all could."""
        return f"{plural(len(self.unread), 'picture')} could not be read" if self.unread else None


class Examined(Record, frozen=True, kw_only=True):
    """Units of a network with the pictures that excite them, the page that shows them, and what was left out."""

    run: str
    page: str
    units: tuple[Excited, ...]
    quarantine: tuple[Quarantined, ...]


class Indexed(Record, frozen=True, kw_only=True):
    """An index: how many pictures it holds, how many were added, of which layer, and those that were left out."""

    index: str
    layer: str
    pictures: int
    added: int
    complete: bool
    bytes: int
    seconds: float
    quarantine: tuple[Quarantined, ...]


class Alike(Record, frozen=True, kw_only=True):
    """A picture that was looked for, and the pictures of an index that are nearest to it, the nearest first."""

    image: str
    neighbours: tuple[Neighbour, ...]


class Searched(Record, frozen=True, kw_only=True):
    """What an index holds that is like pictures, the page that shows it, and the pictures that could not be read."""

    index: str
    layer: str
    page: str | None
    queries: tuple[Alike, ...]
    unread: tuple[Prediction, ...]

    @property
    def problem(self) -> str | None:
        """How many pictures could not be read; None if all could."""
        return f"{plural(len(self.unread), 'picture')} could not be read" if self.unread else None


class Written(Record, frozen=True, kw_only=True):
    """A report that was written: the path of the page."""

    report: str


class Converted(Description, frozen=True, kw_only=True, omit_defaults=True):
    """A run folder made of another program's weights, and its description."""

    run: str


class Fetched(Record, frozen=True, kw_only=True):
    """Public weights that were fetched into `file`, and the published checksum with which they were compared, if any.

    Only a network (`is_network`), not a mean image, can be converted into a run.
    """

    name: str
    file: str
    checksum: str | None
    is_checked: bool
    is_network: bool


class Served(Record, frozen=True, kw_only=True):
    """A service that has ended: where it was, the networks it served, and for how long."""

    address: str
    models: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Claims:
    """The claims of the lecture, by their names."""

    claims: "Mapping[str, Claim]"

    def to_json(self) -> str:
        """Returns what is claimed, where, and what was measured in 2012, as JSON."""
        from alexnet.claims.table import listed

        return json.dumps({"claims": {name: listed(claim) for name, claim in self.claims.items()}}, indent=1)


@dataclass(frozen=True)
class Claimed:
    """A claim that was put to the test: the answer, None where the test was stopped, and the path of its page."""

    request: "Request"
    result: "ClaimResult | None"
    page: str

    @property
    def complete(self) -> bool:
        """Whether the test came to its end."""
        return self.result is not None

    def to_json(self) -> str:
        """Returns the answer as `claim.json` has it, with `page` and `complete`, as JSON."""
        if self.result is None:
            return json.dumps({"claim": self.request.name, "complete": False}, indent=1)
        return json.dumps({**json.loads(self.result.to_json()), "page": self.page, "complete": True}, indent=1)
