"""Charts as SVG: pure functions of their numbers. Colours come from the page's style sheet."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from alexnet.pages.markup import compact, escape
from alexnet.pages.page import draw
from alexnet.records import Bin

Points = Sequence[tuple[float, float]]
Format = Callable[[float], str]

WIDTH, HEIGHT = 340, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 42
SIDE = 380
MOST_DOTS = 60
HUES = ("blue", "warm", "green", "violet", "rose", "gold", "teal", "gray")


@dataclass(frozen=True)
class Line:
    """One series of a line chart."""

    label: str  # its name in the legend; "" leaves it out there
    points: Points  # (x, y) by rising x
    hue: str  # one of `HUES`, a class of the style sheet
    faint: bool = False  # whether it is drawn thin, without values on hover, and may leave the frame
    dots: bool = False  # whether its points are marked, up to 60 of them


@dataclass(frozen=True)
class Scale:
    """Maps numbers of `low`..`high` onto pixels of `start`..`end`, linearly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Returns the pixel of a value."""
        low, high, at = (self._bend(v) for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def _bend(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value

    def ticks(self, about: int = 5) -> list[float]:
        """Returns about so many round numbers inside the range: multiples of 1, 2 or 5, or powers of ten."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**i for i in range(first, last + 1, -(-(last - first + 1) // about) or 1)]
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        # Rounding must not make a step of 1.0000001 powers one of 2, nor lose a tick at the end of the range.
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def plain(value: float) -> str:
    """Returns a number for an axis or a tooltip: "0.01", "12.5 k"."""
    return compact(value) if abs(value) >= 10_000 else f"{value:.4g}"


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    form: Format = plain,
    log: bool = False,
    rule: tuple[float, str] | None = None,
    mark: tuple[float, float, str] | None = None,
) -> Markup:
    """Draws a line chart with legend, grid and values on hover: a `figure` element, or "" without any point.

    Args:
        title: The heading.
        lines: The series; empty ones are dropped.
        x_label: The name of the x axis.
        form: How y values read.
        log: Whether y is logarithmic; all values must then be positive.
        rule: A dashed level (y, text); left out where it lies so far off that it would flatten the lines.
        mark: A ringed point (x, y, text).
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return Markup()
    x, y = _scales(lines, log, rule)
    rule = rule if rule and y.low <= rule[0] <= y.high else None
    shown = [line for line in lines if not line.faint]
    ends = [f"{line.label or 'from'} {form(line.points[0][1])} to {form(line.points[-1][1])}" for line in shown]
    return draw(
        "chart.html",
        title=title,
        size=(WIDTH, HEIGHT),
        x=x,
        y=y,
        x_label=x_label,
        form=form,
        plain=plain,
        drawn=[(line, _points(line, x, y)) for line in lines],
        most_dots=MOST_DOTS,
        rule=rule,
        mark=mark,
        hover=escape(json.dumps([_hover(line, x, y, form) for line in shown]), limit=1_000_000),
        spoken=f"{title}: {'; '.join(ends)}",
    )


def reliability(bins: Sequence[Bin]) -> Markup:
    """Draws the reliability diagram: how often the network is right, against how sure it is. No bin may be empty.

    A dot on the diagonal is honest, and a stroke shows the gap. A dot's area and the bars below show how many pictures.
    """
    x, y = Scale(0, 1, LEFT, SIDE - 2 * RIGHT), Scale(0, 1, SIDE - 90, TOP)
    return draw("reliability.html", bins=bins, most=max(each.n for each in bins), side=SIDE, x=x, y=y)


def _scales(lines: Sequence[Line], log: bool, rule: tuple[float, str] | None) -> tuple[Scale, Scale]:
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines if not line.faint for _, y in line.points]
    for line in (line for line in lines if line.faint):  # the middle half; single spikes may leave the frame
        heights = sorted(y for _, y in line.points)
        ys += heights[len(heights) // 4 : len(heights) - len(heights) // 4]
    low, high = min(ys), max(ys)
    if rule and low - (high - low) <= rule[0] <= high + (high - low):
        low, high = min(low, rule[0]), max(high, rule[0])
    if log:
        low = 10 ** math.floor(math.log10(max(low, 1e-290)))
        high = max(10 ** math.ceil(math.log10(high)), low * 10)
    else:
        margin = 0.06 * (high - low)  # so that no point lies on the frame
        # Where zero is near it is the base; a range far from it would look flat from there.
        low = 0.0 if 0 <= low <= 0.25 * (high - low) or low == high >= 0 else low - margin
        high = _end(low, high + margin)
    x = Scale(min(xs), _end(min(xs), max(xs)), LEFT, WIDTH - RIGHT)
    return x, Scale(low, high, HEIGHT - BOTTOM, TOP, log)


def _end(low: float, high: float) -> float:
    """Returns the end of an axis, so far from its beginning that there are numbers to write between them."""
    size = max(abs(low), abs(high))
    return high if high - low > max(1e-9 * size, 1e-290) else low + max(1.0, size)


def _points(line: Line, x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Returns the pixels of a line's points; a faint line is cut off at the top and the bottom of the frame."""
    top, bottom = (TOP, HEIGHT - BOTTOM) if line.faint else (-math.inf, math.inf)
    return [(x(a), min(bottom, max(top, y(b)))) for a, b in line.points]


def _hover(line: Line, x: Scale, y: Scale, form: Format) -> dict[str, object]:
    points = [[round(x(a), 1), round(y(b), 1), plain(a), form(b)] for a, b in line.points]
    return {"label": line.label, "hue": line.hue, "points": points}
