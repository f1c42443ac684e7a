"""How much benches measure, and what they find: rows of figures, the machine's limits, the layers of a step."""

from dataclasses import dataclass, field
from enum import StrEnum
from math import nan
from typing import Literal

import msgspec

from alexnet.machine import Facts

Unit = Literal["images/s", "ms", "s", "%", "x", "MB a step"]
Series = list[float]
"""One figure of one contestant, a value for each round; empty where the figure was not measured."""


@dataclass(frozen=True)
class Size:
    """The sizes of everything; the defaults are the lecture's, and what two cores do in ten minutes."""

    rounds: int = 3  # turns of each contestant, at most
    patience: float = 30.0  # seconds after which a contest begins no further round
    seconds: float = 2.0  # that each figure is measured for in a round, at least
    map: tuple[int, ...] = (128, 96, 55, 55)  # (N, C, H, W) that is normalised; conv1's output
    matrices: tuple[int, ...] = (2048, 4096)  # sides of the matrices that are multiplied; the best rate counts
    block: int = 256 << 20  # bytes of the memory that is copied and read
    input_size: int | None = None  # side of the network's input; None takes each network's own
    batch: int = 128  # images a training step
    predict_batch: int = 32  # images of a large prediction
    warm_up: int = 3  # steps after the first that do not count where memory is kept, and touched for the first time
    steps: int = 4  # training steps that the data path is measured over, at least
    pictures: int = 400  # in the folder that loaders read
    stores: tuple[int, int] = (1_000, 1_000_000)  # two counts of stored pictures that should be equally fast


class Limit(StrEnum):
    """What the machine can do at most."""

    BF16 = "bf16 matrix multiply FLOP/s"
    FLOAT32 = "float32 matrix multiply FLOP/s"
    COPY = "copy bytes/s"
    READ = "read bytes/s"


@dataclass(frozen=True)
class Figures:
    """What one turn of a network measured; None stands for what the contestant does not measure."""

    images_per_s: float
    one_ms: float | None = None  # a prediction for one picture
    flop: float | None = None  # operations of a training step, or of a prediction's convolutions, for one picture
    first_s: float | None = None  # the first training step
    step_s: float | None = None  # a later one
    lrn_percent: float | None = None  # of a later step, what normalisation takes
    peak_bytes: float = nan  # of memory; NaN where the system keeps no count
    weight_bytes: float | None = None
    sent_megabytes: float | None = None  # by each process of a team, in a step


@dataclass(frozen=True)
class BenchRow:
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
    """What one bench found; whatever could not be measured is absent."""

    rows: list[BenchRow] = field(default_factory=list)
    limits: dict[Limit, Series] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)


class Bench(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one bench, or all of them, found on a machine; JSON has `layers` only where they were measured."""

    bench: str
    machine: Facts
    limits: dict[Limit, float]
    rows: list[BenchRow]
    layers: list[Layer] = []
