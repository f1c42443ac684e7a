"""The page of units: the pictures that excite each, with a frame around what it sees, and that enlarged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from alexnet.data.store import Store
from alexnet.explaining.explain import file_of
from alexnet.pages.page import Page, Section, draw
from alexnet.records import Excitation, Excited

FRAME = (255, 196, 0)
LEAD = "The pictures that excite a unit most, the most exciting first, with its output; and what it sees of each."
ABOUT = (
    "A unit of a convolutional layer looks through a square window at every place of the picture; shown is the place "
    "where its output is largest. The window is computed from the layers' sides, strides and paddings, and cut off "
    "where it reaches beyond what the network sees. Behind a fully connected layer it is the whole input."
)


@dataclass(frozen=True)
class Shown:
    """A stored picture with a frame around what a unit sees of it, and that enlarged: both (S, S, 3)."""

    excitation: Excitation
    framed: NDArray[np.uint8]
    enlarged: NDArray[np.uint8]

    def files(self) -> tuple[bytes, bytes]:
        """Returns both as PNG files."""
        return file_of(self.framed), file_of(self.enlarged)


@dataclass(frozen=True)
class Sheet:
    """A unit with its pictures, as they are shown."""

    excited: Excited
    pictures: tuple[Shown, ...]

    def png(self) -> bytes:
        """Returns a PNG file of all pictures, one at least, side by side, and under each what the unit sees of it."""
        rows = [one.framed for one in self.pictures], [one.enlarged for one in self.pictures]
        return file_of(np.concatenate([np.concatenate(row, 1) for row in rows]))


def drawn(store: Store, excited: Excited) -> Sheet:
    """Returns a unit with its pictures, read from their store."""
    return Sheet(excited, tuple(_shown(store, one) for one in excited.excitations))


def _shown(store: Store, excitation: Excitation) -> Shown:
    pixels = store.splits[excitation.picture.split].read(excitation.picture.place)
    left, top, right, bottom = structs.astuple(excitation.field)
    framed, square = Image.fromarray(pixels), Image.new("RGB", (store.size, store.size))
    ImageDraw.Draw(framed).rectangle((left - 1, top - 1, right, bottom), outline=FRAME)
    scale = store.size / max(right - left, bottom - top)
    part = Image.fromarray(pixels[top:bottom, left:right])
    enlarged = part.resize((round(part.width * scale), round(part.height * scale)), Image.Resampling.BICUBIC)
    square.paste(enlarged, ((store.size - enlarged.width) // 2, (store.size - enlarged.height) // 2))
    return Shown(excitation, np.asarray(framed), np.asarray(square))


def units_page(network: str, sheets: Sequence[Sheet]) -> Page:
    """Returns the page of units with their pictures."""
    return Page(
        title=f"{network}: what excites it",
        eyebrow="AlexNet · what excites its units",
        heading=network,
        headline=Markup(),
        facts={},
        notices=(),
        sections=(
            Section("units", "What excites its units", LEAD, draw("units.html", sheets=sheets)),
            Section("windows", "What a unit sees", "", draw("prose.html", paragraphs=[ABOUT])),
        ),
    )
