"""Reads pickles without Python's own reader: numbers, strings, lists, dicts and arrays can be built, and nothing else.

A pickle is a program for a small stack machine. The machine here follows the instructions of protocols 2 to 4 that data
need. A function that a pickle calls is looked up by its name in a table of our own functions. Any other name is an
error, or, in modules that the caller lists, becomes a lifeless `Inert`. No code from a file is ever run.

Time and memory are bounded. The number of instructions is limited. A length is compared with the rest of the file
before anything is read; `pickletools.genops` would copy and decode an argument before it can be refused. Long strings
and arrays are views of the file. Only strings and numbers may be keys, and a value that may be nested is neither hashed
nor printed, because a few bytes make a tuple of tuples whose hash takes days.

Source: the comments of CPython's pickletools.py. Of CPython's `pickle` only the names of the instructions are used.
"""

import math
import pickle
import struct
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MAX_INSTRUCTIONS = 5_000_000  # a cuda-convnet checkpoint with the errors of 90 epochs has about 2 million
SHORT = 4096  # bytes of the longest string that is copied
MAX_NAME = 200  # characters of the longest name of a module or function
_DTYPES = {"b1", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


# Byte order as a pickle states it -> as numpy takes it. The machines that wrote "native" order were little-endian.
_ORDERS = {"<": "<", "|": "|", "=": "<", ">": ">"}


class PickleError(Exception):
    """The pickle is damaged, or asks for something that no data need."""


class UnknownName(PickleError):
    """The pickle calls a class or function that no data need."""


@dataclass(frozen=True)
class Inert:
    """Stands for an object whose class is not built; keeps only the name."""

    name: str


class Array:
    """A numpy array; `values` is None until the instruction that carries its content."""

    values: NDArray[np.generic] | None = None


@dataclass
class _Dtype:
    code: str
    order: str = "<"

    def numpy(self) -> np.dtype[np.generic]:
        return np.dtype(self.order + self.code)


def _content(value: object) -> memoryview:
    """Returns the bytes of a string of any kind."""
    if isinstance(value, str):  # Python 2 did not tell text from bytes
        value = value.encode("latin-1")
    if isinstance(value, (bytes, memoryview)):
        return memoryview(value)
    raise PickleError(f"a {type(value).__name__} stands where bytes are expected")


def _dtype(code: object, *_: object) -> _Dtype:
    if not isinstance(code, str) or code not in _DTYPES:
        raise PickleError(f"an array of type {code[:20] if isinstance(code, str) else type(code).__name__!r}")
    return _Dtype(code)


def _scalar(dtype: object, data: object) -> object:
    if not isinstance(dtype, _Dtype) or len(_content(data)) != dtype.numpy().itemsize:
        raise PickleError("a damaged number")
    return np.frombuffer(_content(data), dtype.numpy())[0].item()


def _encode(text: object, _: object) -> bytes:
    """Returns bytes that Python 3 wrote for Python 2 as text, a character for each byte."""
    return (text if isinstance(text, str) else bytes(_content(text)).decode("utf-8")).encode("latin-1")


def _dict(pairs: Iterable[tuple[object, object]] = ()) -> dict[object, object]:
    items: dict[object, object] = {}
    for key, value in pairs:
        _set(items, key, value)
    return items


def _set(target: object, key: object, value: object) -> None:
    if not isinstance(key, (str, bytes, int, float)):
        raise PickleError(f"a key that is a {type(key).__name__}")
    if isinstance(target, dict):
        target[key] = value
    elif not isinstance(target, Inert):
        raise PickleError(f"it sets an item of a {type(target).__name__}")


PLAIN: dict[str, object] = {
    "_codecs.encode": _encode,
    "numpy.ndarray": Inert("numpy.ndarray"),
    "numpy.dtype": _dtype,
    **dict.fromkeys(("collections.OrderedDict", "ordereddict.OrderedDict"), _dict),
    **{f"numpy.{core}.multiarray._reconstruct": lambda *_: Array() for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
}
"""The names that every pickle may use, and the values or functions of ours that stand for them."""


def read(
    data: memoryview,
    *,
    names: Mapping[str, object] = PLAIN,
    inert: Collection[str] = (),
    persistent: Callable[[object], object] | None = None,
) -> tuple[object, int]:
    """Returns the object of a pickle, and the place in the data where the pickle ends.

    Args:
        data: The pickle, and whatever follows it.
        names: The names that it may use, each with the value or the function of ours that stands for it.
        inert: Modules whose objects become `Inert`.
        persistent: Returns the object for a persistent id; without it such ids are refused.

    Raises:
        PickleError: The pickle is damaged, is too long, or asks for anything else.
    """
    machine = _Machine(data, names, inert, persistent)
    try:
        return machine.run(), machine.at
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
        raise PickleError(f"damaged at byte {machine.at:,}") from error


@dataclass
class _Machine:
    data: memoryview
    names: Mapping[str, object]
    inert: Collection[str]
    persistent: Callable[[object], object] | None
    at: int = 0
    stack: list[object] = field(default_factory=list)
    marked: list[list[object]] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A pickle may call with the same large argument again and again, so the items that calls may copy are limited.
        self.copies_left = MAX_INSTRUCTIONS + 2 * len(self.data)

    def run(self) -> object:
        """Follows the instructions up to STOP; returns the object on top of the stack."""
        for _ in range(MAX_INSTRUCTIONS):
            code = self.data[self.at]
            self.at += 1
            if code == pickle.STOP[0]:
                return self.stack.pop()
            if code not in _INSTRUCTIONS:
                raise PickleError(f"instruction 0x{code:02x} at byte {self.at - 1:,}, which data have no need of")
            _INSTRUCTIONS[code](self)
        raise PickleError(f"more than {MAX_INSTRUCTIONS:,} instructions")

    def take(self, length: int) -> memoryview:
        if not 0 <= length <= len(self.data) - self.at:
            raise PickleError(f"a string of {length:,} bytes where {len(self.data) - self.at:,} are left")
        self.at += length
        return self.data[self.at - length : self.at]

    def unsigned(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def line(self) -> str:
        text, newline, _ = bytes(self.data[self.at : self.at + MAX_NAME + 1]).partition(b"\n")
        if not newline:
            raise PickleError(f"a name that does not end within {MAX_NAME} characters")
        self.at += len(text) + 1
        return text.decode("latin-1")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def string(self, width: int, encoding: str | None) -> None:
        data = self.take(self.unsigned(width))
        if len(data) <= SHORT:
            self.push(bytes(data).decode(encoding, "replace") if encoding else bytes(data))
        else:
            self.push(data)

    def signed(self, length: int) -> None:
        if length > 64:
            raise PickleError(f"a number of {length:,} bytes")
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[object]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def top(self, count: int) -> tuple[object, ...]:
        """Takes the last `count` values off the stack, in the order in which they were pushed."""
        if len(self.stack) < count:
            raise PickleError("the stack is empty")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def extend(self, items: list[object]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target += items
        elif not isinstance(target, Inert):
            raise PickleError(f"it appends to a {type(target).__name__}")

    def set_items(self, items: Sequence[object]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            _set(self.stack[-1], key, value)

    def look_up(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("it calls what has no name")
        full = f"{module}.{name}"
        if full not in self.names and module not in self.inert:
            raise UnknownName(f"it calls {full}, which a weight file has no need of")
        self.push(self.names.get(full, Inert(full)))

    def call(self, function: object, arguments: object) -> None:
        if isinstance(function, Inert):
            self.push(function)
        elif callable(function) and isinstance(arguments, (tuple, list)):
            self.copies_left -= sum(len(each) for each in arguments if isinstance(each, Sized))
            if self.copies_left < 0:
                raise PickleError("it copies the same things over and over")
            self.push(function(*arguments))
        else:
            raise PickleError("it calls what is no function")

    def build(self) -> None:
        """Hands an object its state; a dict or an inert object ignores it."""
        target, state = self.stack[-2:]
        self.stack.pop()
        if isinstance(target, (Inert, dict)):
            return
        if not isinstance(target, (_Dtype, Array)) or not isinstance(state, tuple):
            raise PickleError(f"it changes a {type(target).__name__}")
        if isinstance(target, Array):
            target.values = _array(*state)
        elif isinstance(state[1], str) and state[1] in _ORDERS:
            target.order = _ORDERS[state[1]]
        else:
            raise PickleError("a damaged array type")

    def persist(self) -> None:
        if self.persistent is None:
            raise PickleError("it refers to another file")
        self.push(self.persistent(self.stack.pop()))


def _array(version: object, shape: object, dtype: object, is_fortran: object, data: object) -> NDArray[np.generic]:
    if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or len(shape) > 8:
        raise PickleError("a damaged array")
    if not all(isinstance(side, int) and 0 <= side < 1 << 40 for side in shape):
        raise PickleError("an array of impossible shape")
    values = np.frombuffer(_content(data), dtype.numpy())
    if math.prod(shape) != len(values):
        raise PickleError(f"an array of shape {shape} with {len(values):,} values")
    return values.reshape(shape, order="F" if is_fortran else "C")


_BY_NAME: dict[bytes, Callable[[_Machine], object]] = {
    pickle.PROTO: lambda m: m.take(1),
    pickle.FRAME: lambda m: m.take(8),
    pickle.MARK: _Machine.mark,
    pickle.POP: lambda m: m.stack.pop(),
    pickle.POP_MARK: _Machine.to_mark,
    pickle.DUP: lambda m: m.push(m.stack[-1]),
    pickle.NONE: lambda m: m.push(None),
    pickle.NEWTRUE: lambda m: m.push(True),
    pickle.NEWFALSE: lambda m: m.push(False),
    pickle.BININT: lambda m: m.signed(4),
    pickle.BININT1: lambda m: m.push(m.unsigned(1)),
    pickle.BININT2: lambda m: m.push(m.unsigned(2)),
    pickle.BINFLOAT: lambda m: m.push(*struct.unpack(">d", m.take(8))),
    pickle.LONG1: lambda m: m.signed(m.unsigned(1)),
    pickle.LONG4: lambda m: m.signed(m.unsigned(4)),
    pickle.BINSTRING: lambda m: m.string(4, "latin-1"),
    pickle.SHORT_BINSTRING: lambda m: m.string(1, "latin-1"),
    pickle.BINUNICODE: lambda m: m.string(4, "utf-8"),
    pickle.SHORT_BINUNICODE: lambda m: m.string(1, "utf-8"),
    pickle.BINUNICODE8: lambda m: m.string(8, "utf-8"),
    pickle.BINBYTES: lambda m: m.string(4, None),
    pickle.SHORT_BINBYTES: lambda m: m.string(1, None),
    pickle.BINBYTES8: lambda m: m.string(8, None),
    pickle.EMPTY_LIST: lambda m: m.push([]),
    pickle.APPEND: lambda m: m.extend([m.stack.pop()]),
    pickle.APPENDS: lambda m: m.extend(m.to_mark()),
    pickle.EMPTY_TUPLE: lambda m: m.push(()),
    pickle.TUPLE: lambda m: m.push(tuple(m.to_mark())),
    pickle.TUPLE1: lambda m: m.push(m.top(1)),
    pickle.TUPLE2: lambda m: m.push(m.top(2)),
    pickle.TUPLE3: lambda m: m.push(m.top(3)),
    pickle.EMPTY_DICT: lambda m: m.push({}),
    pickle.SETITEM: lambda m: m.set_items(m.top(2)),
    pickle.SETITEMS: lambda m: m.set_items(m.to_mark()),
    pickle.BINGET: lambda m: m.push(m.memo[m.unsigned(1)]),
    pickle.LONG_BINGET: lambda m: m.push(m.memo[m.unsigned(4)]),
    pickle.BINPUT: lambda m: m.memo.update({m.unsigned(1): m.stack[-1]}),
    pickle.LONG_BINPUT: lambda m: m.memo.update({m.unsigned(4): m.stack[-1]}),
    pickle.MEMOIZE: lambda m: m.memo.update({len(m.memo): m.stack[-1]}),
    pickle.GLOBAL: lambda m: m.look_up(m.line(), m.line()),
    pickle.STACK_GLOBAL: lambda m: m.look_up(*m.top(2)),
    pickle.OBJ: lambda m: m.call((items := m.to_mark())[0], items[1:]),
    pickle.NEWOBJ: lambda m: m.call(*m.top(2)),
    pickle.REDUCE: lambda m: m.call(*m.top(2)),
    pickle.BUILD: _Machine.build,
    pickle.BINPERSID: _Machine.persist,
}

_INSTRUCTIONS = {name[0]: instruction for name, instruction in _BY_NAME.items()}
