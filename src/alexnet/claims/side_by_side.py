"""Finished runs side by side: their errors on the same pictures, and what else differs between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from msgspec import structs, to_builtins

from alexnet import config
from alexnet.claims.gain import LOOKED_FOR
from alexnet.claims.statistics import compare
from alexnet.errors import UsageError
from alexnet.evaluation.evaluate import WHOLE
from alexnet.evaluation.metrics import TOP
from alexnet.pages.markup import setting
from alexnet.records import Count, Description, Evaluation, Examples, Finite, Fraction, Record
from alexnet.run import Rows

MISSING = "–"


class Apart(Record, frozen=True, kw_only=True):
    """By how much a run's top-1 error exceeds that of the first run, with its 95 % interval.

    It is paired where the errors of single pictures are known of both; otherwise it is wider than it need be.
    """

    mean: Finite
    interval: tuple[Finite, Finite]
    is_paired: bool


class RunRow(Record, frozen=True, kw_only=True):
    """A run beside others; `obstacle` says why its errors cannot be compared with those of the first."""

    name: str
    top1_error: Fraction
    top1_interval: tuple[Fraction, Fraction]  # 95 %, as the next
    top5_error: Fraction | None  # None of five classes or fewer, which five guesses always name
    top5_interval: tuple[Fraction, Fraction] | None
    balanced_error: Fraction | None
    n: Count
    split: str
    views: Count
    start: str  # what its weights started from
    seconds: Finite | None  # of its training
    bytes: Count  # of its weight file
    parameters: Count | None
    apart: Apart | None = None
    obstacle: str | None = None


class SideBySide(Record, frozen=True, kw_only=True):
    """Runs, of which each is compared with the first, and their settings that differ, a value a run."""

    runs: tuple[RunRow, ...]
    settings: dict[str, tuple[str, ...]]
    page: str | None = None  # file of the page

    @property
    def sentences(self) -> list[str]:
        """How each run's top-1 error stands to that of the first."""
        first, *others = self.runs
        return [_sentence(first.name, run) for run in others]


@dataclass(frozen=True)
class Side:
    """A run as it is compared: what it is, how it learned, and what was measured of it."""

    name: str
    description: Description
    rows: Rows
    bytes: int
    evaluation: Evaluation
    examples: Examples


def side_by_side(sides: Sequence[Side]) -> SideBySide:
    """Compares runs with the first of them.

    Raises:
        UsageError: The runs tell different classes apart.
    """
    for one, other in pairwise(sides):
        if lacking := sorted(set(one.evaluation.classes) ^ set(other.evaluation.classes)):
            raise UsageError(
                f"{one.name} and {other.name} tell different classes apart: only one of them has {lacking[0]!r}; "
                "compare runs of the same classes"
            )
    first = sides[0]
    return SideBySide(
        runs=(_row(first), *(_against(first, side) for side in sides[1:])),
        settings=_differing([_settings(side.description) for side in sides]),
    )


def _row(side: Side) -> RunRow:
    of, measured = side.description, side.evaluation
    has_top5 = len(measured.classes) > TOP
    return RunRow(
        name=side.name,
        top1_error=measured.top1_error,
        top1_interval=measured.top1_interval,
        top5_error=measured.top5_error if has_top5 else None,
        top5_interval=measured.top5_interval if has_top5 else None,
        balanced_error=measured.balanced_error if measured.is_uneven else None,
        n=measured.n,
        split=measured.split,
        views=measured.views,
        start=of.ancestor.name if of.ancestor else of.converted.dialect if of.converted else "scratch",
        seconds=of.seconds,
        bytes=side.bytes,
        parameters=of.parameters,
    )


def _against(first: Side, side: Side) -> RunRow:
    obstacle = _obstacle(first, side)
    return structs.replace(_row(side), obstacle=obstacle, apart=None if obstacle else _apart(first, side))


def _obstacle(first: Side, side: Side) -> str | None:
    ours, theirs = first.evaluation, side.evaluation
    if (ours.views, ours.models) != (theirs.views, theirs.models):
        return f"it was measured at {theirs.views} view{'s' * (theirs.views > 1)}, {first.name} at {ours.views}"
    if ours.pictures is not None and theirs.pictures is not None:
        return None if ours.pictures == theirs.pictures else "it was measured on other pictures"
    hashes = [each.description.data and each.description.data.hash for each in (first, side)]
    parts = [(each.split, each.n, each.left_out) for each in (ours, theirs)]
    is_same = None not in hashes and hashes[0] == hashes[1] and parts[0] == parts[1]
    return None if is_same else "it is not known that it was measured on the same pictures"


def _apart(first: Side, side: Side) -> Apart:
    ours, theirs = first.evaluation, side.evaluation
    mine, other = (np.frombuffer(each.examples.errors, np.uint8) / WHOLE for each in (first, side))
    if ours.pictures is not None and ours.pictures == theirs.pictures and len(mine) == len(other) == ours.n:
        difference = compare(other[None], mine[None], LOOKED_FOR)
        return Apart(mean=difference.mean, interval=(difference.low, difference.high), is_paired=True)
    mean, widths = (
        theirs.top1_error - ours.top1_error,
        [high - low for low, high in (ours.top1_interval, theirs.top1_interval)],
    )
    half = math.hypot(*widths) / 2
    return Apart(mean=mean, interval=(mean - half, mean + half), is_paired=False)


def _sentence(first: str, run: RunRow) -> str:
    if run.apart is None:
        return f"{run.name} cannot be compared with {first}: {run.obstacle}."
    mean, low, high = (f"{100 * value:+.1f}" for value in (run.apart.mean, *run.apart.interval))
    interval = (
        f"{low} to {high}, {'picture by picture' if run.apart.is_paired else 'not paired, so wider than need be'}"
    )
    if run.apart.interval[0] <= 0 <= run.apart.interval[1]:
        return f"{run.name} and {first} may be level: {mean} points of top-1 error ({interval})."
    return f"{run.name} errs {'less' if run.apart.mean < 0 else 'more'} than {first}: {mean} points ({interval})."


def _settings(description: Description) -> dict[str, str]:
    data, machine = description.data, description.machine
    train = description.settings
    values: dict[str, object] = {
        **{name: getattr(description, name) for name in ("recipe", "variant", "input_size")},
        **(config.to_json(train) if train else {}),
        **to_builtins(description.preprocessing),
        "data": data and data.name,
        "training pictures": data.counts.get("train") if data else None,
        "started from": description.ancestor and description.ancestor.name,
        "processor": machine and machine.processor,
        "threads": machine and machine.threads,
        **{f"version of {name}": version for name, version in description.versions.items()},
    }
    return {name: setting(value) for name, value in values.items()}


def _differing(settings: Sequence[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    """Returns the settings of which not all runs have the same value."""
    rows = {name: tuple(own.get(name, MISSING) for own in settings) for name in {n: 0 for own in settings for n in own}}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}
