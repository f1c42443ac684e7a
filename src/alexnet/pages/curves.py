"""How the training went: loss, validation errors and learning rate."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from alexnet.pages.figures import Line, Points, line_chart
from alexnet.pages.markup import percent
from alexnet.records import StepRow, ValidationRow
from alexnet.run import Rows

MOST = 300


def learning_curves(rows: Rows, classes: int | None) -> Markup:
    """Draws the charts of a training, as far as it got; "" where it has no rows.

    Args:
        rows: The training's rows.
        classes: Number of classes; None where it is not known.
    """
    charts = (_loss(rows, classes), _errors(rows.validations), _rate(rows.steps))
    body = Markup().join(charts)
    return Markup('<div class="charts">{}</div>').format(body) if body else body


def smooth(points: Points) -> list[tuple[float, float]]:
    """Returns the centred moving mean over a twenty-fifth of the points; the window is cut off at the ends."""
    if not points:
        return []
    x, y = np.array(points, dtype=np.float64).T
    half, total, at = len(y) // 50, np.concatenate([[0.0], np.cumsum(y)]), np.arange(len(y))
    first, behind = np.maximum(at - half, 0), np.minimum(at + half + 1, len(y))
    mean = (total[behind] - total[first]) / (behind - first)
    return list(zip(x.tolist(), mean.tolist(), strict=True))


def thin(points: Points, most: int = MOST) -> list[tuple[float, float]]:
    """Returns at most about `most` points: of each stretch the lowest and the highest, so that no spike is lost."""
    if len(points) <= most:
        return list(points)
    stretches = np.array_split(np.arange(len(points)), most // 2)
    kept: set[int] = {0, len(points) - 1}
    for stretch in stretches:
        heights = [points[i][1] for i in stretch]
        kept |= {int(stretch[np.argmin(heights)]), int(stretch[np.argmax(heights)])}
    return [points[i] for i in sorted(kept)]


def _loss(rows: Rows, classes: int | None) -> Markup:
    raw = [(row.step, row.loss) for row in rows.steps]
    validation = [(row.step, row.val_loss) for row in rows.validations]
    return line_chart(
        "Loss",
        [
            Line("", thin(raw), "blue", faint=True),
            Line("training, smoothed", thin(smooth(raw)), "blue"),
            Line("validation", thin(validation), "warm", dots=True),
        ],
        x_label="step",
        rule=(math.log(classes), "knowing nothing: ln C") if classes and classes > 1 else None,
    )


def _errors(validations: Sequence[ValidationRow]) -> Markup:
    top1 = [(row.epoch, row.val_top1_error) for row in validations]
    top5 = [(row.epoch, row.val_top5_error) for row in validations]
    best = min(top1, key=lambda point: point[1], default=None)
    has_top5 = any(error > 0 for _, error in top5)
    return line_chart(
        "Validation error",
        [
            Line("top-1", thin(top1), "warm", dots=True),
            Line("top-5", thin(top5) if has_top5 else [], "violet", dots=True),
        ],
        x_label="epoch",
        form=lambda v: percent(v, 0 if abs(v * 100 - round(v * 100)) < 1e-9 else 1),
        mark=(*best, f"best {percent(best[1])}") if best else None,
    )


def _rate(steps: Sequence[StepRow]) -> Markup:
    rates = [(row.step, row.lr) for row in steps if row.lr is not None]
    values = {rate for _, rate in rates}
    is_stepped = 1 < len(values) <= 10 and min(values) > 0 and max(values) / min(values) >= 9
    return line_chart("Learning rate", [Line("", thin(rates), "green")], x_label="step", log=is_stepped)
