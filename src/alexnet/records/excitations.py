"""What excites the units of a network, and what they see of it."""

from typing import Annotated

from msgspec import Meta

from alexnet.records.duplicates import Member
from alexnet.records.record import Count, Finite, Record


class Box(Record, frozen=True, kw_only=True):
    """A rectangle of a picture, pixels from its left and its top; `right` and `bottom` are the first outside."""

    left: Count
    top: Count
    right: Count
    bottom: Count


class Excitation(Record, frozen=True, kw_only=True):
    """A picture that excites a unit: the unit's largest output on it, and what of the stored picture it saw there."""

    picture: Member
    output: Annotated[Finite, Meta(gt=0)]
    field: Box


class Excited(Record, frozen=True, kw_only=True):
    """A unit, and the pictures that excite it most, the most exciting first."""

    unit: str  # as its user wrote it: conv5:12
    layer: str  # whose output it is: relu5
    field: Count  # side of what it sees, pixels; it may reach beyond the picture
    excitations: tuple[Excitation, ...]
    file: str | None = None  # of the pictures, and of what the unit saw of each
