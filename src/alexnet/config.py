"""Every setting of a training run."""

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, TypeVar, get_args, get_origin

from alexnet.errors import UsageError

Kind = TypeVar("Kind")


def _within(low: float, high: float, *, default: Kind) -> Kind:
    """Returns a field for a number that lies between two bounds."""
    return dataclasses.field(default=default, metadata={"range": (low, high)})


@dataclass(frozen=True)
class Design:
    """What makes a network; weight files hold it under `network`.

    Attributes:
        variant: Name of a row of `models.variants.VARIANTS` or `models.variants.CIFAR`.
        input_size: Side of the square input, pixels; None takes the variant's own.
        activation: `relu` or `tanh`.
        lrn: Whether the network has local response normalisation.
        alpha_factor: Factor of the normalisation's alpha, which is meant for pixels of 0..255. Where pixels are divided
            by d, a factor of d^2 gives the normalisation back its strength; at a factor of 1 it hardly acts for d = 64.
        pooling: `overlapping`, windows of 3 at stride 2, or `2x2`, windows of 2 at stride 2.
        without: A layer to leave out with its ReLU, `conv3` or `conv4`; or `none`.
        dropout: Probability of silencing a unit after fc6 and fc7; 0 leaves the dropout layers out.

    Raises:
        UsageError: A value is not one of its choices or lies outside of its range.
    """

    variant: str = "alexnet"
    input_size: int | None = _within(1, 4096, default=None)
    activation: Literal["relu", "tanh"] = "relu"
    lrn: bool = True
    alpha_factor: float = _within(0, 1e12, default=1.0)
    pooling: Literal["overlapping", "2x2"] = "overlapping"
    without: Literal["none", "conv3", "conv4"] = "none"
    dropout: float = _within(0, 0.99, default=0.5)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if (choices := CHOICES.get(name)) and value not in choices:
                raise UsageError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
            low, high = RANGES.get(name, (None, None))
            if value is not None and low is not None and not low <= value <= high:
                raise UsageError(f"{name} must lie between {low:g} and {high:g}, got {value!r}")

    @classmethod
    def of(cls, settings: "Design") -> Self:
        """Returns the design alone of settings that hold more, such as those of a training."""
        return cls(**{field.name: getattr(settings, field.name) for field in dataclasses.fields(cls)})


@dataclass(frozen=True)
class Train(Design):
    """A design and all that decides how it is trained; the defaults are the paper's.

    Attributes:
        recipe: Name of the row of `RECIPES` that the settings started from.
        stored_size: Side of the pictures that crops are taken from, pixels; None takes 256 (CIFAR's networks: 32) where
            the input is the variant's own, and in proportion otherwise. At `input_size` every picture is seen whole.
        initialisation: Row of `models.initialise.SCHEMES`; None takes the variant's own.
        crops: Whether training takes random crops; False takes the centre.
        smallest_crop: Side of the smallest random crop over the side of the network's input. At 1 crops only move
            (paper); below 1 smaller crops are enlarged to the input.
        flips: Whether pictures are mirrored left to right at random.
        turns: Whether pictures are turned by quarters and upside-down, for pictures without an upright side.
        colour: Rule of the PCA colour noise: `lecture` (eigenvalues), `source` (their square roots, then a division by
            1.1, as the 2012 source computes it) or `none`.
        colour_strength: Standard deviation of the noise's factors.
        divide_pixels_by: What pixels (0..255, mean image subtracted) are divided by; the paper does not divide.
        batch_size: Images a step, over all processes.
        epochs: Passes over the training split; 0 stops at the head that `head_first` fits.
        steps: Updates; None derives them from `epochs`.
        learning_rate: The highest rate of the schedule.
        rate_batch: Batch size that `learning_rate` is meant for; the rate used is in proportion to `batch_size`. None
            takes `learning_rate` as it is.
        schedule: `plateau` divides the rate by 10 up to three times when validation stops improving (paper);
            `one-cycle` warms up, then falls to zero along a cosine; `polynomial` falls along a parabola; `steps`
            divides by 10 towards the end, `drops` times; `constant` stays.
        patience: Evaluations without improvement after which the plateau rule divides.
        warm_up: Fraction of the steps during which `one-cycle` and `polynomial` rise.
        drops: How often `steps` divides the rate.
        drop_share: Fraction of the steps that `steps` spends at each of the lower rates, at the end of the run.
        bias_rate: Learning rate of biases over that of weights; 2 in the 2012 source and Caffe.
        bias_follows: Whether the schedule also moves the rate of biases; False leaves it at its highest.
        head_first: Whether a network that starts from a trained one has its last layer fitted to features of all
            training pictures before the first step.
        body_rate: Learning rate of all layers but the last, over that of the last.
        freeze: The last of the layers that are not trained; `none` trains all.
        renew: The first of the layers that are made anew once the head on frozen features is measured, those that are
            frozen excepted; they learn at the rate of the last. The layers before them are rescaled, which changes no
            answer (`models.initialise.quieten`). `none` leaves all as they are.
        optimiser: `sgd` with momentum (paper), or `lars`, which scales the rate of each layer.
        trust: How far `lars` moves a layer in a step, over the norm of its weights, at a rate of 1.
        momentum: Fraction of a step's update that the next step makes again.
        weight_decay: Decay of weights. The update multiplies it by the learning rate, and by the factor that a layer of
            CIFAR's networks has (`models.variants.Cifar.decays`).
        bias_decay: Whether biases decay too.
        label_smoothing: Fraction of the target that is spread over all classes.
        class_weights: `balanced` weighs the loss of a picture so that all classes count alike (`training.loss`);
            `none` weighs all pictures alike.
        reduction: Numbers in which gradients travel between processes: `float32` or `bf16`.
        precision: `auto` takes bf16 where the processor has instructions for it, else float32.
        evaluate_every: Epochs between evaluations on the validation split.
        seed: Seed of weights, order, crops, colour and dropout.
    """

    recipe: str = "paper"
    stored_size: int | None = _within(1, 4096, default=None)
    initialisation: str | None = None
    crops: bool = True
    smallest_crop: float = _within(0.05, 1, default=1.0)
    flips: bool = True
    turns: bool = False
    colour: Literal["lecture", "source", "none"] = "lecture"
    colour_strength: float = _within(0, 10, default=0.1)
    divide_pixels_by: float = _within(1e-3, 1e6, default=1.0)
    batch_size: int = _within(1, 1 << 20, default=128)
    epochs: float = _within(0, 1e6, default=90)
    steps: int | None = _within(1, 1 << 40, default=None)
    learning_rate: float = _within(0, 1e3, default=0.01)
    rate_batch: int | None = _within(1, 1 << 20, default=None)
    schedule: Literal["plateau", "one-cycle", "polynomial", "steps", "constant"] = "plateau"
    patience: int = _within(1, 1e6, default=5)
    warm_up: float = _within(0, 1, default=0.25)
    drops: int = _within(0, 10, default=2)
    drop_share: float = _within(0, 1, default=0.1)
    bias_rate: float = _within(1e-6, 100, default=1.0)
    bias_follows: bool = True
    head_first: bool = False
    body_rate: float = _within(0, 100, default=1.0)
    freeze: Literal["none", "conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"] = "none"
    renew: Literal["none", "fc6", "fc7"] = "none"
    optimiser: Literal["sgd", "lars"] = "sgd"
    trust: float = _within(0, 1, default=0.001)
    momentum: float = _within(0, 0.9999, default=0.9)
    weight_decay: float = _within(0, 10, default=5e-4)
    bias_decay: bool = False
    label_smoothing: float = _within(0, 0.99, default=0.0)
    class_weights: Literal["none", "balanced"] = "none"
    reduction: Literal["float32", "bf16"] = "float32"
    precision: Literal["auto", "bf16", "float32"] = "auto"
    evaluate_every: float = _within(1e-3, 1e6, default=1)
    seed: int = _within(0, 2**63 - 1, default=0)


Value = bool | int | float | str | None
"""What a setting can be."""

DESIGN = tuple(field.name for field in dataclasses.fields(Design))

FIELDS = {field.name: field.type for field in dataclasses.fields(Train)}

CHOICES: dict[str, tuple[str, ...]] = {
    name: get_args(kind) for name, kind in FIELDS.items() if get_origin(kind) is Literal
}

RANGES: dict[str, tuple[float, float]] = {
    field.name: field.metadata["range"] for field in dataclasses.fields(Train) if "range" in field.metadata
}

PAPER = Train()


def assignments(texts: Sequence[str]) -> dict[str, Value]:
    """Reads settings as they are typed on a command line.

    Args:
        texts: `name=value`; a value is JSON or one of Python's constants, else plain text.

    Raises:
        UsageError: A text has no equals sign.
    """
    values: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"a setting is written name=value, got {text!r}")
        try:
            values[name] = json.loads({"True": "true", "False": "false", "None": "null"}.get(value, value))
        except (ValueError, RecursionError):  # thousands of digits or brackets end here too
            values[name] = value
    return values


def change(train: Train, changes: Mapping[str, Value]) -> Train:
    """Returns the settings with some of them changed.

    Raises:
        UsageError: A name is unknown, or a value does not fit its setting.
    """
    for name, value in changes.items():
        _check_type(name, value)
    return replace(train, **changes)  # type: ignore[arg-type]  # each value has just been checked


def to_json(train: Train) -> dict[str, Value]:
    """Returns the settings as a flat dictionary of JSON values."""
    return dataclasses.asdict(train)


def from_json(settings: object) -> Train:
    """Rebuilds the settings, strictly.

    Raises:
        UsageError: The value is no JSON object, a key is unknown or a value does not fit its setting.
    """
    if not isinstance(settings, dict):
        raise UsageError(f"settings are a JSON object, got {settings!r}")
    return change(PAPER, settings)


def design_from_json(settings: Mapping[str, object]) -> Design:
    """Rebuilds a design, strictly.

    Raises:
        UsageError: A key is unknown or a value does not fit its setting.
    """
    for name, value in settings.items():
        if name not in DESIGN:
            raise UsageError(f"a network has no setting {name!r}; there are {', '.join(DESIGN)}")
        _check_type(name, value)
    return Design(**settings)  # type: ignore[arg-type]  # each value has just been checked


def _check_type(name: str, value: object) -> None:
    if name not in FIELDS:
        close = difflib.get_close_matches(name, FIELDS, 1)
        raise UsageError(f"no setting {name!r}" + (f"; perhaps {close[0]!r}" if close else ""))
    wanted = str if name in CHOICES else FIELDS[name]
    # To Python True is an int, and an int is no float.
    is_number = wanted is float and isinstance(value, int)
    if not (is_number or isinstance(value, wanted)) or (isinstance(value, bool) and wanted is not bool):  # type: ignore[arg-type]
        raise UsageError(f"{name} takes {getattr(wanted, '__name__', wanted)}, got {value!r}")
