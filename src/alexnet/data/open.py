"""The one door to data: what a user named becomes an open store, packed into the cache if it is not yet."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np

from alexnet.data import decode
from alexnet.data.commit import QUALITY, OnBadImage, identity
from alexnet.data.heldout import understanding
from alexnet.data.listing import Listing, Names, Source, drawn
from alexnet.data.manifest import MANIFEST, is_store
from alexnet.data.pack import pack
from alexnet.data.remote import is_remote, open_remote
from alexnet.data.sources import SOLAR_CELLS, open_source
from alexnet.data.store import Split, Store
from alexnet.errors import UsageError
from alexnet.files import cache, from_home
from alexnet.observer import Observer
from alexnet.records import EVERYTHING, Dataset, Draw, Selection, Square

_SQUARES: dict[Square, str] = {"centre": "the centre squares of its pictures", "warp": "its pictures warped to squares"}


def open_data(
    source: str | Path,
    *,
    size: int = 256,
    square: Square = "centre",
    most: int | None = None,
    most_training: int | None = None,
    is_resized: bool = False,
    draw: Draw = "content",
    selection: Selection = EVERYTHING,
    is_measured: bool = False,
    on_bad_image: OnBadImage = "skip",
    observer: Observer | None = None,
) -> Store:
    """Opens a packed store as it is; packs any other source into the cache, or finds it there.

    A source without a split of its own has the same held-out quarter whatever the seed of a training, so that runs of
    several seeds are measured, and averaged, on pictures that none has seen.

    Args:
        source: The directory or address of a store, or whatever `open_source` accepts.
        size: Side of the pictures in pixels; a packed store may have another.
        square: How the pictures become square.
        most: About how many pictures of each split to take; None takes all.
        most_training: About how many pictures of the training split to take; None takes `most`.
        is_resized: Whether a packed store of another size is packed again at `size`.
        draw: What decides which pictures are held out of a source without splits; a network's own data say what did.
        selection: As in `open_source`; a packed store has what it was packed with.
        is_measured: As in `open_source`.
        on_bad_image: As in `pack`.
        observer: Is told about scanning a folder, and about packing.

    Raises:
        UsageError: There is no such source, it is of no known kind, or it is a store of pictures made square otherwise.
        DataError: The source, the store or the network cannot serve, or the disk is full.
        BadImage: A picture is bad and `on_bad_image` is "stop".
    """
    observer = observer or Observer()
    if is_remote(source) or is_store(source):
        store = _open_packed(source)
        check_square(store, square)
        _check_packed(store, selection, is_measured)
        if most is most_training is None and (store.size == size or not is_resized):
            return store
        pictures = from_store(store)
    else:
        pictures = open_source(source, draw=draw, selection=selection, is_measured=is_measured, observer=observer)
        if square == "warp":
            pictures = warped(pictures, size)
    return _packed(_fewer(pictures, most, most_training), size, on_bad_image, observer)


def _fewer(pictures: Source, most: int | None, most_training: int | None) -> Source:
    numbers = {} if most is None else dict.fromkeys(pictures.splits, most)
    return subset(pictures, numbers | ({} if most_training is None else {"train": most_training}))


def _packed(pictures: Source, size: int, on_bad_image: OnBadImage, observer: Observer) -> Store:
    """Packs a source into the cache, or finds it there; says first what it was understood to be."""
    place = cache_directory(pictures, size)
    if is_new := not is_store(place):
        for line in understanding(pictures).lines():
            observer.notice(f"alexnet: {line}")
        observer.began("packing")
    store = pack(pictures, place, size=size, on_bad_image=on_bad_image, progress=observer.advanced)
    store.is_announced = is_new
    with suppress(OSError):
        os.utime(place / MANIFEST)  # its last use
    return store


def open_undecoded(source: str | Path, observer: Observer | None = None) -> Source:
    """Opens the files of pictures as they are, those of a packed store too, without reading any.

    Of a source without splits other pictures are held out than `open_data` does. Errors are those of `open_data`.
    """
    if is_remote(source) or is_store(source):
        return from_store(_open_packed(source))
    return open_source(source, draw="names", observer=observer)


def _open_packed(place: str | Path) -> Store:
    return open_remote(str(place), cache()) if is_remote(place) else Store(from_home(place))


def _check_packed(store: Store, selection: Selection, is_measured: bool) -> None:
    if selection not in (EVERYTHING, store.selection):
        raise UsageError(
            f"{store.location} is packed: give `exclude`, `labels` and `split_by_duplicates` with the source that "
            "it was packed from"
        )
    if "train" not in store.splits and not is_measured:
        raise UsageError(f"{store.location} holds pictures to measure on, none to train on: give their source")


def is_new(source: str | Path, trained_on: Dataset | None) -> bool:
    """Returns whether a source holds other pictures than a network was trained on.

    It does not where it is packed, lies where those did, or has as many pictures of the same splits or of none, as one
    that was moved.
    """
    if is_remote(source) or is_store(source) or str(source) == SOLAR_CELLS:
        return False
    if trained_on is None or trained_on.source is None:
        return True
    if from_anywhere(source) == from_anywhere(trained_on.source):
        return False
    if trained_on.selection.labels:
        return True
    opened = open_source(source, selection=trained_on.selection, is_measured=True)
    return sum(map(len, opened.splits.values())) != sum(trained_on.counts.values()) + len(trained_on.quarantine)


def check_square(store: Store, square: Square) -> None:
    """Refuses a store whose pictures were made square otherwise than a network was trained on.

    Raises:
        UsageError: The store's pictures became square in another way than `square`.
    """
    if store.square != square:
        raise UsageError(
            f"{store.location} holds {_SQUARES[store.square]}, but the network was trained on {_SQUARES[square]}: "
            "give the source that the store was packed from"
        )


def default_split(data: Store | Source) -> str:
    """Returns the split that is measured where the user names none: "val" if there is one, else "test"."""
    return "val" if "val" in data.splits else "test"


def source_of(data: Dataset | None) -> str:
    """Returns the source that a network was trained on, as its user named it.

    Raises:
        UsageError: The source is not recorded, or is an address: a file must not decide which machine is called.
    """
    source = data.source if data else None
    if not source:
        raise UsageError("the run does not say what it was trained with; give `data`")
    if is_remote(source):
        raise UsageError(f"the run was trained with {source}; give `data={source}` to fetch from there")
    return source


def present_source(data: Dataset | None) -> str:
    """Returns the source that a network was trained on, if it is still there.

    Raises:
        UsageError: As by `source_of`; or its folder or file is gone.
    """
    source = source_of(data)
    if Path(source).is_absolute() and not Path(source).exists():
        raise UsageError(
            f"there is no source {source} any more, with which the run was trained: say by `data` where it lies now"
        )
    return source


def from_anywhere(source: str | Path) -> str:
    """Returns a source as it is found from any working directory: a path becomes absolute, a name or address stays."""
    path = from_home(source)
    return str(path.absolute()) if source != SOLAR_CELLS and path.exists() else str(source)


def refuse_inside(folder: Path, source: str) -> None:
    """Keeps the folder of a run out of the folder of pictures, where it would be taken for a class.

    Raises:
        UsageError: The folder lies in the source.
    """
    pictures = Path(source).resolve()
    if pictures.is_dir() and folder.resolve().is_relative_to(pictures):
        raise UsageError(f"{folder} lies inside {source}, which is only read: choose a folder outside of it")


def cache_directory(source: Source, size: int = 256) -> Path:
    """Returns the folder of the cache in which a source is packed.

    Each source that was changed or moved, each seed and each size has a folder of its own.
    """
    # Anybody may have chosen the source's name: only characters that are safe in a file name are kept of it.
    name = re.sub(r"^\.|[^\w.-]", "_", source.name)[:60]
    facts = f"{source.path}\n{identity(source, size, QUALITY)}".encode(errors="replace")
    return cache() / f"{name}-{size}-{blake2b(facts, digest_size=8).hexdigest()}"


def subset(source: Source, most: Mapping[str, int], seed: int = 0) -> Source:
    """Returns a source of about `most[split]` pictures of a split; smaller splits, and the others, are left whole.

    The classes keep their proportions, each keeps at least one picture, and the pictures keep their order.

    Raises:
        UsageError: A number is below 1.
    """
    if (least := min(most.values(), default=1)) < 1:
        raise UsageError(f"a subset takes at least 1 picture of a split, got {least}")
    larger = {name: listing for name, listing in source.splits.items() if len(listing) > most.get(name, len(listing))}
    if not larger:
        return source
    splits = dict(source.splits)
    for name, listing in larger.items():
        # The word "share" is part of the seed: another would choose other pictures.
        chosen = drawn(listing, source.classes, most[name] / len(listing), seed, f"share of {name}")
        splits[name] = listing.take(np.flatnonzero(chosen))
    return replace(source, splits=splits, fingerprint=f"{source.fingerprint}at most {dict(most)}, seed {seed}\n")


def from_store(store: Store) -> Source:
    """Returns a packed store as a source, so that it can be packed again: a subset of it, or smaller pictures."""
    return Source(
        name=store.name,
        kind="store",
        classes=store.classes,
        splits={name: _listing(split) for name, split in store.splits.items()},
        fingerprint=f"store {store.content_hash}\n",
        path=store.directory,
        is_split_drawn=store.is_split_drawn,
        layout=store.layout,
        notes=store.notes,
        selection=store.selection,
        left_out=list(store.left_out),
        licence=store.licence,
        details=store.details,
        decoding=store.decoding,
    )


def _listing(split: Split) -> Listing:
    names = Names(split.name(i).encode() for i in range(len(split)))
    return Listing(split.labels, np.arange(len(split)), names, lambda row: bytes(split.jpeg(row)), split.digests)


def warped(source: Source, size: int) -> Source:
    """Returns a source whose pictures packing, at `size` pixels, stretches to squares."""
    fingerprint = f"{source.fingerprint}warped to {size}\n"
    return replace(source, fingerprint=fingerprint, decoding=decode.WARPED, square="warp")
