"""Sources made from others: a subset, warped pictures, and a store as a source again."""

from dataclasses import replace

import numpy as np

from alexnet.data import decode
from alexnet.data.listing import Listing, Names, Source, drawn
from alexnet.data.shards import Split
from alexnet.data.store import Store
from alexnet.errors import UsageError


def subset(source: Source, most: int, seed: int = 0) -> Source:
    """Returns a source of about `most` pictures a split; smaller splits are left whole.

    The classes keep their proportions, and each keeps at least one picture. The draw of a class depends only on the
    seed, the split, and the name and size of the class. The pictures keep their order.

    Raises:
        UsageError: `most` is below 1.
    """
    if most < 1:
        raise UsageError(f"a subset takes at least 1 picture of a split, got {most}")
    if all(len(listing) <= most for listing in source.splits.values()):
        return source
    splits = dict(source.splits)
    for name, listing in source.splits.items():
        if len(listing) > most:
            chosen = drawn(listing, source.classes, most / len(listing), seed, f"share of {name}")  # decides the draw
            splits[name] = listing.take(np.flatnonzero(chosen))
    return replace(source, splits=splits, fingerprint=f"{source.fingerprint}at most {most}, seed {seed}\n")


def from_store(store: Store) -> Source:
    """Returns a packed store as a source, so that it can be packed again: a subset of it, or smaller pictures."""
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


def warped(source: Source, size: int) -> Source:
    """Returns a source whose pictures are warped squares already, which packing leaves as they are."""
    splits = {name: _warped(listing, size) for name, listing in source.splits.items()}
    return replace(source, splits=splits, fingerprint=f"{source.fingerprint}warped to {size}\n", decoding=decode.WARPED)


def _warped(listing: Listing, size: int) -> Listing:
    def fetch(row: int) -> bytes:
        name = listing.names[row].decode("utf-8", "replace")
        pixels = decode.load(listing.fetch(row), name, size, "warp")
        return b"P6 %d %d 255\n" % (size, size) + pixels.tobytes()

    return replace(listing, fetch=fetch)
