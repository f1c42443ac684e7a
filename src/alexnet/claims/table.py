"""What the lecture claims, where it is said, what was measured in 2012, and the arms that test it.

Source: "the paper" is Krizhevsky, Sutskever, Hinton 2012; nets and their logs are those of the 2012 source
(computerhistory/AlexNet-Source-Code), `layers/layer-params-N.cfg`. Logged errors are of ten views.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from alexnet import config
from alexnet.claims import ablations
from alexnet.config import Train
from alexnet.errors import UsageError

Change = Callable[[Train], Train]


@dataclass(frozen=True)
class Claim:
    """A claim and its experiment.

    Attributes:
        statement: What the lecture says.
        where: The section of the paper, and the part of the lecture.
        paper: What the paper measured, in words.
        log: What the notes of 2012 say.
        kind: `arms` trains two and compares them; `ensemble`, `views`, `race` and `count` are the other experiments.
        arms: Name -> the change that makes it; the first has what the claim praises.
        top1, top5: The difference in the paper, fractions, above 0 where the first arm errs less.
    """

    statement: str
    where: str
    paper: str
    log: str
    kind: str = "arms"
    arms: Mapping[str, Change] = field(default_factory=dict)
    top1: float | None = None
    top5: float | None = None

    def changes(self, train: Train) -> dict[str, dict[str, Any]]:
        """Gives the settings that each arm has other than `train`."""
        base = config.to_json(train)
        arms = {arm: config.to_json(change(train)) for arm, change in self.arms.items()}
        return {arm: {k: v for k, v in own.items() if v != base[k]} for arm, own in arms.items()}


PAPERS_ENSEMBLE = 5

_WHOLE = {"whole": ablations.whole}

CLAIMS = {
    "relu": Claim(
        "A network of ReLUs learns several times as fast as one of tanh units.",
        "paper section 3.1 and figure 1; lecture, ReLU",
        "6 times fewer epochs to 25 % training error, four-layer network on CIFAR-10, no regularisation",
        "none: the notes do not say which network figure 1 shows",
        "race",
        {"relu": ablations.whole, "tanh": ablations.tanh},
    ),
    "lrn": Claim(
        "Local response normalisation takes 1.4 points off the top-1 error and 1.2 off the top-5 error.",
        "paper section 3.3; lecture, local response normalisation",
        "1.4 and 1.2 points",
        "net 148 without it 42.03 / 19.36 %, net 145 with it 40.66 / 18.21 % (2012 validation): 1.37 and 1.15 points; "
        "but net 167 of January 2013, without the second normalisation, has 40.49 / 18.12 %",
        arms=_WHOLE | {"without-lrn": ablations.without_lrn},
        top1=0.014,
        top5=0.012,
    ),
    "overlap": Claim(
        "Overlapping pooling takes 0.4 points off the top-1 error and 0.3 off the top-5 error.",
        "paper section 3.4; lecture, pooling",
        "0.4 and 0.3 points against windows of 2 at stride 2",
        "net 147 with 2 x 2 pooling 41.06 / 18.51 %, net 145 40.66 / 18.21 % (2012 validation): 0.39 and 0.30 points",
        arms=_WHOLE | {"pooling-2x2": ablations.pooling_2x2},
        top1=0.004,
        top5=0.003,
    ),
    "augmentation": Claim(
        "Crops and reflections multiply the data by 2048; without them the network overfits.",
        "paper section 4.1; lecture, data augmentation",
        "no figure: without it the network suffers from substantial overfitting",
        "none",
        arms=_WHOLE | {"without-crops-and-flips": ablations.without_crops_and_flips},
    ),
    "colour": Claim(
        "Changing the colours along their principal components takes over 1 point off the top-1 error.",
        "paper section 4.1; lecture, PCA colour",
        "over 1 point",
        "no pair of nets; net 145 was trained with it until epoch 67 only",
        arms=_WHOLE | {"without-colour": ablations.without_colour},
        top1=0.01,
    ),
    "dropout": Claim(
        "Dropout of one half in fc6 and fc7 keeps the network from overfitting.",
        "paper section 4.2; lecture, dropout",
        "no figure: without it the network overfits substantially; it doubles the iterations needed",
        "none",
        arms=_WHOLE | {"without-dropout": ablations.without_dropout},
    ),
    "towers": Claim(
        "Two towers on two GPUs take 1.7 points off the top-1 error and 1.2 off the top-5 error of one.",
        "paper section 3.2; lecture, two GPUs",
        "1.7 and 1.2 points; the one-GPU network keeps the whole conv5 and fc6, so it is more than half of the two",
        "net 145-half 39.17 / 18.23 %, net 145 37.47 / 17.00 % (2010 test): 1.70 and 1.23 points",
        arms={"two-towers": ablations.two_towers, "one-tower": ablations.one_tower},
        top1=0.017,
        top5=0.012,
    ),
    "ensemble": Claim(
        "Several networks averaged err less than one.",
        "paper section 6 and table 2; lecture, results",
        "five networks 38.1 / 16.4 %, one 40.7 / 18.2 % (2012 validation): 2.6 and 1.8 points",
        "nets 131, 135, 137, 145 and 145f; single ones 40.7 to 41.1 %",
        "ensemble",
        _WHOLE,
        top1=0.026,
        top5=0.018,
    ),
    "views": Claim(
        "Ten views of a picture, averaged, err less than the centre alone.",
        "paper section 4.1 and table 1; lecture, data augmentation",
        "37.5 / 17.0 % with ten views, 39.0 / 18.3 % with one (2010 test): 1.5 and 1.3 points",
        "net 145 37.47 / 17.00 % and 39.02 / 18.30 %: 1.55 and 1.30 points",
        "views",
        _WHOLE,
        top1=0.015,
        top5=0.013,
    ),
    "depth": Claim(
        "Every layer is needed: leaving a middle one out costs about 2 points of top-1 error.",
        "paper section 7; lecture, architecture",
        "about 2 points of top-1 error for any of the middle layers",
        "none that names the layer",
        arms=_WHOLE | {"without-conv4": ablations.without_conv4},
        top1=0.02,
    ),
    "parameters": Claim(
        "62.3 million parameters and 1.1 billion multiply-adds; the convolutions have 6 % of the parameters and 95 % "
        "of the multiply-adds.",
        "lecture, architecture; the paper's 60 million (section 1) are those of the two towers",
        "60 million parameters",
        "none: arithmetic",
        "count",
    ),
}


def as_published(claim: Claim, networks: int) -> Claim:
    """Gives the claim without the paper's figure where it is of another number of averaged networks."""
    return claim if claim.kind != "ensemble" or networks == PAPERS_ENSEMBLE else replace(claim, top1=None, top5=None)


def claim(name: str) -> Claim:
    """Looks a claim up by name.

    Raises:
        UsageError: There is no such claim.
    """
    if name not in CLAIMS:
        raise UsageError(f"no claim {name!r}; there are {', '.join(CLAIMS)}")
    return CLAIMS[name]
