"""The one door to stores: what is packed already, or what gets packed into the cache."""

import os
import re
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from alexnet.data.commit import QUALITY, Progress, identity
from alexnet.data.listing import Source
from alexnet.data.manifest import is_store
from alexnet.data.pack import pack
from alexnet.data.remote import is_remote, open_remote
from alexnet.data.shards import Split, Store
from alexnet.data.sources import open_source
from alexnet.files import from_home

__all__ = ["Split", "Store", "cache_directory", "is_store", "open_store", "pack"]


def open_store(
    spec: str | Path,
    *,
    seed: int = 0,
    size: int = 256,
    on_bad_image: Literal["skip", "stop"] = "skip",
    progress: Progress | None = None,
) -> Store:
    """Opens a store as it is, or packs a source into the cache, or finds it there.

    Args:
        spec: A store's directory or address, or whatever `open_source` takes.
        seed: Of the held-out quarter, where the source brings no split of its own.
        size: Side of the pictures, for a source.
        on_bad_image: As in `pack`.
        progress: As in `pack`; not called when nothing is packed.

    Raises:
        UsageError, DataError: As `open_source`, `pack`, `Store` and `open_remote`.
    """
    if is_remote(spec):
        return open_remote(str(spec), cache())
    if is_store(spec):
        return Store(from_home(spec))
    source = open_source(spec, seed=seed)
    place = cache_directory(source, size)
    return pack(source, place, size=size, on_bad_image=on_bad_image, progress=progress)


def cache() -> Path:
    """Gives $ALEXNET_CACHE, or else ~/.cache/alexnet."""
    return from_home(os.environ.get("ALEXNET_CACHE") or "~/.cache/alexnet")


def cache_directory(source: Source, size: int = 256) -> Path:
    """Gives where a source is packed by itself: a folder of the cache.

    A source that was changed or moved, another seed and another size each have a place of their own. Of the source's
    name only what is safe in a file name is taken, whoever chose it.
    """
    name = re.sub(r"^\.|[^\w.-]", "_", source.name)[:60]
    facts = f"{source.path}\n{identity(source, size, QUALITY)}".encode(errors="replace")
    return cache() / f"{name}-{size}-{blake2b(facts, digest_size=8).hexdigest()}"
