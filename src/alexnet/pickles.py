"""Reads pickles without Python's own reader: it can build numbers, strings, lists, dicts and arrays, and nothing else.

A pickle is a program for a small stack machine. This machine knows the instructions of protocols 2 to 4 that data
need. What a pickle asks to be called is looked up in a table of our own functions; a name that is not there is an
error, or, for modules that a caller lists, a lifeless `Inert`. Time and memory are bounded: so many instructions, no
key but strings and numbers, arrays as views of the file, nothing hashed or printed that may be nested (a few bytes make
a tuple of tuples whose hash takes days).

Source: the comments of CPython's pickletools.py.
"""

import math
import struct
from collections.abc import Callable, Collection, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_INSTRUCTIONS = 5_000_000
"""A cuda-convnet checkpoint with the errors of 90 epochs has about 2 million."""

SHORT = 4096
"""Longer strings are kept as views of the file."""

_DTYPES = {"b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


_ORDERS = {"<": "<", "|": "|", "=": "<", ">": ">"}


class PickleError(Exception):
    """The pickle is damaged, or wants what it must not have."""


@dataclass(frozen=True)
class Inert:
    """An object of a class that is not built: its name only."""

    name: str


class Array:
    """A numpy array; `values` is None until its content has come."""

    values: NDArray[Any] | None = None


@dataclass
class _Dtype:
    code: str
    order: str = "<"

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


def content(value: Any) -> memoryview:
    """Gives the bytes of a string of any kind."""
    if isinstance(value, str):  # Python 2 did not tell text from bytes
        value = value.encode("latin-1")
    if isinstance(value, (bytes, memoryview)):
        return memoryview(value)
    raise PickleError(f"a {type(value).__name__} stands where bytes are expected")


def _dtype(code: Any, *_: Any) -> _Dtype:
    if not isinstance(code, str) or code not in _DTYPES:
        raise PickleError(f"an array of type {code[:20] if isinstance(code, str) else type(code).__name__!r}")
    return _Dtype(code)


def _scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, _Dtype) or len(content(data)) != dtype.numpy().itemsize:
        raise PickleError("a damaged number")
    return np.frombuffer(content(data), dtype.numpy())[0].item()


def _encode(text: Any, _: Any) -> bytes:
    """Turns the text that Python 3 makes of bytes for Python 2 back into bytes."""
    return (text if isinstance(text, str) else bytes(content(text)).decode("utf-8")).encode("latin-1")


def _dict(pairs: Any = ()) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for pair in pairs:
        _set(made, *pair)
    return made


def _set(target: Any, key: Any, value: Any) -> None:
    if not isinstance(key, (str, bytes, int, float)):
        raise PickleError(f"a key that is a {type(key).__name__}")
    if not isinstance(target, Inert):
        target[key] = value


PLAIN: dict[str, Any] = {
    "_codecs.encode": _encode,
    "numpy.ndarray": Inert("numpy.ndarray"),
    "numpy.dtype": _dtype,
    "collections.OrderedDict": _dict,
    "ordereddict.OrderedDict": _dict,
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    PLAIN[f"{_module}._reconstruct"] = lambda *_: Array()
    PLAIN[f"{_module}.scalar"] = _scalar


def read(
    data: memoryview,
    *,
    known: Mapping[str, Any] = PLAIN,
    inert: Collection[str] = (),
    persistent: Callable[[Any], Any] | None = None,
) -> tuple[Any, int]:
    """Reads one pickle.

    Args:
        data: The pickle, and whatever follows it.
        known: What stands for the names it may use: values, or functions of ours.
        inert: Modules whose objects become `Inert`.
        persistent: Gives the object for a persistent id.

    Returns:
        The object, and where the pickle ends.

    Raises:
        PickleError: It is damaged, too long, or wants something else.
    """
    machine = _Machine(data, known, inert, persistent)
    try:
        return machine.run(), machine.at
    except PickleError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
        raise PickleError(f"damaged at byte {machine.at:,}") from error


class _Machine:
    def __init__(
        self,
        data: memoryview,
        known: Mapping[str, Any],
        inert: Collection[str],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        self.data, self.at = data, 0
        self.known, self.inert, self.persistent = known, inert, persistent
        self.left = MAX_INSTRUCTIONS + 2 * len(data)  # items that calls may copy: each is made as often as one likes
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Follows the instructions until the one that stops."""
        for _ in range(MAX_INSTRUCTIONS):
            code = self.data[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                return self.stack.pop()
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise PickleError(f"instruction 0x{code:02x} at byte {self.at - 1:,}, which data have no need of")
            instruction(self)
        raise PickleError(f"more than {MAX_INSTRUCTIONS:,} instructions")

    def take(self, length: int) -> memoryview:
        if not 0 <= length <= len(self.data) - self.at:
            raise PickleError(f"a string of {length:,} bytes where {len(self.data) - self.at:,} are left")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def line(self) -> str:
        start = self.at
        while self.data[self.at] != 0x0A:
            self.at += 1
            if self.at - start > 200:
                raise PickleError("a name of more than 200 characters")
        self.at += 1
        return bytes(self.data[start : self.at - 1]).decode("latin-1")

    def to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def string(self, form: str, decode: str | None) -> None:
        data = self.take(self.number(form))
        if len(data) > SHORT:
            self.push(data)
        else:
            self.push(bytes(data) if decode is None else bytes(data).decode(decode, "replace"))

    def long(self, form: str) -> None:
        length = self.number(form)
        if length > 64:
            raise PickleError(f"a number of {length:,} bytes")
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[len(self.stack) - count :])
        if len(items) != count:
            raise PickleError("the stack is empty")
        del self.stack[len(self.stack) - count :]
        self.push(items)

    def append(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], Inert):
            self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            _set(self.stack[-1], key, value)

    def look_up(self, module: Any, name: Any) -> Any:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("it calls what has no name")
        full = f"{module}.{name}"
        if full in self.known:
            return self.known[full]
        if module in self.inert:
            return Inert(full)
        raise PickleError(f"it calls {full}, which a weight file has no need of")

    def call(self, function: Any, arguments: Any) -> None:
        if isinstance(function, Inert):
            self.push(function)
        elif callable(function) and isinstance(arguments, (tuple, list)):
            self.left -= sum(len(each) for each in arguments if isinstance(each, Sized))
            if self.left < 0:
                raise PickleError("it copies the same things over and over")
            self.push(function(*arguments))
        else:
            raise PickleError("it calls what is no function")

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.call(function, arguments)

    def build(self) -> None:
        """Gives an object its state; dicts and what is lifeless have none that matters."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _Dtype):
            order = state[1]
            if not isinstance(order, str) or order not in _ORDERS:
                raise PickleError("a damaged array type")
            target.order = _ORDERS[order]
        elif isinstance(target, Array):
            target.values = _array(*state)
        elif not isinstance(target, (Inert, dict)):
            raise PickleError(f"it changes a {type(target).__name__}")

    def persist(self) -> None:
        if self.persistent is None:
            raise PickleError("it refers to another file")
        self.push(self.persistent(self.stack.pop()))

    def object_of(self, items: list[Any]) -> None:
        self.call(items[0], items[1:])

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]


def _array(version: Any, shape: Any, dtype: Any, is_fortran: Any, data: Any) -> NDArray[Any]:
    if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or len(shape) > 8:
        raise PickleError("a damaged array")
    if not all(isinstance(side, int) and 0 <= side < 1 << 40 for side in shape):
        raise PickleError("an array of impossible shape")
    values = np.frombuffer(content(data), dtype.numpy())
    if math.prod(shape) != len(values):
        raise PickleError(f"an array of shape {shape} with {len(values):,} values")
    return values.reshape(shape, order="F" if is_fortran else "C")


_INSTRUCTIONS: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    ord("("): _Machine.mark,
    ord("0"): lambda m: m.stack.pop(),
    ord("1"): lambda m: m.to_mark(),
    ord("2"): lambda m: m.push(m.stack[-1]),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: m.long("<B"),
    0x8B: lambda m: m.long("<I"),
    ord("G"): lambda m: m.push(m.number(">d")),
    ord("T"): lambda m: m.string("<I", "latin-1"),
    ord("U"): lambda m: m.string("<B", "latin-1"),
    ord("X"): lambda m: m.string("<I", "utf-8"),
    0x8C: lambda m: m.string("<B", "utf-8"),
    0x8D: lambda m: m.string("<Q", "utf-8"),
    ord("B"): lambda m: m.string("<I", None),
    ord("C"): lambda m: m.string("<B", None),
    0x8E: lambda m: m.string("<Q", None),
    ord("]"): lambda m: m.push([]),
    ord("a"): lambda m: m.append([m.stack.pop()]),
    ord("e"): lambda m: m.append(m.to_mark()),
    ord("l"): lambda m: m.push(m.to_mark()),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.to_mark())),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("}"): lambda m: m.push({}),
    ord("d"): lambda m: m.push(_dict(zip(*[iter(m.to_mark())] * 2, strict=True))),
    ord("s"): lambda m: m.set_items([*reversed([m.stack.pop(), m.stack.pop()])]),
    ord("u"): lambda m: m.set_items(m.to_mark()),
    ord("h"): lambda m: m.push(m.memo[m.number("<B")]),
    ord("j"): lambda m: m.push(m.memo[m.number("<I")]),
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    0x94: lambda m: m.put(len(m.memo)),
    ord("c"): lambda m: m.push(m.look_up(m.line(), m.line())),
    0x93: lambda m: m.push(m.look_up(*reversed([m.stack.pop(), m.stack.pop()]))),
    ord("i"): lambda m: m.object_of([m.look_up(m.line(), m.line()), *m.to_mark()]),
    ord("o"): lambda m: m.object_of(m.to_mark()),
    0x81: _Machine.reduce,
    ord("R"): _Machine.reduce,
    ord("b"): _Machine.build,
    ord("Q"): _Machine.persist,
}
