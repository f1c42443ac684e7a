"""Which pictures a command works on, packed where they are not yet."""

from pathlib import Path
from typing import Any

from alexnet.cli import render
from alexnet.config import Train
from alexnet.observer import Observer
from alexnet.records import Description, Square


def source_of(description: Description) -> str:
    """Returns the data that a run was trained with; see `data.open`."""
    from alexnet.data import open as data

    return data.source_of(description.data)


def from_anywhere(source: str) -> str:
    """See `data.open`."""
    from alexnet.data import open as data

    return data.from_anywhere(source)


def refuse_inside(folder: Path, source: str) -> None:
    """See `data.open`."""
    from alexnet.data import open as data

    data.refuse_inside(folder, source)


def open_data(
    source: str, settings: Train, on_bad_image: Any, size: int | None = None, square: Square = "centre"
) -> Any:
    """Opens the store of a source, packed with a progress bar if need be; see `data.open`."""
    from alexnet.data import open as data
    from alexnet.models.variants import stored_size

    side = size or settings.stored_size or stored_size(settings.variant, settings.input_size)
    with render.Bar("packing") as bar:
        return data.open_data(source, size=side, square=square, on_bad_image=on_bad_image, observer=_Packing(bar))


def default_split(store: Any) -> str:
    """See `data.open`."""
    from alexnet.data import open as data

    return data.default_split(store)


class _Packing(Observer):
    def __init__(self, bar: render.Bar) -> None:
        self._bar = bar

    def advanced(self, done: int, total: int) -> None:
        self._bar.update(done, total)
