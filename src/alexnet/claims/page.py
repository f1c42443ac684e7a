"""The answer to a claim as one HTML page that needs nothing beside itself."""

from collections.abc import Sequence
from typing import Any

from alexnet.pages.figures import Line, Scale, line_chart
from alexnet.pages.markup import duration, escape, percent, whole
from alexnet.pages.page import fill

Result = dict[str, Any]

WIDTH, ROW, LEFT, RIGHT, FOOT = 720, 54, 60, 24, 44
HUES = ("blue", "warm")


def render(result: Result) -> str:
    """The page of `claim.json`."""
    sections = {
        "answer": ("What was found", _found(result)),
        "networks": ("Every network", _rows(result)),
        "claim": ("What was claimed", _claimed(result)),
        "arms": ("What differs", _arms(result)),
    }
    drawn = {key: section for key, section in sections.items() if section[1]}
    return fill(
        title=escape(f"{result['claim']}: AlexNet claim"),
        eyebrow=f"AlexNet · the claim {escape(result['claim'])}",
        heading=escape(result["statement"]),
        headline=_headline(result),
        facts=_facts(result),
        notices="".join(f'<p class="notice">{escape(text, 400)}</p>' for text in result.get("warnings", ())),
        links="".join(f'<a href="#{key}">{key.capitalize()}</a>' for key in drawn),
        sections="".join(_section(key, *section) for key, section in drawn.items()),
    )


def difference_chart(differences: dict[str, Result]) -> str:
    """Differences of errors in points: a dot with its 95 % interval, a ring for each seed, a stroke for the paper's.

    Args:
        differences: `top1` and perhaps `top5`, as `claim.json` has them.

    Returns:
        A ``figure`` element.
    """
    values = [0.0]
    for found in differences.values():
        values += [found["low"], found["high"], found["size"], *found["each"]]
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
    rows = [_interval(x, i, name, found) for i, (name, found) in enumerate(differences.items())]
    label = f'<text class="axis end" x="{WIDTH - RIGHT}" y="{height - 6}">points less error, as claimed →</text>'
    spoken = "; ".join(f"{name} {found['mean'] * 100:.1f} points" for name, found in differences.items())
    return (
        f'<figure class="chart"><figcaption><h3>Difference in error</h3><p class="hint">Dot: the mean. Bar: its '
        f"{percent(0.95, 0)} interval. Rings: single seeds. Green: what is looked for.</p></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(spoken)}">'
        f"{''.join(ticks)}{zero}{''.join(rows)}{label}</svg></figure>"
    )


def race_chart(rows: Sequence[Result], best: dict[str, float], level: float) -> str:
    """Training error against epochs: each arm at its best rate; the other rates thin."""
    lines = []
    for hue, (arm, rate) in zip(HUES, best.items(), strict=True):
        for row in (row for row in rows if row["arm"] == arm and len(row["curve"]) > 1):
            is_best = row["learning_rate"] == rate
            label = f"{arm}, rate {rate:g}" if is_best and row["seed"] == 0 else ""
            lines.append(Line(label, row["curve"], hue, faint=not is_best))
    rule = (level, f"{percent(level, 0)} training error")
    return line_chart("Training error", lines, x_label="epochs", form=lambda v: percent(v, 0), rule=rule)


def _interval(x: Scale, index: int, name: str, found: Result) -> str:
    y = ROW * index + ROW / 2
    low, high, mean, size = (x(100 * found[key]) for key in ("low", "high", "mean", "size"))
    rings = "".join(f'<circle class="ring" cx="{x(100 * value):.1f}" cy="{y}" r="4"/>' for value in found["each"])
    return (
        f'<text class="tick" x="0" y="{y + 4}">{escape(name.replace("top", "top-"))}</text>'
        f'<line class="line green" x1="{size:.1f}" x2="{size:.1f}" y1="{y - 16}" y2="{y + 16}"/>'
        f'<line class="line blue" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
        f'{rings}<circle class="dot blue" cx="{mean:.1f}" cy="{y}" r="6"/>'
    )


def _headline(result: Result) -> str:
    text = "".join(f"<p>{escape(sentence, 400)}</p>" for sentence in result["answer"])
    return f'<div class="headline"><p class="none">{escape(result["verdict"])}</p>{text}</div>'


def _facts(result: Result) -> str:
    facts = {"Budget": result.get("budget"), "Seeds": result.get("seeds")}
    if data := result.get("data"):
        tested = sum(count for name, count in data["counts"].items() if name != "train")
        facts |= {"Data": data["name"], "Classes": data["classes"]}
        facts |= {"Training pictures": whole(data["counts"]["train"]), "Test pictures": whole(tested)}
    if result["cost"]["seconds"]:
        facts |= {
            "Training time": duration(result["cost"]["seconds"]),
            "Pictures seen": whole(result["cost"]["images"]),
        }
    items = "".join(f"<div><dt>{what}</dt><dd>{escape(value)}</dd></div>" for what, value in facts.items() if value)
    return f'<dl class="facts">{items}</dl>' if items else ""


def _found(result: Result) -> str:
    if "differences" in result:
        return difference_chart(result["differences"])
    if "level" in result:
        return f'<div class="single">{race_chart(result["rows"], result["best"], result["level"])}</div>'
    figures = [[f["name"], _figure(f["claimed"]), _figure(f["found"])] for f in result["figures"]]
    return _table(["", "claimed", "counted"], figures)


def _rows(result: Result) -> str:
    rows = result["rows"]
    keys = [key for key in rows[0] if key not in ("run", "curve")]
    keys += [key for key in ("training_error",) if key not in keys and any(key in row for row in rows)]
    return _table([key.replace("_", " ") for key in keys], [[_cell(key, row.get(key)) for key in keys] for row in rows])


def _claimed(result: Result) -> str:
    said = {"Where": result["where"], "The paper": result["paper"], "The notes of 2012": result["log"]}
    return _table(None, [[what, text] for what, text in said.items()])


def _arms(result: Result) -> str:
    if "arms" not in result:
        return ""
    changes = [[arm, ", ".join(f"{k} = {v}" for k, v in own.items()) or "–"] for arm, own in result["arms"].items()]
    settings = [[name, str(value)] for name, value in result["settings"].items()]
    return _table(["arm", "changed"], changes) + _table(["setting", "before the change"], settings)


def _figure(value: float) -> str:
    return percent(value) if value < 1 else whole(value)


def _cell(key: str, value: Any) -> str:
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
