"""What a run folder holds, read for its report: a file that is missing or damaged stops nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from alexnet.errors import CheckpointError, UsageError
from alexnet.pages import kernels
from alexnet.pages.kernels import Kernels
from alexnet.records import Description, Evaluation, Examples
from alexnet.run import Rows, Run

Value = TypeVar("Value")


@dataclass(frozen=True)
class Contents:
    """The files of a run folder; None where one is missing or was left out.

    Attributes:
        name: The folder's own name.
        description: What decided the run.
        rows: Losses and errors as the training went.
        evaluation: The errors last measured.
        examples: The example pictures of that evaluation.
        kernels: The first layer of the best weights.
        faults: A sentence for each file that is there but was left out.
    """

    name: str
    description: Description | None
    rows: Rows
    evaluation: Evaluation | None
    examples: Examples | None
    kernels: Kernels | None
    faults: tuple[str, ...]


def read(folder: Path) -> Contents:
    """Reads the folder of a finished, a running or an interrupted run.

    Raises:
        UsageError: The folder does not exist.
        CheckpointError: The folder holds none of a run's files.
    """
    run, faults = Run(folder), list[str]()
    if not folder.is_dir():
        raise UsageError(f"no run folder at {folder}: name a folder that a training wrote")
    marks = run.config, run.metrics, run.evaluation_file
    if not any(mark.exists() for mark in marks):
        raise CheckpointError(f"{folder} is not a run folder: it holds none of {', '.join(p.name for p in marks)}")

    def read_or_leave_out(path: Path, reader: Callable[[], Value | None]) -> Value | None:
        if not path.is_file():  # a pipe, which may never end, or a folder
            faults.extend([f"{path.name} is not a file and was left out."] if path.exists() else [])
            return None
        try:
            return reader()
        except (CheckpointError, OSError):
            faults.append(f"{path.name} is damaged and was left out.")
            return None

    rows = read_or_leave_out(run.metrics, run.rows) or Rows((), (), 0)
    if rows.damaged:
        faults.append(f"{rows.damaged} damaged line{'s' * (rows.damaged > 1)} of {run.metrics.name} left out.")
    return Contents(
        name=folder.resolve().name,
        description=read_or_leave_out(run.config, run.description),
        rows=rows,
        evaluation=read_or_leave_out(run.evaluation_file, run.evaluation),
        examples=read_or_leave_out(run.examples_file, run.examples),
        kernels=read_or_leave_out(run.best, lambda: kernels.read(run.best)),
        faults=tuple(faults),
    )
