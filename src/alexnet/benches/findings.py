"""What benches find: rows of figures with their ratios, the machine's limits, and the layers of a step."""

from dataclasses import dataclass, field
from enum import StrEnum
from math import nan
from typing import Literal

import msgspec

from alexnet.machine import Facts

Unit = Literal["images/s", "ms", "s", "%", "x", "MB a step"]


class Limit(StrEnum):
    """What the machine can do at most."""

    BF16 = "bf16 matrix multiply FLOP/s"
    FLOAT32 = "float32 matrix multiply FLOP/s"
    COPY = "copy bytes/s"
    READ = "read bytes/s"


@dataclass(frozen=True)
class Figures:
    """What one turn of a network measured; None is what the contestant does not measure."""

    images_per_s: float
    one_ms: float | None = None  # a prediction for one picture
    flop: float | None = None  # operations of a training step, or of a prediction's convolutions, for one picture
    first_s: float | None = None  # the first training step
    step_s: float | None = None  # a later one
    lrn_percent: float | None = None  # of a later step, what normalisation takes
    peak_bytes: float = nan  # of memory; NaN where the system keeps no count
    weight_bytes: float | None = None
    sent_megabytes: float | None = None  # by each process of a team, in a step


def images_per_s(figures: Figures) -> float:
    """Returns the rate, the one figure that every turn of a network has."""
    return figures.images_per_s


@dataclass(frozen=True)
class Row:
    """The median of a figure over the rounds, and how many times as good it is as others, or as a limit allows."""

    name: str
    value: float
    unit: Unit
    ratio_to: dict[str, float]


@dataclass(frozen=True)
class Layer:
    """What a layer takes for a batch: milliseconds, operations and bytes; and how long these take at the limits."""

    name: str
    forward_ms: float
    backward_ms: float
    flop: float
    bytes: float
    operations_ms: float = 0.0
    bytes_ms: float = 0.0


@dataclass(frozen=True)
class Findings:
    """What one bench found; there is nothing of what could not be measured."""

    rows: list[Row] = field(default_factory=list)
    limits: dict[Limit, float] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)


class Bench(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one bench, or all of them, found on a machine; JSON has `layers` only where they were measured."""

    bench: str
    machine: Facts
    limits: dict[Limit, float]
    rows: list[Row]
    layers: list[Layer] = []
