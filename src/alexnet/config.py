"""Every setting of a training run, and the recipes, each a difference from the paper's."""

import dataclasses
import difflib
import json
from dataclasses import dataclass, replace
from typing import Any

from alexnet.errors import UsageError


@dataclass(frozen=True)
class Train:
    """All that decides what a training run computes; the defaults are the paper's.

    Attributes:
        recipe: Name of the row of `RECIPES` it started from.
        variant: Network, a key of `models.variants.VARIANTS` or `models.cifar.CIFAR`.
        input_size: Side of the crops the network sees, pixels; None takes the variant's own.
        stored_size: Side of the pictures that crops are taken from, pixels; None takes 256 (CIFAR's networks:
            32) where the input is the variant's own, and in proportion otherwise. Equal to `input_size`, every
            picture is seen whole.
        activation: `relu` or `tanh`.
        lrn: Whether local response normalisation is there.
        alpha_factor: Of its alpha, which belongs to pixels of 0..255: where they are divided by d, a factor of d^2
            gives the normalisation back its strength. At 1 and pixels divided by 64, it hardly does more than
            multiply by k^-beta.
        pooling: `overlapping` or `2x2`.
        without: A layer to leave out with its ReLU, `conv3` or `conv4`; or `none`.
        dropout: Probability of silencing a unit after fc6 and fc7.
        initialisation: Row of `models.initialise.SCHEMES`; None takes the variant's own.
        crops: Random crops in training; False takes the centre.
        smallest_crop: Side of the smallest random crop over the side of the network's input; at 1, the paper's
            pure translations; below 1, smaller crops are enlarged to the input.
        flips: Random mirroring left to right.
        turns: Random quarter turns and upside-down, for pictures without an upright side.
        colour: Rule of the PCA colour noise: `lecture` (eigenvalues), `source` (their square roots, then a
            division by 1.1, as the 2012 source computes it) or `none`.
        colour_strength: Standard deviation of the noise's factors.
        divide_pixels_by: What pixels (0..255, mean image subtracted) are divided by; the paper does not divide.
        batch_size: Images a step, over all processes.
        epochs: Passes over the training split.
        steps: Updates; None derives them from `epochs`.
        learning_rate: At its highest.
        rate_batch: Batch size that `learning_rate` is meant for; the rate used is in proportion to `batch_size`
            (linear scaling). None takes `learning_rate` as it is.
        schedule: `plateau` divides by 10 up to three times when validation stops improving (paper);
            `one-cycle` warms up, then falls to zero along a cosine; `polynomial` along a parabola; `steps` divides
            by 10 towards the end, `drops` times; `constant` stays.
        patience: Evaluations without improvement before the plateau rule divides.
        warm_up: Share of the steps that `one-cycle` and `polynomial` take to rise.
        drops: How often `steps` divides.
        drop_share: Share of the steps that `steps` stays at each of the lower rates, at the end of the run.
        bias_rate: Learning rate of biases over that of weights; 2 in the 2012 source and Caffe.
        bias_follows: Whether the schedule moves the rate of biases too; False leaves it at its highest.
        optimiser: `sgd` with momentum (paper), or `lars`, which scales the rate of each layer.
        trust: Of `lars`: how far a layer moves in a step, over the norm of its weights, at a rate of 1.
        momentum: Of either.
        weight_decay: Of weights; times the learning rate inside the update, and times the factor that a layer of
            CIFAR's networks has (`models.cifar.Cifar.decays`).
        bias_decay: Whether biases decay too.
        label_smoothing: Share of the target spread over all classes.
        reduction: Numbers in which gradients travel between processes: `float32` or `bf16`.
        precision: `auto` takes bf16 where the processor has instructions for it, else float32.
        evaluate_every: Epochs between evaluations on the validation split.
        seed: Of weights, order, crops, colour and dropout.
    """

    recipe: str = "paper"
    variant: str = "alexnet"
    input_size: int | None = None
    stored_size: int | None = None
    activation: str = "relu"
    lrn: bool = True
    alpha_factor: float = 1.0
    pooling: str = "overlapping"
    without: str = "none"
    dropout: float = 0.5
    initialisation: str | None = None
    crops: bool = True
    smallest_crop: float = 1.0
    flips: bool = True
    turns: bool = False
    colour: str = "lecture"
    colour_strength: float = 0.1
    divide_pixels_by: float = 1.0
    batch_size: int = 128
    epochs: float = 90
    steps: int | None = None
    learning_rate: float = 0.01
    rate_batch: int | None = None
    schedule: str = "plateau"
    patience: int = 5
    warm_up: float = 0.25
    drops: int = 2
    drop_share: float = 0.1
    bias_rate: float = 1.0
    bias_follows: bool = True
    optimiser: str = "sgd"
    trust: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 5e-4
    bias_decay: bool = False
    label_smoothing: float = 0.0
    reduction: str = "float32"
    precision: str = "auto"
    evaluate_every: float = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"{name} must lie between {low:g} and {high:g}, got {value!r}")


CHOICES = {
    "activation": ("relu", "tanh"),
    "pooling": ("overlapping", "2x2"),
    "without": ("none", "conv3", "conv4"),
    "colour": ("lecture", "source", "none"),
    "schedule": ("plateau", "one-cycle", "polynomial", "steps", "constant"),
    "optimiser": ("sgd", "lars"),
    "reduction": ("float32", "bf16"),
    "precision": ("auto", "bf16", "float32"),
}

RANGES = {
    "input_size": (1, 4096),
    "stored_size": (1, 4096),
    "alpha_factor": (0, 1e12),
    "dropout": (0, 0.99),
    "smallest_crop": (0.05, 1),
    "colour_strength": (0, 10),
    "divide_pixels_by": (1e-3, 1e6),
    "batch_size": (1, 1 << 20),
    "epochs": (1e-3, 1e6),
    "steps": (1, 1 << 40),
    "learning_rate": (0, 1e3),
    "rate_batch": (1, 1 << 20),
    "patience": (1, 1e6),
    "warm_up": (0, 1),
    "drops": (0, 10),
    "drop_share": (0, 1),
    "bias_rate": (1e-6, 100),
    "trust": (0, 1),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 10),
    "label_smoothing": (0, 0.99),
    "evaluate_every": (1e-3, 1e6),
    "seed": (0, 2**63 - 1),
}

PAPER = Train()

# On pixels divided by 64 the normalisation hardly acts; see `alpha_factor`.
MODERN = replace(
    PAPER,
    recipe="modern",
    initialisation="he",
    divide_pixels_by=64.0,
    schedule="one-cycle",
    batch_size=32,
    learning_rate=0.02,
    warm_up=0.15,
    epochs=40,
    label_smoothing=0.1,
    smallest_crop=0.75,
)

# Small pictures and two towers, so that five minutes on two cores, even without bf16, see each solar cell 24 times, in
# any of its eight positions.
DEMO = replace(
    MODERN,
    recipe="demo",
    variant="alexnet-two-tower",
    input_size=99,
    smallest_crop=1.0,
    turns=True,
    label_smoothing=0.0,
    learning_rate=0.01,
    epochs=24,
    evaluate_every=4,
)

# Batches of 1,024 to 32,768: linear scaling, 5 epochs of warm-up, LARS (You, Gitman, Ginsburg 2017). The rate is
# that of batch 128; at 4,096 it is 3.2.
LARGE_BATCH = replace(
    PAPER,
    recipe="large-batch",
    batch_size=4096,
    optimiser="lars",
    learning_rate=0.1,
    rate_batch=128,
    schedule="polynomial",
    warm_up=0.05,
    epochs=100,
)

# cuda-convnet's for CIFAR-10: 120 epochs, 10 at a tenth and 10 at a hundredth of the rate.
CIFAR_18PCT = replace(
    PAPER,
    recipe="cifar-18pct",
    variant="cifar-18pct",
    dropout=0.0,
    crops=False,
    flips=False,
    colour="none",
    learning_rate=0.001,
    schedule="steps",
    epochs=140,
    drop_share=10 / 140,
    bias_rate=2.0,
    bias_follows=False,
    weight_decay=0.004,
)

CIFAR_19PCT = replace(CIFAR_18PCT, recipe="cifar-19pct", variant="cifar-19pct")

CIFAR_80SEC = replace(CIFAR_18PCT, recipe="cifar-80sec", variant="cifar-80sec", epochs=10, drops=1, drop_share=2 / 10)

# Random 24 x 24 of 32 x 32 pixels. The source held a fifth of the pictures back for the first 100 (350) epochs.
CIFAR_13PCT = replace(
    CIFAR_18PCT,
    recipe="cifar-13pct",
    variant="cifar-13pct",
    crops=True,
    flips=True,
    epochs=160,
    drop_share=10 / 160,
)

CIFAR_11PCT = replace(CIFAR_13PCT, recipe="cifar-11pct", variant="cifar-11pct", epochs=520, drop_share=10 / 520)

RECIPES = {
    train.recipe: train
    for train in (
        *(PAPER, MODERN, DEMO, LARGE_BATCH),
        *(CIFAR_80SEC, CIFAR_19PCT, CIFAR_18PCT, CIFAR_13PCT, CIFAR_11PCT),
    )
}


def recipe(name: str) -> Train:
    """Looks a recipe up by name.

    Raises:
        UsageError: There is no such recipe.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]


def override(train: Train, assignments: list[str]) -> Train:
    """Applies `name=value` assignments as typed on a command line.

    Raises:
        UsageError: A name is unknown or a value does not fit its type.
    """
    changes = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"a setting is written name=value, got {assignment!r}")
        changes[name] = text
    return from_json({**to_json(train), **{name: _parse(text) for name, text in changes.items()}})


def to_json(train: Train) -> dict[str, Any]:
    """Gives the settings as a flat dictionary of JSON values."""
    return dataclasses.asdict(train)


def from_json(settings: dict[str, Any]) -> Train:
    """Rebuilds the settings, strictly.

    Raises:
        UsageError: A key is unknown or a value is of another type.
    """
    if not isinstance(settings, dict):
        raise UsageError(f"settings are a JSON object, got {settings!r}")
    for name, value in settings.items():
        _check_type(name, value)
    return Train(**settings)


_TYPES: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(Train)}


def _check_type(name: str, value: Any) -> None:
    if name not in _TYPES:
        close = difflib.get_close_matches(name, _TYPES, 1)
        raise UsageError(f"no setting {name!r}" + (f"; perhaps {close[0]!r}" if close else ""))
    wanted = (int, float) if _TYPES[name] is float else _TYPES[name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and _TYPES[name] is not bool):
        raise UsageError(f"{name} takes {getattr(_TYPES[name], '__name__', _TYPES[name])}, got {value!r}")


def _parse(text: str) -> Any:
    """Reads a value as JSON or one of Python's constants, and as plain text where it is neither."""
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except (ValueError, RecursionError):  # also of thousands of digits or brackets
        return text
