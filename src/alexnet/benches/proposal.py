"""A training to begin with: recipe, sizes and length, from the pictures and the time that there is."""

from dataclasses import dataclass

from alexnet.models.variants import input_for_pictures, inputs, stored_size
from alexnet.recipes import MODERN, TINY_IMAGENET

SMALL = 128
"""The recipe for small pictures serves up to this shorter side, pixels."""

FEW, FEW_EPOCHS = 20_000, 90
"""Fewer training pictures than this are shown that often, where there is time: more steps still help them."""

FEW_FROM_SCRATCH = 10_000
"""Fewer training pictures than this learn more in minutes from trained weights than in an hour from scratch."""

FEWEST_EPOCHS = 10.0
"""A training of fewer passes is worse than one on smaller pictures."""


@dataclass(frozen=True)
class Proposal:
    """Settings of `train` from scratch that fit some pictures and some hours on a machine."""

    is_last_resort: bool  # whether there are so few pictures that trained weights are the better start
    recipe: str
    input_size: int  # pixels
    stored_size: int  # pixels
    epochs: float
    seconds: float | None  # that it takes, about; None where the rate is not known
    side: int | None  # median of the shorter sides of the pictures, pixels


def propose(
    variant: str, pictures: int, side: int | None, image_s: float | None, measured: int, hours: float
) -> Proposal:
    """Proposes the largest input of use for which there is time.

    Args:
        variant: The network.
        pictures: The number of training pictures.
        side: The median of their shorter sides, pixels; None where it is not known.
        image_s: Seconds that a picture takes in training at the input `measured`; None where that is not known. At
            other inputs it is taken to be in proportion to their area.
        measured: Side of the input at which that was measured, pixels.
        hours: How long the training may take.
    """
    recipe = TINY_IMAGENET if side is not None and side <= SMALL else MODERN
    wanted = max(recipe.epochs, FEW_EPOCHS) if pictures < FEW else recipe.epochs
    largest = inputs(variant)[0] if side is None else input_for_pictures(variant, side)
    sizes = [size for size in inputs(variant) if size <= largest]

    def epoch_s(size: int) -> float:
        return pictures * (image_s or 0.0) * (size / measured) ** 2

    def possible(size: int) -> float:
        return hours * 3600 / epoch_s(size) if image_s else wanted

    size = next((size for size in sizes if possible(size) >= min(wanted, 2 * FEWEST_EPOCHS)), sizes[-1])
    epochs = max(1.0, float(int(min(wanted, max(possible(size), FEWEST_EPOCHS)))))
    return Proposal(
        is_last_resort=pictures < FEW_FROM_SCRATCH,
        recipe=recipe.recipe,
        input_size=size,
        stored_size=stored_size(variant, size),
        epochs=epochs,
        seconds=epochs * epoch_s(size) if image_s else None,
        side=side,
    )
