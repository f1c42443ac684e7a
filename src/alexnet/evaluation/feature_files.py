"""Features in a file that other programs read: `.npz`, `.safetensors` or `.parquet`.

    features  float32 (N, units), or (N, C, H, W) of a convolutional layer
    labels    int64 (N,), positions in `classes` of the account
    names     N names of pictures, as the source has them, split after split
    account   JSON: what the features are of; see `Account`

A safetensors file has no text but its metadata, so names and account stand there. A Parquet file has a row a picture,
with the columns `split`, `name`, `class` and `features`, and the account in the metadata of its schema.
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from alexnet.data.store import Store
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import splits_of
from alexnet.evaluation.features import Batch
from alexnet.files import check_free, replacing, sha256
from alexnet.records import Count, Preprocessing, Record

Shape = tuple[int, ...]

_LARGEST_HEAD = 100_000_000  # bytes in which a .safetensors file may describe itself; its readers refuse more


class Account(Record, frozen=True, kw_only=True):
    """What the features in a file are of."""

    variant: str
    layer: str  # of the network's layers
    views: Count  # that each picture was averaged over, 1 or 10
    weights_sha256: str  # of the weight file
    preprocessing: Preprocessing
    data: str  # hash of the packed pictures
    splits: dict[str, Count]  # pictures of each split, in the order of the rows
    classes: tuple[str, ...]  # of the data


def check_out(path: Path) -> None:
    """Checks, before anything is computed, that features can be written to a file.

    Raises:
        UsageError: The name has no known ending, the place is taken, or the ending needs a package that is missing.
    """
    if path.suffix not in WRITERS:
        raise UsageError(f"{path} ends in none of {', '.join(WRITERS)}: choose one of these formats")
    if path.suffix == ".parquet" and not find_spec("pyarrow"):
        raise UsageError("Parquet needs: pip install 'alexnet[parquet]'; or choose .npz or .safetensors")
    check_free(path)


def account(classifier: Classifier, weights: Path, store: Store, layer: str, views: int, split: str | None) -> Account:
    """Returns what the features of some splits, joined by `+`, or of all, are of; `weights` is the weight file.

    Raises:
        UsageError: There is no such split.
    """
    parts = splits_of(store, split or "+".join(store.splits))
    return Account(
        variant=classifier.model.variant,
        layer=layer,
        views=views,
        weights_sha256=sha256(weights),
        preprocessing=classifier.header.preprocessing,
        data=store.content_hash,
        splits={name: len(part) for name, part in parts.items()},
        classes=store.classes,
    )


def save(path: Path, account: Account, store: Store, batches: Iterator[Batch]) -> Shape:
    """Writes features, whole or not at all, and returns their shape.

    `batches` has every picture of the account's splits, in order. One batch is in memory at a time, with the names and
    labels of all pictures, but for `.parquet`, which takes these by batches too.

    Raises:
        DataError: The disk is full.
        UsageError: The names are too many for the format. Of the batches, only the first has been computed by then.
    """
    first = next(batches)
    shape = (sum(account.splits.values()), *first.features.shape[1:])
    with replacing(path) as file:
        WRITERS[path.suffix](file, account, store, shape, chain([first], batches))
    return shape


def _names(account: Account, store: Store) -> list[str]:
    return [store.splits[split].name(i) for split, count in account.splits.items() for i in range(count)]


def _labels(account: Account, store: Store) -> NDArray[np.int64]:
    return np.concatenate([store.splits[split].labels for split in account.splits])


def _write_npz(file: BinaryIO, account: Account, store: Store, shape: Shape, batches: Iterator[Batch]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        texts = {"names": np.array(_names(account, store)), "account": np.array(account.to_json())}
        with archive.open("features.npy", "w", force_zip64=True) as member:
            head = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(member, head)
            for batch in batches:
                member.write(np.ascontiguousarray(batch.features, "<f4").data)
        for name, array in {"labels": _labels(account, store), **texts}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _write_safetensors(file: BinaryIO, account: Account, store: Store, shape: Shape, batches: Iterator[Batch]) -> None:
    """Writes the tensors as they come, which safetensors' own writer cannot.

    Source: https://github.com/huggingface/safetensors, "Format".
    """
    middle, end = 8 * shape[0], 8 * shape[0] + 4 * int(np.prod(shape))
    metadata = {"account": account.to_json(indent=None), "names": json.dumps(_names(account, store))}
    head = {
        "__metadata__": metadata,
        "labels": {"dtype": "I64", "shape": shape[:1], "data_offsets": (0, middle)},
        "features": {"dtype": "F32", "shape": shape, "data_offsets": (middle, end)},
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _LARGEST_HEAD:
        raise UsageError(f"a .safetensors file cannot hold the names of {shape[0]:,} pictures: choose .npz or .parquet")
    file.write(len(text).to_bytes(8, "little") + text + _labels(account, store).astype("<i8").tobytes())
    for batch in batches:
        file.write(np.ascontiguousarray(batch.features, "<f4").data)


def _write_parquet(file: BinaryIO, account: Account, store: Store, shape: Shape, batches: Iterator[Batch]) -> None:
    import pyarrow
    from pyarrow import parquet

    width = int(np.prod(shape[1:]))
    text, row = pyarrow.string(), pyarrow.list_(pyarrow.float32(), width)
    fields = [("split", text), ("name", text), ("class", text), ("features", row)]
    schema = pyarrow.schema(fields, {"account": account.to_json(indent=None)})
    with parquet.ParquetWriter(file, schema) as writer:
        for batch in batches:
            values = pyarrow.FixedSizeListArray.from_arrays(batch.features.ravel(), width)
            classes = [store.classes[label] for label in batch.labels]
            columns = [[batch.split] * len(classes), list(batch.names), classes]
            arrays = [*(pyarrow.array(column, text) for column in columns), values]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))


Writer = Callable[[BinaryIO, Account, Store, Shape, Iterator[Batch]], None]

WRITERS: dict[str, Writer] = {".npz": _write_npz, ".safetensors": _write_safetensors, ".parquet": _write_parquet}
