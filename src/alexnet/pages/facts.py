"""What a run folder holds, and its numbers on the page: the headline, the key facts, the settings and the timings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TypeVar

from markupsafe import Markup
from msgspec import structs, to_builtins

from alexnet.errors import CheckpointError, UsageError
from alexnet.evaluation.metrics import TOP, balanced_interval
from alexnet.pages import kernels
from alexnet.pages.kernels import Kernels
from alexnet.pages.markup import THIN, compact, duration, setting, whole
from alexnet.pages.page import draw
from alexnet.records import Dataset, Description, Evaluation, Examples, Gain, StepRow, ValidationRow
from alexnet.run import Rows, Run
from alexnet.weights.strange import refuse_strange

Value = TypeVar("Value")

NEAR = 0.98
"""A training that has made this fraction of its steps counts as complete."""


@dataclass(frozen=True)
class Contents:
    """The files of a run folder; None where one is missing or was left out."""

    name: str
    description: Description | None
    rows: Rows
    evaluation: Evaluation | None
    examples: Examples | None
    gain: Gain | None  # of fine-tuning over frozen features
    kernels: Kernels | None  # of the best weights
    faults: tuple[str, ...]  # a sentence for each file that was left out


@dataclass(frozen=True)
class Figure:
    """An error in large letters."""

    what: str
    error: float
    interval: tuple[float, float] | None = None  # 95 %, where the error was measured on test pictures
    naive: float | None = None  # the error of always naming the largest class, where that is to be compared


@dataclass(frozen=True)
class Table:
    """Names and values below a caption."""

    caption: str
    rows: list[tuple[str, str]]


def read(folder: Path) -> Contents:
    """Reads the folder of a finished, a running or an interrupted run; a missing or damaged file stops nothing.

    Raises:
        UsageError: The folder does not exist.
        CheckpointError: The folder holds none of a run's files.
    """
    run, faults = Run(folder), list[str]()
    if folder.is_file():
        refuse_strange(folder)
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
        gain=read_or_leave_out(run.gain_file, run.gain),
        kernels=read_or_leave_out(run.best, lambda: kernels.read(run.best)),
        faults=tuple(faults),
    )


def headline(run: Contents) -> Markup:
    """Draws the errors in large letters, or a sentence that says that there are none."""
    if run.evaluation and run.evaluation.n:
        figures = _measured(run.evaluation)
        return draw("headline.html", figures=figures, evaluation=run.evaluation, choice=_choice(run))
    best = min((row.val_top1_error for row in run.rows.validations if not row.is_look), default=None)
    figures = [] if best is None else [Figure("Best top-1 error in validation", best)]
    return draw("headline.html", figures=figures, evaluation=None, choice=_choice(run))


def standing(run: Contents) -> str:
    """Returns a sentence on a run that stands short of its plan; "" for one that reached it, or without a plan."""
    settings = run.description and run.description.settings
    rows: list[StepRow | ValidationRow] = [*run.rows.steps, *run.rows.validations]
    if not settings or not rows:
        return ""
    if settings.steps is None:
        unit, done, planned = "epoch", max(row.epoch for row in rows), settings.epochs
        is_short = done < planned - 1
    else:
        unit, done, planned = "step", max(row.step for row in rows), settings.steps
        is_short = done < planned * NEAR
    return f"The training stands at {unit} {done:,.6g} of {planned:,.6g}." if is_short else ""


def key_facts(description: Description) -> dict[str, str]:
    """Returns what was trained, on what, for how long."""
    size, trained = description.input_size, (description.data or Dataset()).counts.get("train")
    facts = {
        "Recipe": description.recipe,
        "Parameters": compact(description.parameters) if description.parameters else None,
        "Input": f"{size}{THIN}×{THIN}{size}" if size else None,
        "Classes": whole(len(description.classes)),
        "Training pictures": whole(trained) if trained else None,
        "Training time": duration(description.seconds) if description.seconds else None,
    }
    return {what: value for what, value in facts.items() if value}


def settings(description: Description) -> list[Table]:
    """Returns every setting, grouped."""
    names = "recipe", "variant", "input_size", "parameters", "licence"
    groups = {
        "Network": {name: value for name in names if (value := getattr(description, name)) is not None},
        "Training": {name: value for name, value in (description.train or {}).items() if name not in names},
        "Preprocessing": description.preprocessing,
        "Data": description.data and structs.replace(description.data, quarantine=()),
        "Conversion": description.converted,
        "Machine": description.machine,
    }
    return [Table(caption, _flat(to_builtins(group))) for caption, group in groups.items() if group]


def timings(run: Contents) -> list[Table]:
    """Returns times and speeds, and the versions they were measured with."""
    rates = [row.images_per_s for row in run.rows.steps if row.images_per_s]
    started, trained = (run.description.started, run.description.seconds) if run.description else (None, None)
    times = {
        "started": _moment(started, 0.0),
        "finished": _moment(started, trained) if trained else None,
        "training": duration(trained) if trained else None,
        "training speed, median": f"{median(rates):,.4g} images/s" if rates else None,
        "evaluation": duration(run.evaluation.seconds) if run.evaluation else None,
    }
    shown = [(what, value) for what, value in times.items() if value]
    return [Table("Timings", shown), Table("Versions", _flat(run.description.versions if run.description else {}))]


def _flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Returns the leaves of nested objects, with dotted names."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", setting(value)))
    return pairs


def _choice(run: Contents) -> str:
    """Returns a sentence on the split that chose the weights, and whether they are tested on another; "" of no choice.

    It is `val`, or `test` where there is no `val`, as in `training.plan.watched`.
    """
    splits = run.description.data.counts if run.description and run.description.data else {}
    chosen = next((name for name in ("val", "test") if name in splits), None)
    if chosen is None or not run.rows.validations:
        return ""
    words = f"The weights are those of the lowest loss on {chosen}"
    if run.evaluation is None:
        return f"{words}."
    if chosen not in run.evaluation.split.split("+"):
        return f"{words}; the pictures they are tested on had no part in that choice."
    others = " Those of the split test had no part in it." if {"val", "test"} <= splits.keys() else ""
    return f"{words} and are tested on it too, so the error may be a little too low.{others}"


def _measured(evaluation: Evaluation) -> list[Figure]:
    figures = [Figure("Top-1 error", evaluation.top1_error, evaluation.top1_interval, evaluation.naive_error)]
    if len(evaluation.classes) > TOP:
        figures.append(Figure("Top-5 error", evaluation.top5_error, evaluation.top5_interval))
    if evaluation.is_uneven and evaluation.balanced_error is not None:
        present = sum(each.n > 0 for each in evaluation.per_class)
        interval, naive = balanced_interval(evaluation.per_class), 1 - 1 / present
        figures.append(Figure("Balanced error", evaluation.balanced_error, interval, naive))
    return figures


def _moment(started: str | None, after: float) -> str | None:
    """Returns a time so many seconds after the start; None if the start is no time, or too far from ours."""
    try:
        moment = datetime.fromisoformat(started or "") + timedelta(seconds=after)
    except (ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%d %H:%M %Z").strip()
