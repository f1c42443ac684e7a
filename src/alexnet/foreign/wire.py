"""Protocol buffers' wire format, as much as it takes to read a file that may lie.

A message is a string of fields: a varint (number * 8 + type), then a varint (type 0), 8 bytes (1), a length and that
many bytes (2), or 4 bytes (5). Whatever has a length stays a view of the file.

Source: https://protobuf.dev/programming-guides/encoding.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import CheckpointError

MAX_FIELDS = 200_000  # fields of one file; a Caffe network has a few thousand
MAX_TEXT = 1000  # bytes of a name or a list of integers
_WIDTHS = {1: 8, 5: 4}  # type of a field of fixed length -> bytes


@dataclass
class _File:
    name: str
    fields_left: int = field(default_factory=lambda: MAX_FIELDS)

    def damaged(self, fault: str) -> CheckpointError:
        return CheckpointError(f"{self.name} is damaged, or no protocol buffer: {fault}; fetch it again")


class Message:
    """The fields of one message, by number; the caller states the type of each, since the file does not.

    `fields` holds varints as numbers and all else as views of the file. Of a repeated field the last value counts, as
    in protocol buffers, except in `messages`, `integers` and `floats`, which are empty where the field is absent.

    Raises:
        CheckpointError: The message is damaged, a value is not of the type stated, or the file has too many fields.
    """

    def __init__(self, file: _File, data: int | memoryview) -> None:
        if isinstance(data, int):
            raise file.damaged("a number stands where a message is expected")
        self.file = file
        self.fields: dict[int, list[int | memoryview]] = {}
        at = 0
        while at < len(data):
            file.fields_left -= 1
            if file.fields_left < 0:
                raise file.damaged(f"more than {MAX_FIELDS:,} fields")
            key, at = _varint(file, data, at)
            value, at = _value(file, data, at, key & 7)
            self.fields.setdefault(key >> 3, []).append(value)

    def __contains__(self, field: int) -> bool:
        return field in self.fields

    def messages(self, field: int) -> list["Message"]:
        """Returns a repeated message."""
        return [Message(self.file, value) for value in self.fields.get(field, [])]

    def message(self, field: int) -> "Message":
        """Returns a message; one without fields where the field is absent."""
        return Message(self.file, self.fields.get(field, [memoryview(b"")])[-1])

    def text(self, field: int, default: str) -> str:
        """Returns a short string."""
        value = self.fields.get(field, [memoryview(default.encode())])[-1]
        if isinstance(value, int) or len(value) > MAX_TEXT:
            raise self.file.damaged("a name is no text")
        return bytes(value).decode("utf-8", "replace")

    def integers(self, field: int) -> list[int]:
        """Returns a repeated integer, packed or not."""
        numbers: list[int] = []
        for value in self.fields.get(field, []):
            if isinstance(value, int):
                numbers.append(value)
                continue
            if len(value) > MAX_TEXT:
                raise self.file.damaged(f"a list of {len(value):,} bytes where a shape is expected")
            at = 0
            while at < len(value):
                integer, at = _varint(self.file, value, at)
                numbers.append(integer)
        return numbers

    def integer(self, field: int, default: int) -> int:
        """Returns an integer."""
        return [default, *self.integers(field)][-1]

    def floats(self, field: int, dtype: str = "<f4") -> NDArray[np.generic]:
        """Returns a repeated float or double, as a view of the file where it is packed."""
        parts = []
        for value in self.fields.get(field, []):
            if isinstance(value, int) or len(value) % np.dtype(dtype).itemsize:
                raise self.file.damaged("a list of floats is torn")
            parts.append(np.frombuffer(value, dtype))
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])

    def number(self, field: int, default: float) -> float:
        """Returns a float."""
        return float([default, *self.floats(field)][-1])


def read(name: str, data: memoryview) -> Message:
    """Returns the outermost message of a file, which errors call `name`."""
    return Message(_File(name), data)


def _value(file: _File, data: memoryview, at: int, kind: int) -> tuple[int | memoryview, int]:
    if kind == 0:
        return _varint(file, data, at)
    if kind == 2:
        length, at = _varint(file, data, at)
    elif kind in _WIDTHS:
        length = _WIDTHS[kind]
    else:
        raise file.damaged(f"a field of type {kind}")
    if length > len(data) - at:
        raise file.damaged(f"a field of {length:,} bytes where {len(data) - at:,} are left")
    return data[at : at + length], at + length


def _varint(file: _File, data: memoryview, at: int) -> tuple[int, int]:
    """Returns a number and the place behind it: seven bits a byte, the lowest first; the last byte is below 128."""
    number = 0
    for i, byte in enumerate(data[at : at + 10]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, at + i + 1
    long = len(data) - at >= 10
    raise file.damaged("a number of more than ten bytes" if long else "it ends in the middle of a number")
