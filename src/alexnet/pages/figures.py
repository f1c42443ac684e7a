"""Charts as SVG text: pure functions of their numbers. Colours come from the page's style sheet."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alexnet.pages.markup import compact, escape, percent, whole

Points = Sequence[tuple[float, float]]
Format = Callable[[float], str]

WIDTH, HEIGHT = 340, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 42
SIDE = 380


@dataclass(frozen=True)
class Line:
    """One series of a line chart.

    Attributes:
        label: What it is, for the legend; empty for none.
        points: (x, y) by rising x.
        hue: Its colour: a class of the style sheet (blue, warm, violet, green).
        faint: Drawn thin, without hover, and allowed to leave the frame.
        dots: Points are marked as well.
    """

    label: str
    points: Points
    hue: str
    faint: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Scale:
    """Maps numbers onto a stretch of pixels, linearly or by logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, at = (self._bend(v) for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def _bend(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers inside the range: multiples of 1, 2 or 5, or powers of ten."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**i for i in range(first, last + 1, -(-(last - first + 1) // about) or 1)]
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def plain(value: float) -> str:
    """A number for an axis or a tooltip: "0.01", "12.5 k"."""
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
) -> str:
    """A line chart with legend, grid and hover values.

    Args:
        title: The heading.
        lines: The series; empty ones are dropped.
        x_label: The name of the x axis.
        form: How y values read.
        log: Whether y is logarithmic; all values must then be positive.
        rule: A dashed level (y, text).
        mark: A ringed point (x, y, text).

    Returns:
        A ``figure`` element, or "" without any point.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    x, y = _scales(lines, log, rule)
    drawn = [_axes(x, y, form, x_label)]
    drawn += [_rule(y, *rule)] if rule else []
    drawn += [_line(line, x, y) for line in lines]
    drawn += [_mark(x, y, *mark)] if mark else []
    hover = json.dumps([_hover(line, x, y, form) for line in lines if not line.faint])
    spoken = escape(_spoken(title, lines, form))
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3>{_legend(lines)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{spoken}" data-x="{escape(x_label)}" '
        f'data-lines="{escape(hover, limit=1_000_000)}">{"".join(drawn)}</svg></figure>'
    )


def reliability(bins: Sequence[tuple[float, float, int]]) -> str:
    """The reliability diagram: how often the network is right, against how sure it is.

    A dot on the diagonal is honest; a stroke shows the gap; a dot's area and the bars below show how many
    pictures.

    Args:
        bins: (mean confidence, accuracy, n) of each bin, fractions in [0, 1], n > 0.

    Returns:
        An ``svg`` element, or "" without bins.
    """
    if not bins:
        return ""
    unit = Scale(0, 1, LEFT, SIDE - 2 * RIGHT)
    up = Scale(0, 1, SIDE - 90, TOP)
    most = max(n for _, _, n in bins)
    drawn = [_unit_grid(unit, up), f'<path class="diagonal" d="M{unit(0)} {up(0)}L{unit(1)} {up(1)}"/>']
    drawn += [_bin(unit, up, most, *entry) for entry in bins]
    return (
        f'<svg class="reliability" viewBox="0 0 {SIDE} {SIDE}" role="img" aria-label="Reliability diagram: '
        f'accuracy against confidence in {len(bins)} bins.">{"".join(drawn)}</svg>'
    )


def _scales(lines: Sequence[Line], log: bool, rule: tuple[float, str] | None) -> tuple[Scale, Scale]:
    steady = [line for line in lines if not line.faint] or lines
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in steady for _, y in line.points] + ([rule[0]] if rule else [])
    low = max(min(ys), 1e-290) if log else min(0.0, *ys, 0.0)
    high = max(ys) if log else max(ys) + 0.06 * (max(ys) - low)
    if log:
        low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
    left, right = min(xs), max(xs)
    return (
        Scale(left, _end(left, right), LEFT, WIDTH - RIGHT),
        Scale(low, max(high, low * 10) if log else _end(low, high), HEIGHT - BOTTOM, TOP, log),
    )


def _end(low: float, high: float) -> float:
    """The end of an axis, so far from its beginning that there are numbers to write between them."""
    size = max(abs(low), abs(high))
    return high if high - low > max(1e-9 * size, 1e-290) else low + max(1.0, size)


def _axes(x: Scale, y: Scale, form: Format, x_label: str) -> str:
    rows = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text class="tick end" x="{LEFT - 8}" y="{y(v) + 4:.1f}">{escape(form(v))}</text>'
        for v in y.ticks()
    ]
    columns = [
        f'<text class="tick mid" x="{x(v):.1f}" y="{HEIGHT - BOTTOM + 18}">{escape(plain(v))}</text>'
        for v in x.ticks(6)
    ]
    name = f'<text class="axis end" x="{WIDTH - RIGHT}" y="{HEIGHT - 6}">{escape(x_label)} →</text>'
    return "".join(rows) + "".join(columns) + name


def _line(line: Line, x: Scale, y: Scale) -> str:
    top = TOP if line.faint else -math.inf
    at = [(x(a), max(top, y(b))) for a, b in line.points]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in at)
    kind = f"line {line.hue}" + " faint" * line.faint
    few = (line.dots and len(at) <= 60) or len(at) == 1
    dots = "".join(f'<circle class="dot {line.hue}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>' for a, b in at if few)
    return f'<path class="{kind}" d="{path}"/>{dots}'


def _rule(y: Scale, value: float, text: str) -> str:
    return (
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text class="note end" x="{WIDTH - RIGHT}" y="{y(value) - 6:.1f}">{escape(text)}</text>'
    )


def _mark(x: Scale, y: Scale, at: float, value: float, text: str) -> str:
    left, top = x(at), y(value)
    side = "end" if left > WIDTH / 2 else ""
    base = top + (-12 if top > HEIGHT - BOTTOM - 28 else 22)  # below a lowest point no line is in the way
    return (
        f'<circle class="ring" cx="{left:.1f}" cy="{top:.1f}" r="5"/>'
        f'<text class="note strong {side}" x="{left:.1f}" y="{base:.1f}">{escape(text)}</text>'
    )


def _legend(lines: Sequence[Line]) -> str:
    keys = "".join(f'<li class="key {line.hue}">{escape(line.label)}</li>' for line in lines if line.label)
    return f'<ul class="legend">{keys}</ul>' if keys else ""


def _hover(line: Line, x: Scale, y: Scale, form: Format) -> dict[str, object]:
    points = [[round(x(a), 1), round(y(b), 1), plain(a), form(b)] for a, b in line.points]
    return {"label": line.label, "hue": line.hue, "points": points}


def _spoken(title: str, lines: Sequence[Line], form: Format) -> str:
    ends = [
        f"{line.label or 'from'} {form(line.points[0][1])} to {form(line.points[-1][1])}"
        for line in lines
        if not line.faint
    ]
    return f"{title}: {'; '.join(ends)}"


def _unit_grid(unit: Scale, up: Scale) -> str:
    ticks = [i / 4 for i in range(5)]
    rows = [
        f'<line class="grid" x1="{unit(0)}" x2="{unit(1)}" y1="{up(v)}" y2="{up(v)}"/>'
        f'<text class="tick end" x="{LEFT - 8}" y="{up(v) + 4}">{percent(v, 0)}</text>'
        f'<text class="tick mid" x="{unit(v)}" y="{SIDE - 22}">{percent(v, 0)}</text>'
        for v in ticks
    ]
    return (
        "".join(rows)
        + f'<text class="axis end" x="{unit(1)}" y="{SIDE - 4}">how sure it is →</text>'
        + f'<text class="axis" x="{LEFT + 8}" y="{TOP + 16}">↑ how often it is right</text>'
    )


def _bin(unit: Scale, up: Scale, most: int, confidence: float, accuracy: float, n: int) -> str:
    at, right, honest = unit(confidence), up(accuracy), up(confidence)
    tall, radius = 40 * n / most, 3 + 8 * math.sqrt(n / most)
    says = f"{whole(n)} pictures: {percent(confidence, 0)} sure, {percent(accuracy, 0)} right"
    foot = f'y="{SIDE - 40 - tall:.1f}" height="{tall:.1f}"'
    return (
        f'<g><title>{escape(says)}</title><line class="gap" x1="{at:.1f}" x2="{at:.1f}" y1="{honest:.1f}" '
        f'y2="{right:.1f}"/><circle class="bin" cx="{at:.1f}" cy="{right:.1f}" r="{radius:.1f}"/>'
        f'<rect class="count" x="{at - 6:.1f}" width="12" {foot}/></g>'
    )
