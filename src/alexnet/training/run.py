"""The run folder: what a training run leaves behind."""

import json
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from alexnet import __version__, config
from alexnet.config import Train
from alexnet.data import decode
from alexnet.data.store import Store
from alexnet.errors import CheckpointError, UsageError
from alexnet.files import alone_in, plain_errors, write
from alexnet.models.network import Network
from alexnet.team import Team
from alexnet.training.observer import Observer

CONFIG, METRICS, BEST, LAST = "config.json", "metrics.jsonl", "model.safetensors", "last.safetensors"


def create(folder: Path, train: Train, model: Network, store: Store, source: str) -> dict[str, Any]:
    """Makes a new run folder and writes its configuration.

    Args:
        folder: Must be new or empty.
        train: The settings.
        model: The network.
        store: The data.
        source: What the user called the data, to find them again.

    Returns:
        The contents of `config.json`.

    Raises:
        UsageError: The folder holds something already, or cannot be made.
    """
    check_new(folder)
    with plain_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    description = describe(train, model, store, source)
    write(folder / CONFIG, json.dumps(description, indent=1) + "\n")
    return description


def check_new(folder: Path) -> None:
    """Sees that a folder is not there yet, or empty.

    Raises:
        UsageError: It holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(p.name != f"{CONFIG}.tmp" for p in folder.iterdir())):
        raise UsageError(
            f"{folder} exists already; give another --out, or continue it with: alexnet train --resume {folder}"
        )


def is_begun(folder: Path, train: Train, store: Store) -> bool:
    """Says whether the folder holds a run of these very settings and data."""
    if not (folder / CONFIG).is_file():
        return False
    described = read_config(folder)
    data = described.get("data", {}).get("hash")
    return bool(described.get("train") == config.to_json(train) and data == store.content_hash)


def describe(train: Train, model: Network, store: Store, source: str) -> dict[str, Any]:
    """Gives everything that decided the run, as JSON values."""
    return {
        "recipe": train.recipe,
        "variant": model.variant,
        "input_size": model.input_size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "train": config.to_json(train),
        "classes": list(store.classes),
        "preprocessing": {
            "stored_size": store.size,
            "decoding": decode.SPEC,
            "mean": "per pixel, of the training split",
            "divide_pixels_by": train.divide_pixels_by,
        },
        "data": {
            "source": source,
            "name": store.name,
            "hash": store.content_hash,
            "counts": {name: len(split) for name, split in store.splits.items()},
            "licence": store.licence,
            "quarantine": msgspec.to_builtins(store.quarantine),
        },
        "versions": {
            "alexnet": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "machine": {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads()},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def alone(folder: Path, team: Team) -> AbstractContextManager[None]:
    """Keeps other programs from training in the folder too.

    Raises:
        UsageError: One does already.
    """
    if not team.is_first:
        return nullcontext()
    return alone_in(folder, "is being trained by another program: wait for it, or stop it")


def read_config(folder: Path) -> dict[str, Any]:
    """Reads `config.json`.

    Raises:
        CheckpointError: The folder is no run folder, or the file is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(f"{folder} is no run folder: it has no {CONFIG}")
    remedy = "restore it from a copy, or start a new run with another --out"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error}; {remedy}") from error
    if not isinstance(described, dict):
        raise CheckpointError(f"{path} is damaged: it holds no JSON object; {remedy}")
    for name in ("train", "data"):
        if not isinstance(described.get(name, {}), dict):
            raise CheckpointError(f"{path} is damaged: its entry {name!r} is no JSON object; {remedy}")
    return described


class Journal:
    """Writes the metrics: JSON lines, and TensorBoard events where that is installed.

    Args:
        folder: The run folder.
        step: Rows of later steps are dropped: a resumed run writes them anew. So are damaged ones.
        observer: Is told if TensorBoard fails.
    """

    def __init__(self, folder: Path, step: int, observer: Observer) -> None:
        self._folder, path = folder, folder / METRICS
        rows = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        write(path, b"".join(row for row in rows if row.endswith(b"\n") and _is_row(row, step)))
        with plain_errors(folder):
            self._file = path.open("a", encoding="utf-8")
        self._board = _Board(folder, step, observer)

    def write(self, row: dict[str, float]) -> None:
        """Adds one row; it has a `step`.

        Raises:
            DataError: The disk is full.
        """
        with plain_errors(self._folder):
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        self._board.write(row)

    def close(self) -> None:
        """Flushes and closes the files.

        Raises:
            DataError: The disk is full.
        """
        self._board.close()
        with plain_errors(self._folder):
            self._file.close()


class _Board:
    """TensorBoard's events, where that is installed. If it fails, the training goes on without.

    Args:
        folder: The run folder.
        step: Events of later steps are dropped.
        observer: Is told once if it fails.
    """

    def __init__(self, folder: Path, step: int, observer: Observer) -> None:
        self._observer = observer
        self._writer: Any = None
        with self._dropped_if_it_fails():
            self._writer = _tensorboard(folder, step)

    def write(self, row: dict[str, float]) -> None:
        """Adds one row; it has a `step`."""
        if self._writer:
            with self._dropped_if_it_fails():
                for name, value in row.items():
                    if name != "step":
                        self._writer.add_scalar(name, value, int(row["step"]))

    def close(self) -> None:
        """Flushes and closes the file."""
        if self._writer:
            with self._dropped_if_it_fails():
                self._writer.close()

    @contextmanager
    def _dropped_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a package raises that the training does not need
            self._writer = None
            self._observer.notice(f"TensorBoard's events cannot be written, the training goes on without: {error}")


def _is_row(line: bytes, step: int) -> bool:
    """Says whether a line of the metrics is an object of this step or an earlier one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    at = row.get("step") if isinstance(row, dict) else None
    return isinstance(at, int | float) and not isinstance(at, bool) and at <= step


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
