"""What a packed store says of itself, `dataset.json`, which is written last.

Stores come from other people and from servers, so nothing in them is taken on trust.
"""

import json
import re
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Any

from alexnet.data.decode import SPEC
from alexnet.errors import DataError
from alexnet.files import from_home

MANIFEST = "dataset.json"
MEAN_IMAGE = "mean_image.npy"
FORMAT = "alexnet packed store"
VERSION = 1

_KINDS: dict[str, type | UnionType] = {
    "name": str, "classes": list, "splits": dict, "size": int, "covariance": list, "content_hash": str,
    "fingerprint": str, "quarantine": list, "ignored": int, "is_split_drawn": bool, "licence": str | None,
    "details": dict, "decoding": str, "files": dict,
}  # fmt: skip
_DEFAULTS = {"is_split_drawn": False, "decoding": SPEC}
_OURS = re.compile(rb'"format"\s*:\s*"%s"' % FORMAT.encode())


def is_store(path: str | Path) -> bool:
    """Tells whether a finished packed store lies at `path`, if only a damaged one."""
    return _is_ours(from_home(path) / MANIFEST)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Reads `dataset.json`.

    Raises:
        DataError: It is missing or another program's, damaged, of another version, or names a class twice.
    """
    path = directory / MANIFEST
    if not _is_ours(path):
        raise DataError(f"{directory} is no packed store (no {MANIFEST} of one in it): pack it or finish packing")
    try:
        manifest: dict[str, Any] = _DEFAULTS | json.loads(path.read_bytes())
        version = manifest["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is damaged: delete the store and pack it again") from error
    if version != VERSION:
        raise DataError(f"{path} is of version {version}, this program reads {VERSION}: pack the store again")
    if not _is_whole(manifest):
        raise DataError(f"{path} is incomplete or damaged: delete the store and pack it again")
    if len(set(manifest["classes"])) < len(manifest["classes"]):
        raise DataError(f"{path} names a class twice: rename one in the source, delete the store and pack it again")
    return manifest


def _is_ours(manifest: Path) -> bool:
    """Says whether a manifest is a store's, by its first megabyte; other programs give theirs the same name."""
    if not manifest.is_file():
        return False
    try:
        with manifest.open("rb") as file:
            return _OURS.search(file.read(1 << 20)) is not None
    except OSError as error:
        raise DataError(f"{manifest} cannot be read ({error.strerror}): change its permissions") from error


def _is_whole(manifest: dict[str, Any]) -> bool:
    """Says whether all is there, and of the right kind: servers send manifests too."""
    if not manifest.keys() >= _KINDS.keys() or not all(isinstance(manifest[name], _KINDS[name]) for name in _KINDS):
        return False
    classes, details = manifest["classes"], manifest["details"].values()
    return (
        manifest["size"] > 0
        and _are_files(manifest["files"], manifest["splits"])
        and all(isinstance(name, str) for name in classes)
        and all(isinstance(each, list) and len(each) == len(classes) for each in details)
        and all(isinstance(one, int | str) for each in details for one in each)
        and all(_is_told(bad) for bad in manifest["quarantine"])
        and _is_matrix(manifest["covariance"])
    )


def _are_files(files: dict[str, Any], splits: dict[str, Any]) -> bool:
    """Says whether all files of the splits are named, and lie in the store's own folder."""
    needed = {MEAN_IMAGE, *(f"{split}{end}" for split in ("train", *splits) for end in (".index.npy", ".names"))}
    are_plain = all(re.fullmatch(r"\w[\w.-]*", name, re.ASCII) for name in (*files, *splits))
    return "train" in splits and needed <= files.keys() and are_plain and all(map(_is_file, files.values()))


def _is_file(facts: Any) -> bool:
    if not isinstance(facts, dict) or type(facts.get("bytes")) is not int:
        return False
    return 0 < facts["bytes"] < 1 << 63 and isinstance(facts.get("blake2b"), str)


def _is_told(bad: Any) -> bool:
    return isinstance(bad, dict) and all(isinstance(bad.get(key), str) for key in ("split", "class", "name", "reason"))


def _is_matrix(rows: list[Any]) -> bool:
    """Says whether it is 3 x 3 numbers."""
    if len(rows) != 3 or not all(isinstance(row, list) and len(row) == 3 for row in rows):
        return False
    return all(isinstance(number, float) and isfinite(number) for row in rows for number in row)
