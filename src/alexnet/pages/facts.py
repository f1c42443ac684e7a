"""The numbers of a run: the headline, the key facts, the settings and the timings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from markupsafe import Markup
from msgspec import structs, to_builtins

from alexnet.evaluation.metrics import TOP
from alexnet.pages.contents import Contents
from alexnet.pages.markup import THIN, compact, duration, setting, whole
from alexnet.pages.page import draw
from alexnet.records import Dataset, Description, Evaluation

NEAR = 0.98
"""A training that has made this fraction of its steps counts as complete."""


@dataclass(frozen=True)
class Figure:
    """An error in large letters.

    Attributes:
        what: What it is.
        error: The error.
        interval: Its 95 % interval, where it was measured on test pictures.
        naive: The error of always naming the largest class, where it is to be compared.
    """

    what: str
    error: float
    interval: tuple[float, float] | None = None
    naive: float | None = None


@dataclass(frozen=True)
class Table:
    """Names and values below a caption."""

    caption: str
    rows: list[tuple[str, str]]


def headline(run: Contents) -> Markup:
    """Draws the errors in large letters, or a sentence that says that there are none."""
    if run.evaluation and run.evaluation.n:
        return draw("headline.html", figures=_measured(run.evaluation), evaluation=run.evaluation)
    best = min((row.val_top1_error for row in run.rows.validations), default=None)
    figures = [] if best is None else [Figure("Best top-1 error in validation", best)]
    return draw("headline.html", figures=figures, evaluation=None)


def standing(run: Contents) -> str:
    """Returns a sentence on a run that stands short of its plan; "" for one that reached it, or without a plan."""
    settings, rows = run.description and run.description.settings, run.rows
    steps = [row.step for row in rows.steps] + [row.step for row in rows.validations]
    epochs = [row.epoch for row in rows.steps] + [row.epoch for row in rows.validations]
    if not settings or not steps:
        return ""
    if settings.steps is not None:
        unit, done, planned = "step", float(max(steps)), float(settings.steps)
        is_short = done < planned * NEAR
    else:
        unit, done, planned = "epoch", max(epochs), settings.epochs
        is_short = done < planned - 1
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
    data = description.data and structs.replace(description.data, quarantine=())
    network = {
        "recipe": description.recipe,
        "variant": description.variant,
        "input_size": description.input_size,
        "parameters": description.parameters,
        "licence": description.licence,
    }
    groups = {
        "Network": {key: value for key, value in network.items() if value is not None},
        "Training": description.train,
        "Preprocessing": description.preprocessing,
        "Data": data,
        "Conversion": description.converted,
        "Machine": description.machine,
    }
    return [Table(caption, flat(to_builtins(group))) for caption, group in groups.items() if group]


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
    return [Table("Timings", shown), Table("Versions", flat(run.description.versions if run.description else {}))]


def flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Returns the leaves of nested objects, with dotted names."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            pairs += flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", setting(value)))
    return pairs


def _measured(evaluation: Evaluation) -> list[Figure]:
    counts = [each.n for each in evaluation.per_class]
    naive = 1 - max(counts) / sum(counts) if any(counts) else None
    figures = [Figure("Top-1 error", evaluation.top1_error, evaluation.top1_interval, naive)]
    if len(evaluation.classes) > TOP:
        figures.append(Figure("Top-5 error", evaluation.top5_error, evaluation.top5_interval))
    return figures


def _moment(started: str | None, after: float) -> str | None:
    """Returns a time so many seconds after the start; None if the start is no time, or too far from ours."""
    try:
        moment = datetime.fromisoformat(started or "") + timedelta(seconds=after)
    except (ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%d %H:%M %Z").strip()
