"""A part of a source, and a store as a source again: a few pictures of a large set, at another size."""

from dataclasses import replace

import numpy as np

from alexnet.data.listing import Listing, Names, Source, drawn
from alexnet.data.shards import Split, Store
from alexnet.errors import UsageError


def share(source: Source, most: int, seed: int = 0) -> Source:
    """Gives a source of at most about `most` pictures a split; a split that has no more is left whole.

    Every class keeps its share of a split, and one picture at least. The draw of a class depends on the seed, the
    split, its name and its size only; what is left keeps its order.

    Raises:
        UsageError: `most` is below 1.
    """
    if most < 1:
        raise UsageError(f"a share takes at least 1 picture of a split, got {most}")
    if all(len(listing) <= most for listing in source.splits.values()):
        return source
    splits = dict(source.splits)
    for name, listing in source.splits.items():
        if len(listing) > most:
            chosen = drawn(listing, source.classes, most / len(listing), seed, f"share of {name}")
            splits[name] = listing.take(np.flatnonzero(chosen))
    return replace(source, splits=splits, fingerprint=f"{source.fingerprint}at most {most}, seed {seed}\n")


def from_store(store: Store) -> Source:
    """Gives a packed store as a source, so that it can be packed anew: a share of it, or smaller."""
    splits = {name: _listing(split) for name, split in store.splits.items()}
    return Source(
        name=store.name,
        kind="store",
        classes=store.classes,
        splits=splits,
        fingerprint=f"store {store.content_hash}\n",
        path=store.directory,
        is_split_drawn=store.is_split_drawn,
        licence=store.licence,
        details=store.details,
        decoding=store.decoding,
    )


def _listing(split: Split) -> Listing:
    names = Names()
    for i in range(len(split)):
        names.append(split.name(i).encode())
    return Listing(split.labels, np.arange(len(split)), names, lambda row: bytes(split.jpeg(row)))
