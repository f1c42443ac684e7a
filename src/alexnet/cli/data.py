"""Which pictures a command works on, packed where they are not yet."""

import sys
from pathlib import Path
from typing import Any

from alexnet.cli import render
from alexnet.config import Train
from alexnet.errors import UsageError
from alexnet.files import from_home
from alexnet.records import Description


def source_of(description: Description) -> str:
    """Gives the data that a run was trained with, as its user called them.

    Raises:
        UsageError: The run does not say, or names an address: a file does not decide which machine is called.
    """
    from alexnet.data.remote import is_remote

    source = description.data.source if description.data else None
    if not source:
        raise UsageError("the run does not say what it was trained with; give --data")
    if is_remote(source):
        raise UsageError(f"the run was trained with {source}; give --data {source} to fetch from there")
    return source


def from_anywhere(source: str) -> str:
    """Gives a source as it is found from any working directory: a path becomes absolute, a name or address stays."""
    from alexnet.data import solar

    path = from_home(source)
    return str(path.absolute()) if source != solar.NAME and path.exists() else source


def refuse_inside(folder: Path, source: str) -> None:
    """Keeps runs out of the folder of pictures, where they would be taken for a class.

    Raises:
        UsageError: It lies there.
    """
    pictures = Path(source).resolve()
    if pictures.is_dir() and folder.resolve().is_relative_to(pictures):
        raise UsageError(f"{folder} lies inside {source}, which is only read: choose a folder outside of it")


def open_data(source: str, settings: Train, on_bad_image: Any, size: int | None = None, square: str = "centre") -> Any:
    """Opens the store of a source, packed with a progress bar if need be.

    A source without a split of its own has the same held-out quarter whatever the seed of the training, so that runs of
    several seeds are measured, and averaged, on pictures that none has seen.

    Args:
        source: As a user calls it.
        settings: Say the size where `size` does not.
        on_bad_image: `skip` or `stop`.
        size: Side of the pictures, pixels.
        square: How they become square, `centre` or `warp`.
    """
    from alexnet.data.remote import is_remote
    from alexnet.data.sources import open_source
    from alexnet.data.squares import warped
    from alexnet.data.store import cache_directory, is_store, open_store, pack
    from alexnet.models.variants import stored_size

    side = size or settings.stored_size or stored_size(settings.variant, settings.input_size)
    with render.Bar("packing") as bar:
        if square == "warp" and not (is_store(source) or is_remote(source)):
            opened = warped(open_source(source), side)
            place = cache_directory(opened, side)
            return pack(opened, place, size=side, on_bad_image=on_bad_image, progress=bar.update)
        if square == "warp":
            what = f"{source} holds the centres of pictures, this network was trained on warped ones"
            print(f"alexnet: {what}", file=sys.stderr)
        return open_store(source, size=side, on_bad_image=on_bad_image, progress=bar.update)


def default_split(store: Any) -> str:
    """Gives the split that is measured where none is named."""
    return "val" if "val" in store.splits else "test"
