"""What a run and its weight files say of themselves."""

import sys
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import msgspec
from msgspec import Meta

from alexnet import config
from alexnet.config import Design, Train, Value
from alexnet.records.record import Count, Finite, Fraction, Quarantined, Record, Size, Square


class Preprocessing(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What a picture goes through before a network sees it.

    Attributes:
        divide_pixels_by: What pixels are divided by after the mean image is subtracted.
        stored_size: Side of the pictures that crops are taken from, pixels.
        decoding, mean: What stored pictures went through, and what the mean image is of, in words.
    """

    divide_pixels_by: Annotated[float, Meta(gt=0, le=sys.float_info.max)]
    square: Square = "centre"
    stored_size: Size | None = None
    decoding: str | None = None
    mean: str | None = None


class Dataset(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The data of a training.

    Attributes:
        name, source: The source's own name, and what the user called it; None where weights are published.
        hash: Content hash of the packed store.
        counts: Pictures of each split.
        licence: The data's, where stated.
        quarantine: Pictures that were left out.
    """

    name: str | None = None
    hash: str | None = None
    counts: dict[str, Count] = msgspec.field(default_factory=dict)
    source: str | None = None
    licence: str | None = None
    quarantine: tuple[Quarantined, ...] = ()


class Conversion(Record, frozen=True, kw_only=True):
    """Where weights of another program came from.

    Attributes:
        dialect: The other program, such as `Caffe`.
        file, sha256: Name and hash of its file.
        layers: Our layer -> theirs.
        translated, not_known: A sentence for each convention that was translated, or that the file does not tell.
    """

    dialect: str
    file: str
    sha256: str
    layers: dict[str, str]
    translated: tuple[str, ...]
    not_known: tuple[str, ...]


class Machine(Record, frozen=True, kw_only=True):
    """The machine of a training: its processor's name and the threads it computed with."""

    processor: str
    threads: int


class Description(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What decided a run: `config.json` of a run folder, and part of every weight file's header.

    Attributes:
        recipe, variant, input_size, parameters: The recipe, and the network in short.
        train: The settings of the training; None of converted weights.
        classes: Name of each output.
        versions: Name of a program -> its version.
        started: When the training began, ISO 8601.
        seconds: How long the training took; None as long as it is not finished.
        licence: The weights', where stated.
    """

    recipe: str | None = None
    variant: str | None = None
    input_size: Size | None = None
    parameters: Count | None = None
    train: dict[str, Value] | None = None
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    data: Dataset | None = None
    converted: Conversion | None = None
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    machine: Machine | None = None
    started: str | None = None
    seconds: Finite | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"it names the class {Counter(self.classes).most_common(1)[0][0][:80]!r} twice")
        if self.train is not None:
            config.from_json(self.train)

    @property
    def settings(self) -> Train | None:
        """The settings of the training."""
        return None if self.train is None else config.from_json(self.train)


class Progress(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a run is after `step` updates: all that resuming needs besides weights and momentum.

    Attributes:
        rate: Learning rate of the last update.
        best_loss: Lowest loss on the validation split so far.
        history: Top-1 error of every evaluation so far.
    """

    step: Count
    rate: Finite
    seconds: Finite
    best_loss: Finite | None
    history: tuple[Finite, ...]


BEGINNING = Progress(step=0, rate=0.0, seconds=0.0, best_loss=None, history=())


class Metrics(Record, frozen=True, kw_only=True):
    """The errors of an evaluation in short, as weight files carry them."""

    top1_error: Fraction
    top5_error: Fraction
    loss: Finite | None = None
    n: Count
    views: int
    split: str


class Probe(Record, frozen=True, kw_only=True):
    """What a network answers to the two built-in pictures: logits, a row a picture."""

    logits: tuple[tuple[float, ...], ...]


class CompressionRequest(Record, frozen=True, kw_only=True):
    """What a compression was asked for: kept fraction, epochs, split, checksum of the weights, hash of the data."""

    keep: Finite
    epochs: Finite
    split: str
    weights: int
    data: str


class CompressionStep(Record, frozen=True, kw_only=True):
    """A row of a compression's table: what was done, and the size and the errors over `n` pictures after it.

    `ratio` is the size of all weights and biases in float32 over `bytes`.
    """

    step: str
    bytes: Count
    ratio: Finite
    top1_error: Fraction
    top5_error: Fraction
    n: Count


class Compression(Record, frozen=True, kw_only=True):
    """How a compressed file came about."""

    request: CompressionRequest
    table: tuple[CompressionStep, ...] = ()


class Header(Description, frozen=True, kw_only=True, omit_defaults=True):
    """What a weight file says of itself.

    Attributes:
        network: The design of the network, setting by setting.
        crc32: Checksum of the tensors.
        probe: What the network answers to the built-in pictures; None in a file to resume from.
        metrics: Errors of the weights on the validation split.
        step: Updates after which the weights were taken.
        progress: How far the run is, in a file to resume from.
        compression: How a compressed file came about.
    """

    network: dict[str, Value]
    crc32: int
    probe: Probe | None = None
    metrics: Metrics | None = None
    step: int | None = None
    progress: Progress | None = None
    compression: Compression | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        config.design_from_json(self.network)

    @property
    def design(self) -> Design:
        """The design of the network."""
        return config.design_from_json(self.network)

    @classmethod
    def of(cls, description: Description, design: Design) -> "Header":
        """Returns the header of a network that is described; saving adds checksum and probe."""
        described = {name: getattr(description, name) for name in Description.__struct_fields__}
        return cls(**described, network=asdict(design), crc32=0)


class WeightFile(Record, frozen=True, kw_only=True):
    """A weight file as its manifest names it: its name, its length and its SHA-256."""

    file: str
    bytes: Count
    sha256: str


class Manifest(Header, frozen=True, kw_only=True, omit_defaults=True):
    """`manifest.json`: the header of a weight file written out, with what a file cannot say of itself."""

    weights: WeightFile
