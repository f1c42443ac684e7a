"""Protocol buffers' wire format, as much as it takes to read a file that may lie.

A message is a string of fields: a varint (number * 8 + type), then a varint (type 0), 8 bytes (1), a length and so
many bytes (2), or 4 bytes (5). Nothing is copied: what has a length is given as a view.

Source: https://protobuf.dev/programming-guides/encoding.
"""

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import CheckpointError

Fields = dict[int, list[int | memoryview]]

MAX_FIELDS = 200_000
"""In one file; a Caffe network has a few thousand."""

_FIXED = {1: 8, 5: 4}


class Wire:
    """Reads the messages of one file.

    Args:
        name: What errors call the file.
    """

    def __init__(self, name: str) -> None:
        self.name, self._left = name, MAX_FIELDS

    def fields(self, message: int | memoryview) -> Fields:
        """Gives the fields of a message: number -> values in order; varints as numbers, all others as views.

        Raises:
            CheckpointError: The message is damaged, or the file has too many fields.
        """
        if isinstance(message, int):
            raise self._damaged("a number stands where a message is expected")
        found: Fields = {}
        at = 0
        while at < len(message):
            self._left -= 1
            if self._left < 0:
                raise self._damaged(f"more than {MAX_FIELDS:,} fields")
            key, at = self._varint(message, at)
            number, kind = key >> 3, key & 7
            value: int | memoryview
            if kind == 0:
                value, at = self._varint(message, at)
            else:
                if kind == 2:
                    length, at = self._varint(message, at)
                elif kind in _FIXED:
                    length = _FIXED[kind]
                else:
                    raise self._damaged(f"a field of type {kind}")
                if length > len(message) - at:
                    raise self._damaged(f"a field of {length:,} bytes where {len(message) - at:,} are left")
                value, at = message[at : at + length], at + length
            found.setdefault(number, []).append(value)
        return found

    def text(self, value: int | memoryview) -> str:
        """Gives a short string."""
        if isinstance(value, int) or len(value) > 1000:
            raise self._damaged("a name is no text")
        return bytes(value).decode("utf-8", "replace")

    def floats(self, values: list[int | memoryview], dtype: str = "<f4") -> NDArray[np.generic]:
        """Gives a repeated float or double: packed, as Caffe writes it, or in several parts."""
        size = np.dtype(dtype).itemsize
        if any(isinstance(value, int) or len(value) % size for value in values):
            raise self._damaged("a list of floats is torn")
        parts = [np.frombuffer(value, dtype) for value in values]  # type: ignore[arg-type]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])

    def integers(self, values: list[int | memoryview]) -> list[int]:
        """Gives a repeated integer, packed or not."""
        numbers: list[int] = []
        for value in values:
            if isinstance(value, int):
                numbers.append(value)
                continue
            if len(value) > 1000:
                raise self._damaged(f"a list of {len(value):,} bytes where a shape is expected")
            at = 0
            while at < len(value):
                number, at = self._varint(value, at)
                numbers.append(number)
        return numbers

    def _varint(self, message: memoryview, at: int) -> tuple[int, int]:
        number = 0
        for shift in range(0, 70, 7):
            if at >= len(message):
                raise self._damaged("it ends in the middle of a number")
            byte = message[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number, at
        raise self._damaged("a number of more than ten bytes")

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.name} is damaged, or no protocol buffer: {what}; fetch it again")
