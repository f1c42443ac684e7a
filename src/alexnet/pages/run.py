"""A run folder, read with tolerance: what is missing or damaged is left empty and named."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from alexnet.errors import CheckpointError, UsageError

MARKS = ("config.json", "metrics.jsonl", "evaluation.json")
Record = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """The files of a run folder (docs/architecture.md), each as far as it is there.

    Attributes:
        name: The folder's own name.
        config: ``config.json``, or {}.
        steps: The training lines of ``metrics.jsonl`` by rising step; a step that was run twice counts once.
        validations: Its evaluation lines, likewise.
        evaluation: ``evaluation.json``, or {}.
        examples: ``examples.json``, or {}.
        conv1: The first-layer weights, float32 of shape (O, channels, k, k), or None.
        towers: The towers of the network, as conv2's share of conv1's maps shows.
        faults: Sentences that name what was there and could not be read.
    """

    name: str
    config: Record = field(default_factory=dict)
    steps: list[Record] = field(default_factory=list)
    validations: list[Record] = field(default_factory=list)
    evaluation: Record = field(default_factory=dict)
    examples: Record = field(default_factory=dict)
    conv1: npt.NDArray[np.float32] | None = None
    towers: int = 1
    faults: list[str] = field(default_factory=list)


def read_run(folder: Path) -> Run:
    """Reads a run folder.

    Args:
        folder: The run folder, of a finished, a running or an interrupted run.

    Returns:
        The run; nothing in it is promised to be there.

    Raises:
        UsageError: The folder does not exist.
        CheckpointError: The folder holds none of a run's files.
    """
    if not folder.is_dir():
        raise UsageError(f"no run folder at {folder}: give the folder that `alexnet train --out` wrote")
    if not any((folder / mark).exists() for mark in MARKS):
        raise CheckpointError(f"{folder} is not a run folder: it holds none of {', '.join(MARKS)}")
    faults: list[str] = []
    lines = list(_lines(folder / "metrics.jsonl", faults))
    conv1, towers = _first_layer(folder / "model.safetensors", faults)
    return Run(
        name=folder.resolve().name,
        config=_object(folder / "config.json", faults),
        steps=_by_step(line for line in lines if "loss" in line),
        validations=_by_step(line for line in lines if "val_top1_error" in line or "val_loss" in line),
        evaluation=_object(folder / "evaluation.json", faults),
        examples=_object(folder / "examples.json", faults),
        conv1=conv1,
        towers=towers,
        faults=faults,
    )


def number(value: Any) -> float | None:
    """The value as a finite float, or None."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e300 and math.isfinite(value) else None


def record(value: Any) -> Record:
    """The value if it is a JSON object, or {}."""
    return value if isinstance(value, dict) else {}


def records(value: Any) -> list[Record]:
    """The JSON objects of a list, or []."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def series(lines: list[Record], x: str, y: str) -> list[tuple[float, float]]:
    """The points (x, y) of the lines that have both as finite numbers."""
    pairs = [(number(line.get(x)), number(line.get(y))) for line in lines]
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def _is_there(path: Path, faults: list[str]) -> bool:
    """Says whether there is a file; a pipe, which may never end, or a folder is none."""
    if path.exists() and not path.is_file():
        faults.append(f"{path.name} is no file and was left out.")
    return path.is_file()


def _object(path: Path, faults: list[str]) -> Record:
    if not _is_there(path, faults):
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        faults.append(f"{path.name} is damaged and was left out.")
    return record(value)


def _lines(path: Path, faults: list[str]) -> Iterator[Record]:
    """The JSON objects of the file, one a line; an interrupted write leaves a torn last line."""
    if not _is_there(path, faults):
        return
    torn = 0
    with path.open("rb") as file:
        for line in file:
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            torn += not isinstance(value, dict) and bool(line.strip())
            if isinstance(value, dict):
                yield value
    if torn:
        faults.append(f"{torn} damaged line{'s' * (torn > 1)} of {path.name} left out.")


def _by_step(lines: Iterator[Record]) -> list[Record]:
    """Sorted by step; of a step logged twice (before and after a resume) the later line stays."""
    latest = {step: line for line in lines if (step := number(line.get("step"))) is not None}
    return [latest[step] for step in sorted(latest)]


def _first_layer(path: Path, faults: list[str]) -> tuple[npt.NDArray[np.float32] | None, int]:
    """conv1's weights and the number of towers; only what is needed is read from the file."""
    if not _is_there(path, faults):
        return None, 1
    try:
        with safe_open(path, framework="numpy") as file:
            if "conv1.weight" not in file.keys():  # noqa: SIM118
                return None, 1
            weights = np.asarray(file.get_tensor("conv1.weight"), dtype=np.float32)
            shape = file.get_slice("conv2.weight").get_shape() if "conv2.weight" in file.keys() else []  # noqa: SIM118
    except (OSError, SafetensorError, TypeError, ValueError):
        faults.append(f"{path.name} is damaged and was left out.")
        return None, 1
    if weights.ndim != 4 or weights.shape[1] not in (1, 3) or not weights.size or not np.isfinite(weights).all():
        faults.append(f"conv1 of {path.name} has no picture: shape {weights.shape}.")
        return None, 1
    share = shape[1] if len(shape) == 4 else len(weights)
    return weights, 2 if share * 2 == len(weights) else 1
