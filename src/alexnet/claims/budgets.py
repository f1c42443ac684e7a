"""How much work an experiment may take, from a first look to the network of the paper."""

from dataclasses import dataclass, replace

from alexnet.config import Train
from alexnet.recipes import CIFAR_19PCT, FINETUNE, MODERN

ONLY_AT_THE_END = 1e6
"""Epochs between evaluations: nothing may be chosen by the pictures that the answer is measured on."""


@dataclass(frozen=True)
class Budget:
    """A size of experiment: how long it takes and what it is good for, and the settings that the arms change.

    An arm has `seeds` networks, an ensemble `averaged` ones. Each split has at most so many `pictures`; None takes all.
    """

    about: str
    train: Train
    seeds: int
    pictures: int | None = None
    averaged: int = 1


# What starts reliably and learns fast is taken from `modern`, what the claims are about from 2012: crops that only
# move, the colour rule of the source, a normalisation as strong as on pixels that are not divided.
_BASE = replace(
    MODERN, smallest_crop=1.0, colour="source", alpha_factor=MODERN.divide_pixels_by**2, evaluate_every=ONLY_AT_THE_END
)
_SHORT = replace(_BASE, learning_rate=0.01, label_smoothing=0.0)
# Starts and normalises as `tiny-imagenet` does. Higher rates do not make the first two epochs learn faster.
_MANY = replace(
    _SHORT, initialisation="measured", alpha_factor=MODERN.alpha_factor, batch_size=128, learning_rate=0.02, warm_up=0.1
)

BUDGETS = {
    "quick": Budget(
        "minutes: shows how the experiment goes; the networks have hardly begun to learn, so it is weak evidence",
        replace(_SHORT, input_size=67, stored_size=76, epochs=3),
        seeds=1,
        pictures=1500,
        averaged=2,
    ),
    "standard": Budget(
        "half an hour a claim with 3,000 pictures, two hours with 10,000: small pictures, short training, three seeds",
        replace(_SHORT, input_size=99, stored_size=112, epochs=12),
        seeds=3,
        pictures=10_000,
        averaged=3,
    ),
    "tiny": Budget(
        "ten minutes a network on two cores with bf16 for the 70,000 pictures of Tiny ImageNet",
        replace(_MANY, input_size=67, stored_size=76, epochs=6),
        seeds=3,
        averaged=3,
    ),
    "full": Budget(
        "hours to days: the full network at 227 x 227, 40 epochs, three seeds",
        replace(_BASE, stored_size=256),
        seeds=3,
        averaged=5,
    ),
}

# The paper's figure 1: four layers with the first weights and the pixels of their author's program, no regularisation
# of any kind, a rate that stays.
_FOUR_LAYERS = replace(
    CIFAR_19PCT, stored_size=32, weight_decay=0.0, bias_rate=1.0, schedule="constant", evaluate_every=ONLY_AT_THE_END
)

RACE_BUDGETS = {
    "quick": Budget(
        "minutes: a small part of the pictures, learned by heart sooner than by rule, so it is weak evidence",
        replace(_FOUR_LAYERS, epochs=32, batch_size=32),
        seeds=1,
        pictures=2000,
    ),
    "standard": Budget(
        "about an hour on one core with CIFAR-10: all pictures, one seed", replace(_FOUR_LAYERS, epochs=40), seeds=1
    ),
    "full": Budget("hours: all pictures, three seeds", replace(_FOUR_LAYERS, epochs=80), seeds=3),
}

# The rates of the arms from scratch are among what these change.
_TUNED = replace(FINETUNE, smallest_crop=1.0, colour="source", evaluate_every=ONLY_AT_THE_END)

TRANSFER_BUDGETS = {
    "quick": Budget(
        "minutes: a few hundred pictures and a short training, so it is weak evidence",
        replace(_TUNED, epochs=3),
        seeds=1,
        pictures=1500,
    ),
    "standard": Budget(
        "an hour with 3,000 pictures: three seeds of ten arms", replace(_TUNED, epochs=8), seeds=3, pictures=10_000
    ),
    "full": Budget("hours: all pictures, 30 epochs, three seeds", replace(_TUNED, epochs=30), seeds=3),
}
