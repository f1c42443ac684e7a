"""What the lecture claims, where it says so, what was measured in 2012, and the experiment that tests it.

Source: "the paper" is Krizhevsky, Sutskever, Hinton 2012; nets and their logs are those of the 2012 source
(computerhistory/AlexNet-Source-Code), `layers/layer-params-N.cfg`. Logged errors are of ten views.
"""

import json
from dataclasses import dataclass

import msgspec

from alexnet.claims.comparison import Comparison, Ensemble, Views
from alexnet.claims.count import Count
from alexnet.claims.experiment import Conditions, Experiment, Outcome
from alexnet.claims.race import Race
from alexnet.claims.transfer import Transfer

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")


@dataclass(frozen=True)
class Claim:
    """What the lecture says and where, what the paper measured, what the notes of 2012 say, and the experiment."""

    statement: str
    where: str
    paper: str
    log: str
    experiment: Experiment | Count


@dataclass(frozen=True)
class ClaimResult:
    """A claim by its name, and the answer with its date, ISO 8601; without conditions where nothing was trained."""

    name: str
    claim: Claim
    conditions: Conditions | None
    outcome: Outcome
    written: str

    def fields(self) -> dict[str, object]:
        """Returns the contents of `claim.json`, in which the parts of the result have no level of their own."""
        parts: dict[str, object] = {"claim": self.name, **listed(self.claim), "kind": self.claim.experiment.kind}
        for part in filter(None, (self.conditions, self.outcome)):
            parts |= msgspec.to_builtins(part)
        return parts | {"written": self.written}

    def to_json(self) -> str:
        """Returns the fields as JSON."""
        return json.dumps(self.fields(), indent=1)


CLAIMS = {
    "relu": Claim(
        "A network of ReLUs learns several times as fast as one of tanh units.",
        "paper section 3.1 and figure 1; lecture, ReLU",
        "6 times fewer epochs to 25 % training error, four-layer network on CIFAR-10, no regularisation",
        "none: the notes do not say which network figure 1 shows",
        Race({"relu": {}, "tanh": {"activation": "tanh"}}),
    ),
    "lrn": Claim(
        "Local response normalisation takes 1.4 points off the top-1 error and 1.2 off the top-5 error.",
        "paper section 3.3; lecture, local response normalisation",
        "1.4 and 1.2 points",
        "net 148 without it 42.03 / 19.36 %, net 145 with it 40.66 / 18.21 % (2012 validation): 1.37 and 1.15 points; "
        "but net 167 of January 2013, without the second normalisation, has 40.49 / 18.12 %",
        Comparison({"whole": {}, "without-lrn": {"lrn": False}}, top1=0.014, top5=0.012),
    ),
    "overlap": Claim(
        "Overlapping pooling takes 0.4 points off the top-1 error and 0.3 off the top-5 error.",
        "paper section 3.4; lecture, pooling",
        "0.4 and 0.3 points against windows of 2 at stride 2",
        "net 147 with 2 x 2 pooling 41.06 / 18.51 %, net 145 40.66 / 18.21 % (2012 validation): 0.39 and 0.30 points",
        Comparison({"whole": {}, "pooling-2x2": {"pooling": "2x2"}}, top1=0.004, top5=0.003),
    ),
    "augmentation": Claim(
        "Crops and reflections multiply the data by 2048; without them the network overfits.",
        "paper section 4.1; lecture, data augmentation",
        "no figure: without it the network suffers from substantial overfitting",
        "none",
        Comparison({"whole": {}, "without-crops-and-flips": {"crops": False, "flips": False, "turns": False}}),
    ),
    "colour": Claim(
        "Changing the colours along their principal components takes over 1 point off the top-1 error.",
        "paper section 4.1; lecture, PCA colour",
        "over 1 point",
        "no pair of nets; net 145 was trained with it until epoch 67 only",
        Comparison({"whole": {}, "without-colour": {"colour": "none"}}, top1=0.01),
    ),
    "dropout": Claim(
        "Dropout of one half in fc6 and fc7 keeps the network from overfitting.",
        "paper section 4.2; lecture, dropout",
        "no figure: without it the network overfits substantially; it doubles the iterations needed",
        "none",
        Comparison({"whole": {}, "without-dropout": {"dropout": 0.0}}),
    ),
    "towers": Claim(
        "Two towers on two GPUs take 1.7 points off the top-1 error and 1.2 off the top-5 error of one.",
        "paper section 3.2; lecture, two GPUs",
        "1.7 and 1.2 points; the one-GPU network keeps the whole conv5 and fc6, so it is more than half of the two",
        "net 145-half 39.17 / 18.23 %, net 145 37.47 / 17.00 % (2010 test): 1.70 and 1.23 points",
        Comparison(
            {"two-towers": {"variant": "alexnet-as-run"}, "one-tower": {"variant": "alexnet-one-tower"}},
            top1=0.017,
            top5=0.012,
        ),
    ),
    "ensemble": Claim(
        "Several networks averaged err less than one.",
        "paper section 6 and table 2; lecture, results",
        "five networks 38.1 / 16.4 %, one 40.7 / 18.2 % (2012 validation): 2.6 and 1.8 points",
        "nets 131, 135, 137, 145 and 145f; single ones 40.7 to 41.1 %",
        Ensemble({"whole": {}}, top1=0.026, top5=0.018, networks=5),
    ),
    "views": Claim(
        "Ten views of a picture, averaged, err less than the centre alone.",
        "paper section 4.1 and table 1; lecture, data augmentation",
        "37.5 / 17.0 % with ten views, 39.0 / 18.3 % with one (2010 test): 1.5 and 1.3 points",
        "net 145 37.47 / 17.00 % and 39.02 / 18.30 %: 1.55 and 1.30 points",
        Views({"whole": {}}, top1=0.015, top5=0.013),
    ),
    "depth": Claim(
        "Every layer is needed: leaving a middle one out costs about 2 points of top-1 error.",
        "paper section 7; lecture, architecture",
        "about 2 points of top-1 error for any of the middle layers",
        "none that names the layer",
        Comparison({"whole": {}, "without-conv4": {"without": "conv4"}}, top1=0.02),
    ),
    "transfer": Claim(
        "A network that starts from trained weights errs less than one that starts from scratch.",
        "paper section 6, networks pre-trained on the Fall 2011 release (CNN*); Yosinski et al. 2014",
        "1.7 and 1.6 points, though with a sixth convolution (table 2); 2.1 points where conv5 to fc7 are tuned "
        "(Yosinski et al. 2014, half of ImageNet)",
        "net 146, pre-trained on 2011 and tuned, 38.99 / 16.62 %, net 145 40.66 / 18.21 % (2012 validation)",
        Transfer(
            {
                "fine-tuned": {},
                "from-scratch": {
                    **{"head_first": False, "renew": "none", "body_rate": 1.0, "bias_rate": 1.0},
                    **{"initialisation": "measured", "learning_rate": 0.02},
                },
                "frozen": {"epochs": 0.0},
                **{f"freeze-{layer}": {"freeze": layer} for layer in LAYERS},
            },
            top1=0.017,
            top5=0.016,
        ),
    ),
    "parameters": Claim(
        "62.3 million parameters and 1.1 billion multiply-adds; the convolutions have 6 % of the parameters and 95 % "
        "of the multiply-adds.",
        "lecture, architecture; the paper's 60 million (section 1) are those of the two towers",
        "60 million parameters",
        "none: arithmetic",
        Count(),
    ),
}


def listed(claim: Claim) -> dict[str, str]:
    """Returns what is claimed and what was measured in 2012, as JSON has it."""
    return {key: getattr(claim, key) for key in ("statement", "where", "paper", "log")}
