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
        square: How pictures become square.
        stored_size: Side of the pictures that crops are taken from, pixels.
        decoding: What stored pictures went through, in words.
        mean: What the mean image is of, in words.
    """

    divide_pixels_by: Annotated[float, Meta(gt=0, le=sys.float_info.max)]
    square: Square = "centre"
    stored_size: Size | None = None
    decoding: str | None = None
    mean: str | None = None


class Dataset(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The data of a training.

    Attributes:
        name: The source's own name.
        hash: Content hash of the packed store.
        counts: Pictures of each split.
        source: What the user called the data; None where weights are published.
        licence: Where stated.
        quarantine: The pictures that were left out.
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
        file: Name of its file.
        sha256: The file's hash.
        layers: Our layer -> theirs.
        translated: A sentence for each convention that was translated.
        not_known: A sentence for each thing that the file does not tell.
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
        classes: Name of each output.
        preprocessing: What pictures go through.
        recipe, variant, input_size, parameters: The recipe, and the network in short.
        train: The settings of the training; None of converted weights.
        data: The data of the training.
        converted: Where the weights came from, if not from a training.
        versions: Name of a program -> its version.
        machine: The machine of the training.
        started: When the training began, ISO 8601.
        seconds: How long the training took; None as long as it is not finished.
        licence: Of the weights, where stated.
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
    """How far a run is: all that resuming needs besides weights and momentum.

    Attributes:
        step: Updates made.
        rate: Learning rate of the last one.
        seconds: Time spent so far.
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
    """A row of a compression's table.

    Attributes:
        step: What was done.
        bytes: Size after it.
        ratio: All weights and biases in float32 over `bytes`.
        top1_error, top5_error: Measured after it.
        n: Pictures measured.
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
    def of(
        cls,
        description: Description,
        design: Design,
        *,
        metrics: Metrics | None = None,
        step: int | None = None,
        progress: Progress | None = None,
        compression: Compression | None = None,
    ) -> "Header":
        """Returns the header of a network that is described; saving adds checksum and probe."""
        shared = {name: getattr(description, name) for name in Description.__struct_fields__}
        return cls(
            **shared,
            network=asdict(design),
            crc32=0,
            metrics=metrics,
            step=step,
            progress=progress,
            compression=compression,
        )


class WeightFile(Record, frozen=True, kw_only=True):
    """A weight file as its manifest names it: its name, its length and its SHA-256."""

    file: str
    bytes: Count
    sha256: str


class Manifest(Header, frozen=True, kw_only=True, omit_defaults=True):
    """`manifest.json`: the header of a weight file written out, with what a file cannot say of itself."""

    weights: WeightFile
