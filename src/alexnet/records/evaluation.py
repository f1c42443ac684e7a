"""What a network gives: errors, examples, predictions."""

from typing import Annotated

import msgspec
from msgspec import Meta

from alexnet.records.record import Count, Finite, Fraction, Quarantined, Record


class ClassErrors(Record, frozen=True, kw_only=True):
    """The errors on the pictures of one class."""

    name: str
    n: Count
    top1_error: Fraction
    top5_error: Fraction


class Bin(Record, frozen=True, kw_only=True):
    """Pictures of like confidence: its mean, how often the network was right, and their number."""

    confidence: Fraction
    accuracy: Fraction
    n: Count


class Calibration(Record, frozen=True, kw_only=True):
    """The expected calibration error, and the bins of the reliability diagram in rising order, empty ones left out."""

    ece: Fraction
    bins: tuple[Bin, ...]


class Evaluation(Record, frozen=True, kw_only=True):
    """Errors of one network or of several averaged: `evaluation.json` of a run folder.

    Attributes:
        top1_error, top5_error: Fraction of pictures that the first guess, or five guesses, miss.
        n: Pictures measured.
        views: Views that each picture was averaged over, 1 or 10.
        models: Networks averaged.
        split: The split, or several joined by `+`.
        top1_interval, top5_interval: 95 % intervals.
        classes: Name of each output.
        confusion: (C, C) counts; row truth, column guess.
        per_class: Errors of each class.
        calibration: How far confidence can be trusted.
        seconds: How long it took.
        loss: Mean loss, nats.
        is_split_drawn: Whether `val` was held out of `train` because the source has no split of its own.
        quarantined: Pictures of the split that were left out of the data.
        precision: Numbers that were computed in.
        weight_bytes: Bytes of all weights in these numbers.
    """

    precision: str | None = None
    top1_error: Fraction
    top5_error: Fraction
    n: Count
    views: Count
    models: Count
    split: str
    top1_interval: tuple[Fraction, Fraction]
    top5_interval: tuple[Fraction, Fraction]
    classes: tuple[str, ...]
    confusion: tuple[tuple[Count, ...], ...]
    per_class: tuple[ClassErrors, ...]
    calibration: Calibration
    seconds: Finite
    loss: Finite | None = None
    is_split_drawn: bool = False
    quarantined: tuple[Quarantined, ...] = ()
    weight_bytes: int | None = None

    def __post_init__(self) -> None:
        if any(len(row) != len(self.classes) for row in (self.confusion, *self.confusion)):
            raise ValueError("its confusion matrix does not fit its classes")


class Example(Record, frozen=True, kw_only=True):
    """A test picture and what a network says of it.

    Attributes:
        name: Its name in the source.
        label: Its true class.
        top: Class and probability of the best five guesses, best first.
        jpeg: The stored picture; base64 in JSON.
    """

    name: str
    label: str
    top: Annotated[tuple[tuple[str, Fraction], ...], Meta(min_length=1, max_length=5)]
    jpeg: bytes


class Examples(Record, frozen=True, kw_only=True):
    """A few test pictures spread over the split, and the most confident mistakes: `examples.json`."""

    sample: tuple[Example, ...] = ()
    mistakes: tuple[Example, ...] = ()


class Guess(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A class ("class" in JSON), its probability, and its words where it is a class of ImageNet."""

    class_name: str = msgspec.field(name="class")
    probability: Fraction
    words: str | None = None


class Prediction(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What is on a picture file: guesses, the most probable first, or why the file cannot be read."""

    image: str
    predictions: tuple[Guess, ...] = ()
    error: str | None = None


class StepRow(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A line of `metrics.jsonl` on one update.

    Attributes:
        step: Updates made, this one included.
        epoch: Passes over the training pictures so far.
        loss: Mean loss of the batch before the update, nats.
        error: Fraction of the batch that was named wrongly before the update.
        lr: Learning rate.
        images_per_s: Speed of this update.
    """

    step: Count
    epoch: Finite
    loss: Finite
    error: Fraction | None = None
    lr: Finite | None = None
    images_per_s: Finite | None = None


class ValidationRow(Record, frozen=True, kw_only=True):
    """A line of `metrics.jsonl` on one evaluation of the validation split, after `step` updates."""

    step: Count
    epoch: Finite
    val_top1_error: Fraction
    val_top5_error: Fraction
    val_loss: Finite
