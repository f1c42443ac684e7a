"""What is measured of a network: its errors, its guesses, and what it lost on the way into another runtime."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from alexnet.records.record import Count, Finite, Fraction, Quarantined, Record


def in_words(error: float, interval: tuple[float, float], kind: str = "top-1") -> str:
    """Returns an error with its 95 % interval; the `kind` is `top-1` or `top-5`."""
    return f"{kind} error {error:.1%} (95 % interval {interval[0]:.1%} to {interval[1]:.1%})"


class ClassErrors(Record, frozen=True, kw_only=True):
    """The errors on the `n` pictures of one class."""

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


class Confused(Record, frozen=True, kw_only=True):
    """How many pictures of one class were taken for another; the classes are positions in `Evaluation.classes`."""

    truth: Count
    guess: Count
    n: Count


class Evaluation(Record, frozen=True, kw_only=True):
    """Errors of one network, or of several averaged, over `n` pictures: `evaluation.json` of a run folder."""

    precision: str | None = None  # the kind of numbers that was computed in
    top1_error: Fraction
    top5_error: Fraction
    n: Count
    views: Count  # that each picture was averaged over, 1 or 10
    models: Count
    split: str  # or several joined by `+`
    top1_interval: tuple[Fraction, Fraction]  # 95 %, as the next
    top5_interval: tuple[Fraction, Fraction]
    classes: tuple[str, ...]
    confusion: tuple[tuple[Count, ...], ...]  # (C, C); row truth, column guess; () of more than 256 classes
    confused: tuple[Confused, ...] = ()  # of more than 256 classes: the most frequent mistakes, that first
    per_class: tuple[ClassErrors, ...]
    calibration: Calibration
    seconds: Finite
    loss: Finite | None = None  # the mean, nats
    balanced_error: Fraction | None = None  # the mean of the classes' top-1 errors; those without pictures do not count
    ties: Count = 0  # pictures whose class shares a probability with others across the border of top-1 or top-5
    trained_on: Count | None = None  # pictures of the split that the network was trained on; None: not known
    left_out: Count = 0  # those of them that were not measured; they are not in `n`
    is_split_drawn: bool = False  # whether `val` was held out of `train`: the source has no split of its own
    quarantined: tuple[Quarantined, ...] = ()  # pictures of the split that the store left out
    weight_bytes: int | None = None  # of all weights in these numbers
    pictures: str | None = None  # checksum of what the measured pictures are known by, in order; None: not known

    def __post_init__(self) -> None:
        classes = len(self.classes)
        if self.confusion and any(len(row) != classes for row in (self.confusion, *self.confusion)):
            raise ValueError("its confusion matrix does not fit its classes")
        if any(max(pair.truth, pair.guess) >= classes for pair in self.confused):
            raise ValueError("its confused classes are none of its classes")

    @property
    def mistakes(self) -> Sequence[Confused]:
        """Which class was taken for which, the most frequent mistake first; of many classes not every one."""
        if not self.confusion:
            return self.confused
        cells = ((i, j, n) for i, row in enumerate(self.confusion) for j, n in enumerate(row) if i != j and n)
        return [Confused(truth=i, guess=j, n=n) for i, j, n in sorted(cells, key=lambda cell: -cell[2])]

    @property
    def is_uneven(self) -> bool:
        """Whether the largest class has half as many pictures again as the smallest, those without any aside."""
        counts = [each.n for each in self.per_class if each.n]
        return bool(counts) and max(counts) > 1.5 * min(counts)

    @property
    def in_words(self) -> str:
        """The top-1 error with its interval."""
        return in_words(self.top1_error, self.top1_interval)

    @property
    def naive_error(self) -> float | None:
        """The top-1 error of always naming the largest class; None where no class has a picture."""
        counts = [each.n for each in self.per_class]
        return 1 - max(counts) / sum(counts) if any(counts) else None


class Gain(Record, frozen=True, kw_only=True):
    """What fine-tuning gained over frozen features, on the `n` pictures of `split` at the centre view."""

    frozen_error: Fraction  # top-1, of the head that was fitted to frozen features
    frozen_interval: tuple[Fraction, Fraction]  # 95 %, as the next
    tuned_error: Fraction
    tuned_interval: tuple[Fraction, Fraction]
    gain: Finite  # frozen_error less tuned_error, picture by picture
    gain_interval: tuple[Finite, Finite]
    n: Count
    split: str


class ExampleMap(Record, frozen=True, kw_only=True):
    """Where a network looks for its first guess: the picture in gray with a map over it, and whether that passes."""

    jpeg: bytes  # a JPEG file
    failure: str | None  # why the map is not to be trusted; None where it passes its checks


class Example(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A test picture: its name in the source, its true class, the best five guesses, best first, and its JPEG file.

    It has a map where that was drawn.
    """

    name: str
    label: str
    top: Annotated[tuple[tuple[str, Fraction], ...], Meta(min_length=1, max_length=5)]
    jpeg: bytes
    map: ExampleMap | None = None


class Examples(Record, frozen=True, kw_only=True):
    """What an evaluation keeps of single pictures: `examples.json`.

    A few test pictures spread over the split, the most confident mistakes, and the top-1 error of every picture in
    order, in 240ths, since ties count in part; empty in files of version 0.1.
    """

    sample: tuple[Example, ...] = ()
    mistakes: tuple[Example, ...] = ()
    errors: bytes = b""


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
    """A line of `metrics.jsonl` on one update; loss and error are the batch's before it."""

    step: Count  # updates made, this one included
    epoch: Finite  # passes over the training pictures so far
    loss: Finite  # the mean, nats
    error: Fraction | None = None  # fraction of the batch that was named wrongly
    lr: Finite | None = None
    images_per_s: Finite | None = None


class ValidationRow(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A line of `metrics.jsonl` on one evaluation of the validation split, after `step` updates.

    A look (`is_look`) came between the evaluations that are due, by the clock; its weights were not kept.
    """

    step: Count
    epoch: Finite
    val_top1_error: Fraction
    val_top5_error: Fraction
    val_loss: Finite
    is_look: bool = False


class Parity(Record, frozen=True, kw_only=True, omit_defaults=True):
    """How far the probabilities of an engine are from the network's own."""

    engine: str  # name and version of the runtime
    pictures: Count  # that were compared
    origin: str  # where the pictures came from, in words
    error: float  # norm of the difference over the norm of the output, the largest of all pictures
    logit_error: float | None = None  # the same of the logits, less their mean; None in files of version 0.1
    same_first: Count  # pictures whose most probable class is the same
    whole_difference: float | None = None  # largest of a probability where the engine resized decoded pictures itself


class MeasuredFile(Record, frozen=True, kw_only=True):
    """The size of an exported network, and its errors over `n` pictures of `split` in its own runtime."""

    bytes: Count
    top1_error: Fraction
    top5_error: Fraction
    n: Count
    split: str


class Int8(Record, frozen=True, kw_only=True):
    """A network before and after it was quantised, and the ratio of the sizes, after over before."""

    before: MeasuredFile
    after: MeasuredFile
    ratio: float


class Exported(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A network that was exported into a file or folder, and how the runtime's answers compare with ours."""

    file: str
    format: str
    opset: int | None = None  # version of ONNX's operators
    lrn: str | None = None  # how an ONNX file normalises: `native` or `decomposed`
    parity: Parity | None = None  # of the float32 network; None for Hugging Face, where our own code runs it
    int8: Int8 | None = None
    rounded: Parity | None = None  # of the network with 8-bit weights
    bytes: Count  # of the file, or of all files of the folder
    network_bytes: Count | None = None  # of the network alone, in a folder
