"""The recipes, each a difference from the paper's settings or from another recipe's."""

import difflib
from dataclasses import replace

from alexnet.config import PAPER, Train
from alexnet.errors import UsageError

# Normalisation acts: with this alpha the neighbours are a fifth of what it divides by behind conv1, where with the
# published one, on pixels divided by 64, they are less than a thousandth.
MODERN = replace(
    PAPER,
    recipe="modern",
    initialisation="he",
    divide_pixels_by=64.0,
    alpha_factor=1024.0,
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
DEMO_FROM_SCRATCH = replace(
    MODERN,
    recipe="demo-from-scratch",
    variant="alexnet-two-tower",
    input_size=99,
    smallest_crop=1.0,
    turns=True,
    label_smoothing=0.0,
    learning_rate=0.01,
    epochs=24,
    evaluate_every=4,
)

# The network that comes with the package. Pictures of 64 pixels are enlarged; of 200 classes, He's first weights alone
# guess for thousands of steps (`models.initialise.settle`).
TINY_IMAGENET = replace(
    MODERN,
    recipe="tiny-imagenet",
    variant="alexnet-two-tower",
    input_size=99,
    stored_size=112,
    initialisation="measured",
    dropout=0.2,
    smallest_crop=0.65,
    batch_size=128,
    learning_rate=0.05,
    epochs=28,
)

# Starts from a trained network, whose convolutions are kept; fc6, fc7 and the head are made anew, since those of a
# network for small pictures and other classes learn no faster than new ones. Rates like those of training from scratch
# suit layers that are rescaled (`models.initialise.quieten`).
FINETUNE = replace(
    MODERN,
    recipe="finetune",
    head_first=True,
    renew="fc6",
    batch_size=64,
    learning_rate=0.03,
    body_rate=2.0,
    bias_rate=2.0,
    dropout=0.3,
    smallest_crop=0.65,
    epochs=20,
)

# A solar cell has no upright side. All layers are kept, and trained from the fitted head on at small rates: the squares
# of fc7's inputs add up to 10,000 in the package's network, where rates of its body above 1e-4 diverge.
DEMO = replace(
    FINETUNE,
    recipe="demo",
    renew="none",
    batch_size=32,
    learning_rate=0.0005,
    body_rate=0.02,
    label_smoothing=0.0,
    smallest_crop=1.0,
    turns=True,
    epochs=12,
    evaluate_every=3,
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
    CIFAR_18PCT, recipe="cifar-13pct", variant="cifar-13pct", crops=True, flips=True, epochs=160, drop_share=10 / 160
)

CIFAR_11PCT = replace(CIFAR_13PCT, recipe="cifar-11pct", variant="cifar-11pct", epochs=520, drop_share=10 / 520)

_OF_CIFAR = CIFAR_80SEC, CIFAR_19PCT, CIFAR_18PCT, CIFAR_13PCT, CIFAR_11PCT

RECIPES = {
    train.recipe: train
    for train in (PAPER, MODERN, DEMO, FINETUNE, DEMO_FROM_SCRATCH, TINY_IMAGENET, LARGE_BATCH, *_OF_CIFAR)
}


def recipe(name: str) -> Train:
    """Looks a recipe up by name.

    Raises:
        UsageError: There is no such recipe.
    """
    if name not in RECIPES:
        close = difflib.get_close_matches(name, RECIPES, 1)
        hint = f"perhaps {close[0]!r}" if close else f"there are {', '.join(RECIPES)}"
        raise UsageError(f"no recipe {name!r}; {hint}")
    return RECIPES[name]
