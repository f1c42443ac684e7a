"""Each arm of an experiment as one change of the settings."""

from dataclasses import replace

from alexnet.config import Train


def whole(train: Train) -> Train:
    """Changes nothing: the network with all that the lecture gives it."""
    return train


def tanh(train: Train) -> Train:
    """Takes the hyperbolic tangent instead of the ReLU."""
    return replace(train, activation="tanh")


def without_lrn(train: Train) -> Train:
    """Leaves local response normalisation out, as net 148 of the 2012 source."""
    return replace(train, lrn=False)


def pooling_2x2(train: Train) -> Train:
    """Pools windows of 2 at stride 2, as net 147."""
    return replace(train, pooling="2x2")


def without_crops_and_flips(train: Train) -> Train:
    """Shows the centre of every picture, always the same way round."""
    return replace(train, crops=False, flips=False, turns=False)


def without_colour(train: Train) -> Train:
    """Leaves the colours as they are."""
    return replace(train, colour="none")


def without_dropout(train: Train) -> Train:
    """Silences no unit."""
    return replace(train, dropout=0.0)


def two_towers(train: Train) -> Train:
    """Net 145 of the 2012 source, on two GPUs."""
    return replace(train, variant="alexnet-as-run")


def one_tower(train: Train) -> Train:
    """Net 145-half: one of the two towers, with the whole conv5, fc6 and fc7."""
    return replace(train, variant="alexnet-one-tower")


def without_conv4(train: Train) -> Train:
    """Leaves out a layer in the middle."""
    return replace(train, without="conv4")
