"""The held-out quarter of a source that has no splits, and what pictures are known by: their own bytes.

Names, folders and the other pictures of a source change; the bytes of a picture do not. Whoever adds, removes, renames
or copies pictures therefore moves none of the others between training and validation.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet import machine
from alexnet.data.groups import Groups, joined
from alexnet.data.listing import Digests, Integers, Listing, Source, digest, drawn
from alexnet.data.pictures import prefetch
from alexnet.errors import AlexNetError, DataError
from alexnet.files import cache, write
from alexnet.observer import Observer
from alexnet.records import LISTED, Draw, Understanding
from alexnet.seeds import fold

HELD_OUT = 0.25  # of every class
QUARTER = np.uint64(1 << 62)  # of what a hash can be
TOGETHER = 64  # pictures that a thread reads at a time


def divided(source: Source, seed: int, draw: Draw, observer: Observer) -> Source:
    """Returns a source without splits, all pictures of which are in "train", with a quarter of every class held out.

    Raises:
        DataError: A class has fewer than 2 pictures.
    """
    whole, classes = source.splits["train"], source.classes
    counts = np.bincount(whole.labels, minlength=len(classes))
    for name, count in zip(classes, counts, strict=True):
        if count < 2:
            raise DataError(f"class {name!r} has {count} picture: a split needs at least 2, add some")
    origin, fingerprint = f"{source.path}\n{source.fingerprint}", f"{source.fingerprint} seed {seed}"
    if draw == "names":
        splits: Mapping[str, Listing] = by_names(whole, classes, seed)
    else:
        groups = source.selection.groups
        splits, fingerprint = Quarter(whole, len(classes), seed, origin, observer, groups), f"{fingerprint} by content"
    return replace(source, splits=splits, fingerprint=fingerprint, is_split_drawn=True)


def understanding(source: Source) -> Understanding:
    """Returns what a source was understood to be, without reading its pictures."""
    if isinstance(source.splits, Quarter):
        counts = {"train": len(source.splits.whole)}
    elif source.is_split_drawn:
        counts = {"train": sum(map(len, source.splits.values()))}
    else:
        counts = {split: len(listing) for split, listing in source.splits.items()}
    return Understanding(
        source=source.name,
        layout=source.layout,
        classes=source.classes,
        counts=counts,
        held_out=HELD_OUT if source.is_split_drawn else None,
        notes=source.notes,
        left_out=tuple(source.left_out[:LISTED]),
    )


def by_names(whole: Listing, classes: tuple[str, ...], seed: int) -> dict[str, Listing]:
    """Splits a listing into "train" and "val" by the names and sizes of the classes; serves sources that never change.

    Runs of an earlier version were trained so on all sources without splits.
    """
    is_held = drawn(whole, classes, HELD_OUT, seed, "hold out")
    return {"train": whole.take(np.flatnonzero(~is_held)), "val": whole.take(np.flatnonzero(is_held))}


class Quarter(Mapping[str, Listing]):
    """The splits "train" and "val" of a source without splits, which are drawn when they are first used.

    The draw reads every file once, as packing does; what the files are known by is kept in the cache for the next time.

    Args:
        whole: All pictures.
        classes: The number of classes.
        seed: The seed of the draw.
        origin: Where the source lies and what it is, in words that change with its files.
        observer: Is told about the reading.
        groups: Paths of pictures that belong together.
    """

    def __init__(
        self, whole: Listing, classes: int, seed: int, origin: str, observer: Observer, groups: Groups = ()
    ) -> None:
        self.whole, self._classes, self._seed, self._observer = whole, classes, seed, observer
        self._groups = groups
        self._kept = cache() / "digests" / f"{blake2b(origin.encode(errors='replace'), digest_size=16).hexdigest()}.npy"

    def __getitem__(self, split: str) -> Listing:
        return self._splits[split]

    def __iter__(self) -> Iterator[str]:
        return iter(("train", "val"))

    def __len__(self) -> int:
        return 2

    @cached_property
    def _splits(self) -> dict[str, Listing]:
        digests = _kept_digests(self._kept, len(self.whole.names))
        if digests is None:
            digests = _read_digests(self.whole, self._observer)
            _keep(self._kept, digests)
        whole = replace(self.whole, digests=digests)
        draw, own = held_out, digests[whole.rows]
        if self._groups:
            draw, own = held_out_undivided, joined(own, whole, self._groups)
        is_held = draw(own, whole.labels, self._classes, self._seed)
        if not is_held.any():
            raise DataError("`split_by_duplicates` leaves nothing to hold out: every class is of one group")
        return {"train": whole.take(np.flatnonzero(~is_held)), "val": whole.take(np.flatnonzero(is_held))}


def held_out(digests: Digests, labels: Integers, classes: int, seed: int) -> npt.NDArray[np.bool_]:
    """Draws about a quarter of every class by the digests of its pictures alone, and returns a mask of those held out.

    A picture is held out if a hash of its digest and the seed lies in the lowest quarter: of a class of 100, between 17
    and 33 in 19 of 20 cases. So it stays where it is whatever happens to other pictures, and copies of it are with it.
    A class of which no picture lies there (of 10 pictures, every 18th class; of 20, every 300th) holds out the lowest,
    and a class of which all lie there trains on the highest. Only these exceptions can change sides as pictures come
    and go. Where all pictures of a class are copies of one, a quarter of the copies is held out. A picture that cannot
    be read is not held out.
    """
    hashes, is_known = _mixed(digests, seed), digests != 0
    is_held: npt.NDArray[np.bool_] = is_known & (hashes < QUARTER)
    lowest, highest = np.full(classes, np.iinfo(np.uint64).max, np.uint64), np.zeros(classes, np.uint64)
    np.minimum.at(lowest, labels[is_known], hashes[is_known])
    np.maximum.at(highest, labels[is_known], hashes[is_known])
    has_held = np.bincount(labels[is_held], minlength=classes) > 0
    is_all_held = np.bincount(labels[is_known & ~is_held], minlength=classes) == 0
    is_held |= is_known & ~has_held[labels] & (hashes == lowest[labels])
    is_held &= ~(is_all_held[labels] & (hashes == highest[labels]))
    for label in np.flatnonzero(lowest == highest):  # copies of one picture
        copies = np.flatnonzero(is_known & (labels == label))
        is_held[copies] = False
        is_held[copies[1:][: max(1, len(copies) // 4)]] = True
    return is_held


def held_out_undivided(digests: Digests, labels: Integers, classes: int, seed: int) -> npt.NDArray[np.bool_]:
    """Draws as `held_out` does, but pictures of one digest lie on one side, also if they are of several classes.

    Those of several classes are in no class's exception. A class that is of one digest alone is trained on.
    """
    _, of = np.unique(digests, return_inverse=True)
    first, last = np.full(len(labels), classes), np.zeros(len(labels), np.int64)
    np.minimum.at(first, of, labels)
    np.maximum.at(last, of, labels)
    has_one_class = (first == last)[of]
    is_held = (digests != 0) & (_mixed(digests, seed) < QUARTER)
    is_held[has_one_class] = held_out(digests[has_one_class], labels[has_one_class], classes, seed)
    is_divided = np.bincount(of, ~is_held) > 0
    return np.asarray(is_held & ~is_divided[of])


def _mixed(digests: Digests, seed: int) -> Digests:
    """Returns a number in [0, 2**64) for each digest and the seed.

    Source: Steele, Lea, Flood, Fast splittable pseudorandom number generators (2014), the mixing function of SplitMix.
    """
    mixed = digests + np.uint64(fold(seed, "hold out"))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _read_digests(whole: Listing, observer: Observer) -> Digests:
    """Reads every picture, and returns the digests by the rows of its names."""
    digests = np.zeros(len(whole.names), np.uint64)
    batches = [whole.rows[start : start + TOGETHER] for start in range(0, len(whole), TOGETHER)]
    observer.began("reading")
    read = prefetch(lambda rows: [_digest(whole, int(row)) for row in rows], batches, machine.cores(), ahead=8)
    for number, (rows, values) in enumerate(zip(batches, read, strict=True), start=1):
        digests[rows] = values
        observer.advanced(min(number * TOGETHER, len(whole)), len(whole))
    return digests


def _digest(whole: Listing, row: int) -> int:
    try:
        return digest(whole.fetch(row))
    except OSError:
        return 0


def _kept_digests(path: Path, count: int) -> Digests | None:
    try:
        kept = np.load(path)
    except (OSError, ValueError, EOFError, OverflowError, MemoryError):
        return None
    return kept if kept.dtype == np.uint64 and kept.shape == (count,) else None


def _keep(path: Path, digests: Digests) -> None:
    """Keeps the digests in the cache where it can be written; elsewhere they are read again the next time."""
    buffer = BytesIO()
    np.save(buffer, digests, allow_pickle=False)
    with suppress(OSError, AlexNetError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, buffer.getvalue())
