"""Which classes go wrong, and what they are taken for."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from alexnet.evaluation.metrics import interval
from alexnet.pages.page import draw
from alexnet.records import ClassErrors, Evaluation

Matrix = Sequence[Sequence[int]]
"""Counts of pictures: row truth, column guess."""

LARGEST = 40
"""Classes of the largest confusion matrix that is drawn, and of the longest complete list."""

ROOMY = 12
"""Classes of the largest matrix that shows its numbers; more take the whole width of the page."""

PAIRS = 20
WORST, BEST = 20, 5


def mixed_up(evaluation: Evaluation) -> Markup:
    """Draws the confusion matrix, or the most confused pairs of more than 40 classes, and the error of every class."""
    names, rows = evaluation.classes, evaluation.confusion
    mistakes = heat_map(names, rows) if len(names) <= LARGEST else confused_pairs(names, rows)
    return Markup('<div class="pair">{}{}</div>').format(mistakes, class_errors(evaluation.per_class))


def heat_map(names: Sequence[str], rows: Matrix) -> Markup:
    """Draws a table of counts; the depth of a cell is its fraction of its row, right and wrong in two colours."""
    is_roomy = len(names) <= ROOMY
    size = "few" if len(names) <= 4 else "roomy" if is_roomy else "dense"
    return draw("confusion.html", names=names, rows=rows, is_roomy=is_roomy, size=size)


def confused_pairs(names: Sequence[str], rows: Matrix) -> Markup:
    """Draws the most frequent mistakes as bars."""
    wrong = [(n, i, j) for i, row in enumerate(rows) for j, n in enumerate(row) if i != j and n]
    pairs = sorted(wrong, key=lambda pair: -pair[0])[:PAIRS]
    return draw("pairs.html", names=names, pairs=pairs, totals=[sum(row) for row in rows])


def class_errors(per_class: Sequence[ClassErrors]) -> Markup:
    """Draws the top-1 error of every class with its 95 % interval, hardest first; "" without any picture."""
    tested = [each for each in per_class if each.n]
    if not tested:
        return Markup()
    tested.sort(key=lambda each: (-each.top1_error, each.name))
    shown = tested[:WORST] + tested[-BEST:] if len(tested) > LARGEST else tested
    intervals = [interval(each.top1_error, each.n) for each in shown]
    return draw(
        "classes.html",
        rows=list(zip(shown, intervals, strict=True)),
        end=min(1.0, math.ceil(10 * max(high for _, high in intervals)) / 10),
        worst=WORST,
        hidden=len(tested) - len(shown),
        is_wide=len(tested) > ROOMY,
    )
