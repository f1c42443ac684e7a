"""The sections of a report that draw numbers: each is empty where a run has none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from alexnet.data.labels import short_labels
from alexnet.evaluation.metrics import interval, sure_from
from alexnet.pages.clarity import counts
from alexnet.pages.figures import Line, Points, line_chart, reliability
from alexnet.pages.kernels import Kernels, blocks
from alexnet.pages.markup import percent, whole
from alexnet.pages.page import draw
from alexnet.records import Ancestor, ClassErrors, Evaluation, Gain, StepRow, ValidationRow
from alexnet.run import Rows

Matrix = Sequence[Sequence[int]]
"""Counts of pictures: row truth, column guess."""

MOST_POINTS = 300

LARGEST = 40
"""Classes of the largest confusion matrix that is drawn, and of the longest complete list."""

ROOMY = 12
"""Classes of the largest matrix that shows its numbers; more take the whole width of the page."""

PAIRS, WORST, BEST = 20, 20, 5

HEADING, LABEL = 16, 28
"""Characters of the longest label of a class: beside and above a matrix, and elsewhere."""


@dataclass(frozen=True)
class Bar:
    """A measured error, as a bar with its 95 % interval."""

    name: str
    error: float
    interval: tuple[float, float]


def learning_curves(rows: Rows, classes: int | None, gain: Gain | None = None) -> Markup:
    """Draws the charts of a training as far as it got; `classes` is their number, None where it is not known.

    Of a fine-tuning, `gain` has the error of the frozen features that it began with.
    """
    body = Markup().join((_loss(rows, classes), _errors(rows.validations, gain), _rate(rows.steps)))
    return Markup('<div class="charts">{}</div>').format(body) if body else body


def origin(ancestor: Ancestor | None, gain: Gain | None) -> Markup:
    """Draws what a training took over from a trained network, and what its two stages reached."""
    if ancestor is None:
        return Markup()
    layers = [
        (each.layer, each.origin, whole(each.parameters), f"{each.rate:g}" if each.rate else "frozen")
        for each in ancestor.layers
    ]
    stages = gain and [
        Bar("frozen features", gain.frozen_error, gain.frozen_interval),
        Bar("fine-tuned", gain.tuned_error, gain.tuned_interval),
    ]
    table = draw("table.html", head=["layer", "from", "parameters", "rate"], rows=layers)
    return draw("origin.html", ancestor=ancestor, gain=gain, stages=bars(stages or []), layers=table)


def bars(entries: Sequence[Bar]) -> Markup:
    """Draws errors under one scale, each with its 95 % interval; nothing without entries."""
    if not entries:
        return Markup()
    end = min(1.0, math.ceil(10 * max(each.interval[1] for each in entries)) / 10)
    return draw("bars.html", entries=entries, end=end)


def short_percent(fraction: float) -> str:
    """Returns a fraction as percent, with a decimal only where it has one."""
    return percent(fraction, 0 if abs(fraction * 100 - round(fraction * 100)) < 1e-9 else 1)


def smooth(points: Points) -> list[tuple[float, float]]:
    """Returns the centred moving mean over a twenty-fifth of the points; the window is cut off at the ends."""
    if not points:
        return []
    x, y = np.array(points, dtype=np.float64).T
    half, total, at = len(y) // 50, np.concatenate([[0.0], np.cumsum(y)]), np.arange(len(y))
    first, behind = np.maximum(at - half, 0), np.minimum(at + half + 1, len(y))
    # Sums of windows as differences of running sums: one pass, however wide the window.
    mean = (total[behind] - total[first]) / (behind - first)
    return list(zip(x.tolist(), mean.tolist(), strict=True))


def thin(points: Points) -> list[tuple[float, float]]:
    """Returns at most about 300 points: of each stretch the lowest and the highest, so that no spike is lost."""
    if len(points) <= MOST_POINTS:
        return list(points)
    kept = {0, len(points) - 1}
    for stretch in np.array_split(np.arange(len(points)), MOST_POINTS // 2):
        heights = [points[i][1] for i in stretch]
        kept |= {int(stretch[np.argmin(heights)]), int(stretch[np.argmax(heights)])}
    return [points[i] for i in sorted(kept)]


def kernel_pictures(kernels: Kernels | None) -> Markup:
    """Draws the first layer, a picture a tower, with the number of clear kernels in each."""
    if kernels is None:
        return Markup()
    clear = counts(kernels.weights, kernels.towers)
    return draw("kernels.html", towers=list(zip(blocks(kernels), clear, strict=True)), shape=kernels.weights.shape)


def mixed_up(evaluation: Evaluation | None) -> Markup:
    """Draws the confusion matrix, or the most confused pairs of more than 40 classes, and the error of every class."""
    if evaluation is None:
        return Markup()
    names, rows = evaluation.classes, evaluation.confusion
    mistakes = heat_map(names, rows) if rows and len(names) <= LARGEST else confused_pairs(evaluation)
    return Markup('<div class="pair">{}{}</div>').format(mistakes, class_errors(evaluation.per_class))


def heat_map(names: Sequence[str], rows: Matrix) -> Markup:
    """Draws a table of counts; the depth of a cell is its fraction of its row, right and wrong in two colours."""
    is_roomy = len(names) <= ROOMY
    return draw("confusion.html", names=names, rows=rows, is_roomy=is_roomy, short=short_labels(names, HEADING))


def confused_pairs(evaluation: Evaluation) -> Markup:
    """Draws the most frequent mistakes as bars."""
    pairs = evaluation.mistakes[:PAIRS]
    short = short_labels(evaluation.classes, LABEL)
    return draw("pairs.html", classes=evaluation.per_class, pairs=pairs, short=short)


def class_errors(per_class: Sequence[ClassErrors]) -> Markup:
    """Draws the top-1 error of every class that has pictures, with its 95 % interval, hardest first."""
    tested = sorted((each for each in per_class if each.n), key=lambda each: (-each.top1_error, each.name))
    if not tested:
        return Markup()
    shown = tested[:WORST] + tested[-BEST:] if len(tested) > LARGEST else tested
    intervals = [interval(each.top1_error, each.n) for each in shown]
    return draw(
        "classes.html",
        rows=list(zip(shown, intervals, strict=True)),
        end=min(1.0, math.ceil(10 * max(high for _, high in intervals)) / 10),
        worst=WORST,
        hidden=len(tested) - len(shown),
        is_wide=len(tested) > ROOMY,
        short=short_labels([each.name for each in per_class], LABEL),
    )


def calibration(evaluation: Evaluation | None) -> Markup:
    """Draws the reliability diagram, with its reading in words."""
    bins = [each for each in evaluation.calibration.bins if each.n] if evaluation else []
    if evaluation is None or not bins:
        return Markup()
    total = sum(each.n for each in bins)
    sure = sum(each.confidence * each.n for each in bins) / total
    right = sum(each.accuracy * each.n for each in bins) / total
    limit = sure_from(evaluation.calibration, len(evaluation.classes))
    confident = [each for each in bins if each.confidence >= limit]
    return draw(
        "calibration.html",
        diagram=reliability(bins),
        sure=sure,
        right=right,
        ece=evaluation.calibration.ece,
        limit=limit,
        enough=(1 + 1 / len(evaluation.classes)) / 2,
        unsure=1 - sum(each.n for each in confident) / total,
        wrong=sum((1 - each.accuracy) * each.n for each in confident) / max(1, sum(each.n for each in confident)),
    )


def _loss(rows: Rows, classes: int | None) -> Markup:
    raw = [(row.step, row.loss) for row in rows.steps]
    validation = [(row.step, row.val_loss) for row in rows.validations]
    lines = [
        Line("", thin(raw), "blue", faint=True),
        Line("training, smoothed", thin(smooth(raw)), "blue"),
        Line("validation", thin(validation), "warm", dots=True),
    ]
    rule = (math.log(classes), "knowing nothing: ln C") if classes and classes > 1 else None
    return line_chart("Loss", lines, x_label="step", rule=rule)


def _errors(validations: Sequence[ValidationRow], gain: Gain | None) -> Markup:
    top1 = [(row.epoch, row.val_top1_error) for row in validations]
    top5 = [(row.epoch, row.val_top5_error) for row in validations]
    kept = min((row for row in validations if not row.is_look), key=lambda row: row.val_loss, default=None)
    lines = [Line("top-1", thin(top1), "warm", dots=True)]
    if any(error > 0 for _, error in top5):  # five guesses of at most five classes are never wrong
        lines.append(Line("top-5", thin(top5), "violet", dots=True))
    return line_chart(
        "Validation error",
        lines,
        x_label="epoch",
        form=short_percent,
        rule=(gain.frozen_error, "frozen features") if gain else None,
        mark=(kept.epoch, kept.val_top1_error, f"weights kept: {percent(kept.val_top1_error)}") if kept else None,
    )


def _rate(steps: Sequence[StepRow]) -> Markup:
    rates = [(row.step, row.lr) for row in steps if row.lr is not None]
    values = {rate for _, rate in rates}
    # A rate that falls in steps of ten needs a logarithmic axis, one that moves all the time a linear one.
    is_stepped = 1 < len(values) <= 10 and min(values) > 0 and max(values) / min(values) >= 9
    return line_chart("Learning rate", [Line("", thin(rates), "green")], x_label="step", log=is_stepped)
