"""Tables of pictures' paths, labels and splits: CSV, TSV, JSON lines and Parquet."""

import csv
import importlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from alexnet.errors import DataError

LARGEST = 1 << 30  # bytes of a table

# What people call the columns, in the order in which they are looked for.
_PATHS = ("file_name", "filename", "file", "path", "file_path", "filepath", "image_path", "img_path", "image", "img")
_MORE_PATHS = ("image_name", "image_file", "picture", "image_id", "id", "fname", "name")
_LABELS = (
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "category",
    "label_name",
    "target",
    "species",
    "breed",
)
_MORE_LABELS = ("tag", "diagnosis", "dx", "class_id", "category_id", "y")
_SPLITS = ("split", "subset", "partition", "set", "dataset", "data_set", "usage")


class Row(NamedTuple):
    """A line of a table: the path of a picture, its label ("" where it has none), and its split where one is named."""

    path: str
    label: str
    split: str | None


class NoColumns(DataError):
    """A table has no columns of paths and labels."""


def read_table(name: str, data: bytes) -> Iterator[Row]:
    """Yields the rows of a table, whose kind is told by the ending of its name.

    Without a line of column names, the first column holds paths and the second labels.

    Raises:
        NoColumns: It has no columns of paths and labels.
        DataError: It is damaged or too large, or needs a package.
    """
    if len(data) > LARGEST:
        raise DataError(f"{name} is too large for a table of labels: give one of at most {LARGEST:,} bytes")
    ending = name.lower().rpartition(".")[2]
    try:
        if ending == "parquet":
            yield from _from_columns(name, _parquet(name, data))
        elif ending in ("jsonl", "ndjson", "json"):
            yield from _from_records(name, data.decode("utf-8-sig"))
        else:
            yield from _from_lines(name, data.decode("utf-8-sig"))
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{name} is no table that can be read ({error}): save it as CSV in UTF-8") from error


def _from_lines(name: str, text: str) -> Iterator[Row]:
    first = text.partition("\n")[0]
    separator = max("\t,; ", key=lambda each: (first.count(each) > 0, "\t,; ".index(each) < 3, first.count(each)))
    lines = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=separator == " ")
    rest: Iterator[list[str]] = lines
    head = next(lines, [])
    if columns := _columns(head):
        paths, labels, splits = columns
    elif len(head) >= 2 and not set(map(_plain, head)) & {*_PATHS, *_LABELS}:
        paths, labels, splits, rest = 0, 1, None, chain([head], lines)
    else:
        raise _no_columns(name, head)
    for line in rest:
        if len(line) > max(paths, labels):
            split = line[splits].strip() if splits is not None and splits < len(line) else None
            yield Row(line[paths].strip(), line[labels].strip(), split)


def _from_records(name: str, text: str) -> Iterator[Row]:
    # Other ends of lines than these two, such as U+2028, may stand in a value.
    each = filter(str.strip, re.split("[\r\n]+", text))
    lines = json.loads(text) if text.lstrip().startswith("[") else map(json.loads, each)
    keys: tuple[str, str, str | None] | None = None
    for line in lines:
        if not isinstance(line, dict):
            raise DataError(f"{name} holds something else than an object a line")
        if keys is None:
            names = list(line)
            columns = _columns(names)
            if columns is None:
                raise _no_columns(name, names)
            keys = names[columns[0]], names[columns[1]], None if columns[2] is None else names[columns[2]]
        yield Row(*(_text(name, line.get(key)) if key else None for key in keys))  # type: ignore[arg-type]


def _from_columns(name: str, table: Mapping[str, Sequence[object]]) -> Iterator[Row]:
    names = list(table)
    columns = _columns(names)
    if columns is None:
        raise _no_columns(name, names)
    paths, labels = table[names[columns[0]]], table[names[columns[1]]]
    splits = [None] * len(paths) if columns[2] is None else table[names[columns[2]]]
    for path, label, split in zip(paths, labels, splits, strict=True):
        yield Row(_text(name, path), _text(name, label), None if split is None else _text(name, split))


def _parquet(name: str, data: bytes) -> Mapping[str, Sequence[object]]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(f"{name}: Parquet needs pyarrow: pip install 'alexnet[parquet]', or save it as CSV") from error
    try:
        read: Mapping[str, Sequence[object]] = parquet.read_table(io.BytesIO(data)).to_pydict()
    except Exception as error:  # Arrow has errors of its own
        raise DataError(f"{name} is damaged ({error}): fetch it again") from error
    return read


def _columns(names: Sequence[str]) -> tuple[int, int, int | None] | None:
    """Returns the places of the paths, the labels and the splits, None where paths or labels have no column."""
    plain = [_plain(name) for name in names]

    def find(*spellings: str) -> int | None:
        return next((plain.index(name) for name in spellings if name in plain), None)

    paths, labels, splits = find(*_PATHS, *_MORE_PATHS), find(*_LABELS, *_MORE_LABELS), find(*_SPLITS)
    return None if paths is None or labels is None else (paths, labels, splits)


def _no_columns(name: str, names: Sequence[str]) -> NoColumns:
    have = ", ".join(map(repr, names[:8]))
    return NoColumns(f"{name} has no columns of paths and labels, but {have}: call them file_name and label")


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        raise DataError(f"{name}: a picture has one label here, not several: {str(value)[:40]}")
    return str(value).strip()
