"""What all records have in common: strict types, ranges, and the one way in from JSON and out to it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeVar, cast, runtime_checkable

import msgspec
from msgspec import UNSET, Meta

from alexnet.errors import AlexNetError

Kind = TypeVar("Kind")

Finite = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A number that is neither infinite nor NaN, both of which Python's JSON lets through."""

Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Size = Annotated[int, Meta(ge=1, le=4096)]
"""Side of a picture, pixels."""

Square = Literal["centre", "warp"]
"""How pictures become square: their centre, or the whole picture stretched."""

_UNREAD_0_1 = "cannot be read"
"""How version 0.1 began the reason of a picture that could not be read; it had no `was_unread`."""


@runtime_checkable
class Jsonable(Protocol):
    """A record, or another value that knows its JSON form."""

    def to_json(self) -> str:
        """Returns a JSON object."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What has a JSON form."""

    def to_json(self, indent: int | None = 1) -> str:
        """Returns the record as a JSON object in ASCII, its fields in the order of the class."""
        return json.dumps(msgspec.to_builtins(self), indent=indent)


class Quarantined(Record, frozen=True, kw_only=True):
    """A picture that a store left out.

    Attributes:
        split: The split it belongs to.
        class_name: The name of its class; "class" in JSON.
        name: Its name in the source.
        reason: Why it was left out, in a few words.
        was_unread: Whether it could not be read, as against decoded; that may pass, so it is worth trying again.
    """

    split: str
    class_name: str = msgspec.field(name="class")
    name: str
    reason: str
    was_unread: bool = cast(bool, UNSET)  # only files of version 0.1 leave it out, and get it below

    def __post_init__(self) -> None:
        if not isinstance(self.was_unread, bool):
            msgspec.structs.force_setattr(self, "was_unread", self.reason.startswith(_UNREAD_0_1))


def read(kind: type[Kind], data: bytes | str, path: str | Path, error: type[AlexNetError], remedy: str) -> Kind:
    """Reads a record from JSON; see `convert`.

    Raises:
        AlexNetError: The data is no JSON, or not as the record wants it. The class is `error`.
    """
    try:
        value = json.loads(data)
    except RecursionError as fault:
        raise error(f"{path} is incomplete or damaged (nested too deeply): {remedy}") from fault
    except ValueError as fault:
        raise error(f"{path} is incomplete or damaged ({fault}): {remedy}") from fault
    return convert(kind, value, path, error, remedy)


def convert(kind: type[Kind], value: object, path: str | Path, error: type[AlexNetError], remedy: str) -> Kind:
    """Turns what JSON has been read into, into a record.

    Keys that the record does not have are ignored.

    Args:
        kind: The type of the record.
        value: A JSON object.
        path: Where it came from, for the message.
        error: The class of the error to raise.
        remedy: What the user can do, for the end of the message.

    Raises:
        AlexNetError: A value is missing, of a wrong type or out of range. The class is `error`.
    """
    try:
        return msgspec.convert(value, kind)
    except (ValueError, RecursionError, msgspec.ValidationError, AlexNetError) as fault:
        raise error(f"{path} is incomplete or damaged ({fault}): {remedy}") from fault


def to_json(record: object, indent: int | None = 1) -> bytes:
    """Returns a record as JSON in ASCII, its fields in the order of the class."""
    return json.dumps(msgspec.to_builtins(record), indent=indent).encode()
