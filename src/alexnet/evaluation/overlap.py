"""Which pictures of the data networks were trained on, by the bytes of their files, whatever these are called there."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexnet.data.store import Store
from alexnet.errors import CheckpointError
from alexnet.evaluation.evaluate import splits_of
from alexnet.records import Header
from alexnet.run import Run

Overlap = dict[str, NDArray[np.bool_]]
"""For each split a mask, (N,), of the pictures that a network was trained on."""


def overlap(networks: Iterable[tuple[Path, Header]], store: Store, split: str) -> Overlap | None:
    """Returns the pictures of some splits, joined by `+`, on which at least one of the networks was trained.

    A network is a run folder, or a weight file in one, with its header. Returns None where it is not known: the run
    does not say what its pictures are known by, or the store does not. Of the very store that the run names they are
    known all the same: its split `train`.

    Raises:
        UsageError: There is no such split.
        CheckpointError: The list of a run's pictures is damaged.
    """
    masks = {name: np.zeros(len(part), bool) for name, part in splits_of(store, split).items()}
    for place, header in networks:
        digests = _pictures(place, header)
        is_own = header.data is not None and header.data.hash == store.content_hash
        for name, mask in masks.items():
            known_by = store.splits[name].digests
            if digests is not None and known_by.all():
                mask |= np.isin(known_by, digests)
            elif not is_own:
                return None
            mask |= is_own and name == "train"
    return masks


def _pictures(place: Path, header: Header) -> NDArray[np.uint64] | None:
    """Returns what the pictures of a network's run are known by, if the folder is that run's."""
    run = Run(place if place.is_dir() else place.parent)
    if not run.exists or header.data is None:
        return None
    try:
        trained_with = run.description().data
    except CheckpointError:  # another program's file
        return None
    return run.pictures() if trained_with and trained_with.hash == header.data.hash else None
