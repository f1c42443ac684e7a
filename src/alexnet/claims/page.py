"""The answer to a claim as one HTML page that needs nothing beside itself."""

from collections.abc import Mapping, Sequence

import msgspec

from alexnet.claims.comparison import Compared
from alexnet.claims.count import Counted
from alexnet.claims.race import Raced, RaceRow
from alexnet.claims.statistics import Difference
from alexnet.claims.table import ClaimResult
from alexnet.pages.figures import Line, Scale, line_chart
from alexnet.pages.markup import duration, escape, percent, whole
from alexnet.pages.page import fill

WIDTH, ROW, LEFT, RIGHT, FOOT = 720, 54, 60, 24, 44
HUES = ("blue", "warm")


def render(result: ClaimResult) -> str:
    """Returns the page of a claim."""
    sections = {
        "answer": ("What was found", _found(result)),
        "networks": ("Every network", _rows(result)),
        "claim": ("What was claimed", _claimed(result)),
        "arms": ("What differs", _arms(result)),
    }
    drawn = {key: section for key, section in sections.items() if section[1]}
    warnings = result.conditions.warnings if result.conditions else ()
    return fill(
        title=escape(f"{result.name}: AlexNet claim"),
        eyebrow=f"AlexNet · the claim {escape(result.name)}",
        heading=escape(result.claim.statement),
        headline=_headline(result),
        facts=_facts(result),
        notices="".join(f'<p class="notice">{escape(text, 400)}</p>' for text in warnings),
        links="".join(f'<a href="#{key}">{key.capitalize()}</a>' for key in drawn),
        sections="".join(_section(key, *section) for key, section in drawn.items()),
    )


def difference_chart(differences: Mapping[str, Difference]) -> str:
    """Returns a ``figure`` of differences of errors, in points.

    Each is a dot with its 95 % interval, a ring for each seed, and a stroke for the difference that is looked for.

    Args:
        differences: `top1` and perhaps `top5`.
    """
    values = [0.0]
    for difference in differences.values():
        values += [difference.low, difference.high, difference.size, *difference.each]
    margin = 0.05 * (max(values) - min(values))
    x = Scale(100 * (min(values) - margin), 100 * (max(values) + margin), LEFT, WIDTH - RIGHT)
    height = ROW * len(differences) + FOOT
    bottom = height - FOOT
    ticks = [
        f'<line class="grid" x1="{x(v):.1f}" x2="{x(v):.1f}" y1="0" y2="{bottom}"/>'
        f'<text class="tick mid" x="{x(v):.1f}" y="{bottom + 18}">{v:g}</text>'
        for v in x.ticks(8)
    ]
    zero = f'<line class="rule" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="0" y2="{bottom}"/>'
    rows = [_interval(x, i, name, difference) for i, (name, difference) in enumerate(differences.items())]
    label = f'<text class="axis end" x="{WIDTH - RIGHT}" y="{height - 6}">points less error, as claimed →</text>'
    spoken = "; ".join(f"{name} {difference.mean * 100:.1f} points" for name, difference in differences.items())
    return (
        f'<figure class="chart"><figcaption><h3>Difference in error</h3><p class="hint">Dot: the mean. Bar: its '
        f"{percent(0.95, 0)} interval. Rings: single seeds. Green: what is looked for.</p></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(spoken)}">'
        f"{''.join(ticks)}{zero}{''.join(rows)}{label}</svg></figure>"
    )


def race_chart(rows: Sequence[RaceRow], best: Mapping[str, float], level: float) -> str:
    """Returns a chart of training error against epochs: each arm at its best rate, the other rates thin."""
    lines = []
    for hue, (arm, rate) in zip(HUES, best.items(), strict=True):
        for row in (row for row in rows if row.arm == arm and len(row.curve) > 1):
            is_best = row.learning_rate == rate
            label = f"{arm}, rate {rate:g}" if is_best and row.seed == 0 else ""
            lines.append(Line(label, row.curve, hue, faint=not is_best))
    rule = (level, f"{percent(level, 0)} training error")
    return line_chart("Training error", lines, x_label="epochs", form=lambda v: percent(v, 0), rule=rule)


def _interval(x: Scale, index: int, name: str, difference: Difference) -> str:
    y = ROW * index + ROW / 2
    low, high, mean, size = (
        x(100 * value) for value in (difference.low, difference.high, difference.mean, difference.size)
    )
    rings = "".join(f'<circle class="ring" cx="{x(100 * value):.1f}" cy="{y}" r="4"/>' for value in difference.each)
    return (
        f'<text class="tick" x="0" y="{y + 4}">{escape(name.replace("top", "top-"))}</text>'
        f'<line class="line green" x1="{size:.1f}" x2="{size:.1f}" y1="{y - 16}" y2="{y + 16}"/>'
        f'<line class="line blue" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
        f'{rings}<circle class="dot blue" cx="{mean:.1f}" cy="{y}" r="6"/>'
    )


def _headline(result: ClaimResult) -> str:
    text = "".join(f"<p>{escape(sentence, 400)}</p>" for sentence in result.outcome.answer)
    return f'<div class="headline"><p class="none">{escape(result.outcome.verdict)}</p>{text}</div>'


def _facts(result: ClaimResult) -> str:
    facts: dict[str, object] = {}
    if conditions := result.conditions:
        counts = conditions.data.counts
        tested = sum(count for name, count in counts.items() if name != "train")
        facts |= {"Budget": conditions.budget, "Seeds": conditions.seeds}
        facts |= {"Data": conditions.data.name, "Classes": conditions.data.classes}
        facts |= {"Training pictures": whole(counts["train"]), "Test pictures": whole(tested)}
    if (cost := result.outcome.cost).seconds:
        facts |= {"Training time": duration(cost.seconds), "Pictures seen": whole(cost.images)}
    items = "".join(f"<div><dt>{what}</dt><dd>{escape(value)}</dd></div>" for what, value in facts.items() if value)
    return f'<dl class="facts">{items}</dl>' if items else ""


def _found(result: ClaimResult) -> str:
    match result.outcome:
        case Compared(differences=differences):
            return difference_chart(differences)
        case Raced(rows=rows, best=best, level=level):
            return f'<div class="single">{race_chart(rows, best, level)}</div>'
        case Counted(figures=figures):
            return _table(["", "claimed", "counted"], [[f.name, _figure(f.claimed), _figure(f.found)] for f in figures])
    return ""


def _rows(result: ClaimResult) -> str:
    rows = [msgspec.to_builtins(row) for row in result.outcome.rows]
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in ("run", "curve")]
    return _table([key.replace("_", " ") for key in keys], [[_cell(key, row.get(key)) for key in keys] for row in rows])


def _claimed(result: ClaimResult) -> str:
    claim = result.claim
    texts = {"Where": claim.where, "The paper": claim.paper, "The notes of 2012": claim.log}
    return _table(None, [[what, text] for what, text in texts.items()])


def _arms(result: ClaimResult) -> str:
    if result.conditions is None:
        return ""
    arms, settings = result.conditions.arms, result.conditions.settings
    changes = [[arm, ", ".join(f"{k} = {v}" for k, v in own.items()) or "–"] for arm, own in arms.items()]
    before = [[name, str(value)] for name, value in settings.items()]
    return _table(["arm", "changed"], changes) + _table(["setting", "before the change"], before)


def _figure(value: float) -> str:
    return percent(value) if value < 1 else whole(value)


def _cell(key: str, value: float | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return percent(value, 2) if key.endswith("error") else f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"


def _table(head: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(text)}</th>' for text in head or ())
    body = "".join("<tr>" + "".join(f"<td>{escape(cell, 400)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="settings">{f"<thead><tr>{top}</tr></thead>" if head else ""}<tbody>{body}</tbody></table>'


def _section(key: str, title: str, body: str) -> str:
    return (
        f'<section id="{key}" aria-labelledby="{key}-title"><header><h2 id="{key}-title">{title}</h2></header>'
        f"{body}</section>"
    )
