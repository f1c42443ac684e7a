"""What all records have in common: strict types, ranges, and the one way in from JSON and out to it."""

import json
import sys
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta

from alexnet.errors import AlexNetError

Kind = TypeVar("Kind")

SEAL = "seal"
"""The last field of a file that proves itself: a checksum of all others. Files of version 0.1 have none."""

Finite = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A number that is neither infinite nor NaN, both of which Python's JSON lets through."""

Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Size = Annotated[int, Meta(ge=1, le=4096)]
"""Side of a picture, pixels."""

Square = Literal["centre", "warp"]
"""How pictures become square: their centre, or the whole picture stretched."""

Doubt = Literal["one colour", "nearly black"]
"""What makes it doubtful whether a picture shows anything."""

Draw = Literal["names", "content"]
"""What decides which pictures of a source without splits are held out: the names and sizes of its classes, or the bytes
of each picture."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept in files or printed as a JSON object."""

    def to_json(self, indent: int | None = 1) -> str:
        """Returns the record as JSON; a subclass may have a form of its own."""
        return to_json(self, indent)


class Quarantined(Record, frozen=True, kw_only=True):
    """A picture of a split that a store left out, by its name in the source, and why, in a few words."""

    split: str
    class_name: str = msgspec.field(name="class")
    name: str
    reason: str
    was_unread: bool = cast(bool, UNSET)  # as against decoded: it may become readable, so packing tries it again

    def __post_init__(self) -> None:
        # Files of version 0.1 have no `was_unread`; there the reason of an unread picture begins with these words.
        if not isinstance(self.was_unread, bool):
            msgspec.structs.force_setattr(self, "was_unread", self.reason.startswith("cannot be read"))


class Doubtful(Record, frozen=True, kw_only=True):
    """A picture that a store holds although it may show nothing, by its name in the source, and what it is."""

    split: str
    class_name: str = msgspec.field(name="class")
    name: str
    doubt: Doubt


def read(kind: type[Kind], data: object, path: str | Path, error: type[AlexNetError], remedy: str) -> Kind:
    """Reads a record; keys that it does not have are ignored.

    Args:
        kind: The type of the record.
        data: JSON as text or bytes, or the object that was read from it.
        path: Where the data came from, for the message.
        error: The class of the error to raise.
        remedy: What the user can do, for the end of the message.

    Raises:
        AlexNetError: The data is no JSON, a value is missing, of a wrong type or out of range, or the seal is another
            content's. The class is `error`.
    """
    try:
        fields = json.loads(data) if isinstance(data, str | bytes) else data
        if isinstance(fields, dict) and SEAL in fields and fields[SEAL] != seal(fields):
            raise ValueError("its seal does not match, so it was changed after it was written")
        return msgspec.convert(fields, kind)
    except RecursionError as fault:
        raise error(f"{path} is incomplete or damaged (nested too deeply): {remedy}") from fault
    except (ValueError, msgspec.ValidationError, AlexNetError) as fault:
        raise error(f"{path} is incomplete or damaged ({fault}): {remedy}") from fault


def to_json(value: object, indent: int | None = 1) -> str:
    """Returns a record, or several, or another value of fields, as JSON in ASCII, in the order of the class."""
    return json.dumps(msgspec.to_builtins(value), indent=indent)


def sealed(record: Record | Mapping[str, object], indent: int | None = 1) -> str:
    """Returns a record, or the fields of one, as JSON that ends with its seal, which `read` compares."""
    fields = msgspec.to_builtins(record)
    return to_json({**fields, SEAL: seal(fields)}, indent)


def seal(fields: Mapping[str, object]) -> str:
    """Returns a checksum of the fields of a JSON object, in any order, without that of the seal."""
    content = json.dumps({name: value for name, value in fields.items() if name != SEAL}, sort_keys=True)
    return blake2b(content.encode(), digest_size=8).hexdigest()
