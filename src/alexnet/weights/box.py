"""The trained networks that come with the package, by their names.

A name stands for its network before it stands for a file or folder; `./tiny-imagenet` is always a path.
"""

from pathlib import Path

BOX = Path(__file__).parent.parent / "box"

TINY_IMAGENET = "tiny-imagenet"
"""The paper's two towers on 99 pixels, trained on Tiny ImageNet: 200 of ImageNet's classes."""

NAMES = (TINY_IMAGENET,)


def find(name: str | Path) -> Path | None:
    """Returns the weight file of a network in the box, or None for any other name."""
    from alexnet.weights import compressed  # it imports torch, which a list of the claims does not wait for

    return BOX / name / compressed.NAME if name in NAMES else None
