"""Draws the figures of the reference from the tables and JSON beside them: `python docs/figures.py` makes them anew."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

REFERENCE = Path(__file__).parent / "reference"
BLUE, ORANGE, GRAY = "#4c72b0", "#dd8452", "#888888"


def rows(page: str, heading: str, first: str) -> list[list[str]]:
    """Returns the cells of the first table behind a heading whose first cell is `first`, without its rule."""
    body = (REFERENCE / f"{page}.md").read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    table = next(re.finditer(rf"^\| {re.escape(first)} \|(?:.*\n\|)*.*\n", body, re.MULTILINE))[0]
    cells = [[cell.strip() for cell in each.split("|")[1:-1]] for each in table.splitlines()]
    return [row for row in cells if not set("".join(row)) <= set("-:")]


def number(cell: str) -> float | None:
    """Returns the first number of a cell; None where it has none."""
    match = re.search(r"-?\d+(?:\.\d+)?", cell.replace(",", ""))
    return float(match[0]) if match else None


def svg(width: int, height: int, title: str, parts: Iterator[str]) -> str:
    """Returns a drawing on white, which is read in dark pages too."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(title)}">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            text(width / 2, 20, title, "middle", size=15),
            *parts,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 13, fill: str = "#222222") -> str:
    """Returns words at a place."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">{escape(words)}</text>'
    )


def line(points: Sequence[tuple[float, float]], stroke: str, width: float = 1) -> str:
    """Returns a line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width:g}"/>'


def dot(x: float, y: float, fill: str) -> str:
    """Returns a dot."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{fill}"/>'


@dataclass(frozen=True)
class Gain:
    """Points of top-1 error that something takes off, with the 95 % interval; the paper's, where it has a figure."""

    name: str
    points: float
    low: float
    high: float
    paper: float | None


def claims() -> str:
    """Returns what the lecture's claims are worth on clothing: the paper's points of top-1 error beside ours."""
    gains = []
    for claim, paper, here, interval, *_ in rows("results", "## The lecture's claims on clothing", "claim")[1:]:
        low, high = (float(end) for end in interval.split(" to "))
        gains.append(Gain(claim.replace("`", "").partition(" (")[0], number(here) or 0, low, high, number(paper)))
    return beside_the_paper("The lecture's claims, on 3,781 photographs", gains, range(-12, 7, 3))


def claims_tiny() -> str:
    """Returns what the claims are worth on Tiny ImageNet, from the `claim.json` of each."""
    answers = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(REFERENCE.glob("claims/*.json"))]
    gains = []
    for answer in answers:
        top1 = answer["differences"]["top1"]
        ends = (100 * top1[end] for end in ("mean", "low", "high"))
        gains.append(
            Gain(answer["claim"], *ends, 100 * top1["size"] if re.match(r"(over )?\d", answer["paper"]) else None)
        )
    gains.sort(key=lambda gain: -gain.points)
    return beside_the_paper("The lecture's claims, on 69,807 pictures of 200 classes", gains, range(-9, 4, 3))


def beside_the_paper(title: str, gains: Sequence[Gain], scale: range) -> str:
    """Returns a drawing of gains over a scale of points."""

    def across(points: float) -> float:
        return 140 + 380 * (points - scale[0]) / (scale[-1] - scale[0])

    def parts() -> Iterator[str]:
        bottom = 50 + 28 * len(gains)
        for points in scale:
            yield line([(across(points), 40), (across(points), bottom)], "#dddddd" if points else GRAY)
            yield text(across(points), bottom + 18, f"{points}", "middle")
        for i, gain in enumerate(gains):
            y = 60 + 28 * i
            yield text(10, y + 4, gain.name)
            yield line([(across(gain.low), y), (across(gain.high), y)], BLUE, 3)
            yield dot(across(gain.points), y, BLUE)
            if gain.paper is not None:
                yield line([(across(gain.paper), y - 9), (across(gain.paper), y + 9)], ORANGE, 4)
        yield text(10, bottom + 38, "points of top-1 error that it takes off; blue: here, with the 95 % interval;")
        yield text(10, bottom + 56, "orange: the paper, on ImageNet", fill="#b25d2c")

    return svg(540, 116 + 28 * len(gains), title, parts())


def clothing() -> str:
    """Returns the error on clothing by epoch, from scratch and from the network in the package."""
    curves = {
        name: [[number(cell) or 0 for cell in row[1:]] for row in rows("results", heading, "epoch")]
        for name, heading in (
            ("from scratch", "## Clothing photographs"),
            ("fine-tuned", "### Clothing"),
        )
    }

    def place(epoch: float, error: float) -> tuple[float, float]:
        return 50 + 11 * epoch, 290 - 3.4 * error

    def parts() -> Iterator[str]:
        for error in range(0, 71, 10):
            yield line([place(0, error), place(40, error)], "#dddddd" if error else GRAY)
            yield text(44, place(0, error)[1] + 4, f"{error} %", "end")
        for epoch in range(0, 41, 10):
            yield text(place(epoch, 0)[0], 308, f"{epoch}", "middle")
        for (name, (epochs, errors, *_)), colour in zip(curves.items(), (GRAY, BLUE), strict=True):
            points = [place(*each) for each in zip(epochs, errors, strict=True)]
            yield line(points, colour, 2.5)
            yield text(points[-1][0] + 6, points[-1][1] + 4, name, fill=colour)
        yield text(270, 328, "epochs; validation top-1 error, centre view", "middle")

    return svg(600, 340, "Clothing: what a trained start is worth", parts())


def speed() -> str:
    """Returns how many times as fast as required each part is, where the requirement is a ratio."""
    table = rows("performance", "", "what (`alexnet bench ...`)")[1:]
    bars, subject = [], ""
    for what, required, here, *_ in table:
        command = re.match(r"`(\w+)`", what)
        subject = command[1] if command else subject
        if re.match(r"[\d.]+ x", required) and re.match(r"[\d.]+ x", here):
            name = re.sub(r"^(`\w+`: |\.\.\. )", "", what).replace("`", "")
            bars.append((f"{subject}: {name}", number(required) or 1, number(here) or 0))

    def parts() -> Iterator[str]:
        for i, (name, required, here) in enumerate(bars):
            y, width = 36 + 44 * i, 130 * here / required
            yield text(10, y + 13, name if len(name) < 95 else name[:92] + "...", size=12)
            colour = BLUE if here >= required else ORANGE
            yield f'<rect x="10" y="{y + 18}" width="{width:.1f}" height="14" fill="{colour}"/>'
            yield line([(140, y + 16), (140, y + 34)], "#222222", 2)
            yield text(max(150, 16 + width), y + 30, f"{here:g} x; required {required:g} x", size=12)

    return svg(640, 44 + 44 * len(bars), "Speed over what is required (the mark), two cores with bf16", parts())


FIGURES = {"claims.svg": claims, "claims-tiny.svg": claims_tiny, "clothing.svg": clothing, "speed.svg": speed}

if __name__ == "__main__":
    for file, draw in FIGURES.items():
        (REFERENCE / file).write_text(draw(), encoding="utf-8")
