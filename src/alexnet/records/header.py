"""What a run and its weight files say of themselves."""

import sys
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import msgspec
from msgspec import Meta

from alexnet import config
from alexnet.config import Design, Train, Value
from alexnet.records.record import Count, Draw, Finite, Fraction, Quarantined, Record, Size, Square
from alexnet.records.sources import EVERYTHING, LeftOut, Selection


class Preprocessing(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What a picture goes through before a network sees it."""

    divide_pixels_by: Annotated[float, Meta(gt=0, le=sys.float_info.max)]  # after the mean image is subtracted
    square: Square = "centre"
    stored_size: Size | None = None  # of the pictures that crops are taken from
    decoding: str | None = None  # what stored pictures went through, in words
    mean: str | None = None  # what the mean image is of, in words


class Dataset(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The data of a training, and the pictures that were left out."""

    name: str | None = None  # the source's own
    hash: str | None = None  # of the packed store's content
    counts: dict[str, Count] = msgspec.field(default_factory=dict)  # pictures of each split
    source: str | None = None  # what the user called the data; None where weights are published
    licence: str | None = None  # the data's, where stated
    draw: Draw = "names"  # what decided which pictures were held out, where the source had no splits
    selection: Selection = EVERYTHING  # what the user said about how the source is to be read
    quarantine: tuple[Quarantined, ...] = ()
    left_out: tuple[LeftOut, ...] = ()  # what is no picture of a class, the first of them


class Conversion(Record, frozen=True, kw_only=True):
    """The file of another program that weights came from."""

    dialect: str  # the other program, such as `Caffe`
    file: str
    sha256: str
    layers: dict[str, str]  # our layer -> theirs
    translated: tuple[str, ...]  # a sentence for each convention that was translated
    not_known: tuple[str, ...]  # a sentence for each thing that the file does not tell


class Inherited(Record, frozen=True, kw_only=True):
    """A layer of a network that started from a trained one."""

    layer: str
    origin: str  # where its weights came from, in words
    parameters: Count
    rate: Finite  # highest learning rate of its weights; 0 where they stay as they are


class Ancestor(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The trained network that a training started from."""

    name: str  # what the user called it; of a path its last part
    sha256: str  # of its file
    layers: tuple[Inherited, ...] = ()
    classes: dict[str, str] = msgspec.field(default_factory=dict)  # class -> the ancestor's whose row it took over
    is_slowed: bool = False  # whether the training diverged, and was begun again at a tenth of its rates


class Machine(Record, frozen=True, kw_only=True):
    """The machine of a training: its processor's name and the threads it computed with."""

    processor: str
    threads: int


class Description(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What decided a run: `config.json` of a run folder, and part of every weight file's header."""

    recipe: str | None = None
    variant: str | None = None
    input_size: Size | None = None
    parameters: Count | None = None
    train: dict[str, Value] | None = None  # the settings of the training; None of converted weights
    classes: tuple[str, ...]  # the name of each output
    preprocessing: Preprocessing
    data: Dataset | None = None
    converted: Conversion | None = None
    ancestor: Ancestor | None = None  # None of a training from scratch
    versions: dict[str, str] = msgspec.field(default_factory=dict)  # of each program
    machine: Machine | None = None
    started: str | None = None  # when the training began, ISO 8601
    seconds: Finite | None = None  # how long the training took; None as long as it is not finished
    licence: str | None = None  # the weights', where stated

    def __post_init__(self) -> None:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"it names the class {Counter(self.classes).most_common(1)[0][0][:80]!r} twice")
        if self.train is not None:
            config.from_json(self.train)  # refuses what are no settings

    @property
    def is_guarded(self) -> bool:
        """Whether a loss above that of guessing sets the training back: it started from a trained network, and once."""
        return self.ancestor is not None and not self.ancestor.is_slowed

    @property
    def settings(self) -> Train | None:
        """The settings of the training."""
        return None if self.train is None else config.from_json(self.train)


class Progress(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a run is: all that resuming needs besides weights and momentum."""

    step: Count  # updates made
    rate: Finite  # learning rate of the last update
    seconds: Finite
    best_loss: Finite | None  # the lowest on the validation split so far
    history: tuple[Finite, ...]  # top-1 error of every evaluation so far


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
    """A row of a compression's table: what was done, and the size and the errors over `n` pictures after it."""

    step: str
    bytes: Count
    ratio: Finite  # size of all weights and biases in float32 over `bytes`
    top1_error: Fraction
    top5_error: Fraction
    n: Count


class Compression(Record, frozen=True, kw_only=True):
    """How a compressed file came about."""

    request: CompressionRequest
    table: tuple[CompressionStep, ...] = ()


class Header(Description, frozen=True, kw_only=True, omit_defaults=True):
    """What a weight file says of itself."""

    network: dict[str, Value]  # the design, setting by setting
    crc32: int  # checksum of the tensors
    probe: Probe | None = None  # None in a file to resume from
    metrics: Metrics | None = None  # on the validation split
    step: int | None = None  # updates after which the weights were taken
    progress: Progress | None = None  # in a file to resume from
    compression: Compression | None = None  # in a compressed file

    def __post_init__(self) -> None:
        super().__post_init__()
        config.design_from_json(self.network)  # refuses what is no design

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
