"""The published networks: AlexNets, each a row of differences from the lecture's, and cuda-convnet's for CIFAR-10."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from alexnet.errors import UsageError

Kind = TypeVar("Kind")

_STRIDE = 32  # of the convolutions and poolings of an AlexNet together
_SMALLEST = 62  # inputs are larger than this

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
"""The layers that learn, from input to output."""


@dataclass(frozen=True)
class Variant:
    """What tells one AlexNet from another; the defaults are the lecture's network.

    A block is written as the order of its layers; `norm` is local response normalisation across channels, `same` the
    2012 source's extra normalisation within one channel.
    """

    about: str  # one line for `alexnet summary`
    channels: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)  # filters of conv1 .. conv5
    hidden: int = 4096  # units of fc6 and fc7
    groups: int = 1  # into how many groups conv2, conv4 and conv5 are cut
    towers: int = 1  # over how many channel ranges `norm` runs: 2 where each GPU normalised its own half
    input_size: int = 227  # side of the square input, pixels, that the network was published for
    stored_size: int = 256  # side of the pictures that crops are taken from, pixels
    # `none`; `end`, zeros at the bottom and right so that the last filter fits (2012 source); `both`, two zeros on
    # every side (torchvision).
    conv1_padding: str = "none"
    block1: str = "conv relu norm pool"
    block2: str = "conv relu norm pool"
    block5: str = "conv relu pool"
    head: str = "fc relu drop"  # of fc6 and fc7 each, with dropout after the ReLU or before the layer
    k: float = 2.0  # k, alpha, beta, size: constants of `norm`
    alpha: float = 1e-4  # multiplies the plain *sum* of squares, not their mean
    beta: float = 0.75
    size: int = 5
    rescale_dropout: bool = False  # divide by the keep probability in training, or else multiply by it at test time
    initialisation: str = "paper"  # row of `models.initialise.SCHEMES` that the authors used
    dropout: float = 0.5
    classes: int = 1000


_AS_RUN = Variant(
    "net 145 of the 2012 source, which gave the published numbers",
    groups=2,
    towers=2,
    input_size=224,
    conv1_padding="end",
    block1="conv norm pool relu",
    block2="conv relu norm same pool",
    block5="conv pool relu",
    alpha=2e-5,
    initialisation="source",
)

VARIANTS = {
    "alexnet": Variant("the lecture's network: one tower"),
    "alexnet-two-tower": Variant(
        "the paper's layers as written: two towers that meet at conv3, fc6, fc7 and fc8", groups=2, towers=2
    ),
    "alexnet-as-run": _AS_RUN,
    "alexnet-one-tower": replace(
        _AS_RUN,
        about="net 145-half: one tower of the two, the paper's one-GPU control",
        channels=(48, 128, 192, 192, 256),
        groups=1,
        towers=1,
    ),
    "caffe-alexnet": Variant(
        "Caffe's bvlc_alexnet", groups=2, k=1.0, alpha=2e-5, rescale_dropout=True, initialisation="caffe"
    ),
    "caffenet": Variant(
        "Caffe's reference network: pooling before normalisation",
        groups=2,
        block1="conv relu pool norm",
        block2="conv relu pool norm",
        k=1.0,
        alpha=2e-5,
        rescale_dropout=True,
        initialisation="caffenet",
    ),
    "one-weird-trick": Variant(
        "torchvision's alexnet: one tower, narrower, no normalisation",
        channels=(64, 192, 384, 256, 256),
        input_size=224,
        conv1_padding="both",
        block1="conv relu pool",
        block2="conv relu pool",
        head="drop fc relu",
        rescale_dropout=True,
        initialisation="torch",
    ),
}


@dataclass(frozen=True)
class Cifar:
    """One of cuda-convnet's networks for CIFAR-10; fields of the same name mean what they do in `Variant`.

    `layers` has the layers in the order they are called, a block for each layer with weights: `conv` is 5 x 5, `local`
    3 x 3 with filters of its own at every place, `fc` fully connected, each with the number of its outputs (the last
    has the classes); `max` and `avg` pool windows of 3 at stride 2; `norm` normalises across 9 channels, `same` over
    3 x 3 places of one channel.
    """

    about: str
    layers: str
    decays: tuple[float, ...]  # factor of the weight decay of each layer with weights
    initialisation: str
    input_size: int = 32
    stored_size: int = 32
    dropout: float = 0.0
    classes: int = 10


_18PCT = Cifar(
    "18 % error without augmentation: 3 convolutions, normalisation within channels",
    "conv32 max relu same, conv32 relu avg same, conv64 relu avg, fc",
    (1, 1, 1, 250),
    "cifar-18pct",
)

_13PCT = Cifar(
    "13 % error with crops and reflections: 2 convolutions, 2 locally connected layers",
    "conv64 relu max, conv64 relu max, local32 relu, local32 relu, fc",
    (0, 0, 1, 1, 1),
    "cifar-13pct",
    input_size=24,
)

CIFAR = {
    "cifar-80sec": Cifar(
        "26 % error in 80 seconds of 2011: 3 convolutions, 2 fully connected layers",
        "conv32 max relu, conv32 relu avg, conv64 relu avg, fc64 relu, fc",
        (1, 1, 1, 7.5, 7.5),
        "cifar-80sec",
    ),
    "cifar-19pct": replace(
        _18PCT,
        about="the same without normalisation",
        layers="conv32 max relu, conv32 relu avg, conv64 relu avg, fc",
        decays=(1, 1, 1, 750),
    ),
    "cifar-18pct": _18PCT,
    "cifar-13pct": _13PCT,
    "cifar-11pct": replace(
        _13PCT,
        about="11 % error with crops and reflections: normalisation across channels",
        layers="conv64 relu max norm, conv64 relu norm max, local64 relu, local32 relu, fc",
        decays=(0, 0, 1, 1, 2.5),
    ),
}


def row(name: str) -> Variant | Cifar:
    """Returns the AlexNet or the network for CIFAR-10 of that name.

    Raises:
        UsageError: There is no such variant.
    """
    rows: dict[str, Variant | Cifar] = {**VARIANTS, **CIFAR}
    return look_up(name, rows)


def stored_size(name: str, input_size: int | None) -> int:
    """Returns the side of stored pictures that suits an input: 256 at an AlexNet's own, in proportion otherwise.

    Raises:
        UsageError: There is no such variant.

    Source: paper section 2 (256) and section 4.1 (crops of 224); cuda-convnet crops 24 of CIFAR's 32.
    """
    own = row(name)
    return own.stored_size if input_size is None else round(own.stored_size * input_size / own.input_size)


def inputs(name: str) -> tuple[int, ...]:
    """Returns sides of inputs, falling from a network's own, that its strides divide just as they divide that.

    The networks for CIFAR-10 have their own only.

    Raises:
        UsageError: There is no such variant.
    """
    own = row(name).input_size
    return tuple(range(own, _SMALLEST, -_STRIDE)) if name in VARIANTS else (own,)


def input_for_store(name: str, side: int) -> int | None:
    """Returns the largest input that suits stored pictures of `side` pixels; None where they are too small for any."""
    return next((size for size in inputs(name) if stored_size(name, size) <= side), None)


def input_for_pictures(name: str, side: int) -> int:
    """Returns the smallest input that loses nothing of pictures with a shorter side of `side` pixels.

    Pictures are enlarged by half at least, since the first layer looks at every fourth pixel only.
    """
    return next((size for size in reversed(inputs(name)) if stored_size(name, size) >= 1.5 * side), inputs(name)[0])


def look_up(name: str, rows: Mapping[str, Kind]) -> Kind:
    """Returns a row of a table of variants.

    Raises:
        UsageError: There is no such row.
    """
    if name not in rows:
        raise UsageError(f"no variant {name!r}; there are {', '.join(rows)}")
    return rows[name]
