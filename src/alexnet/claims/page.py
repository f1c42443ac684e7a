"""The page of a claim: its answer, what was measured, and how."""

from collections.abc import Mapping, Sequence

import msgspec
from markupsafe import Markup

from alexnet.claims.comparison import Compared
from alexnet.claims.count import Counted
from alexnet.claims.experiment import Conditions, Outcome
from alexnet.claims.race import Raced, RaceRow
from alexnet.claims.statistics import Difference
from alexnet.claims.table import ClaimResult
from alexnet.pages.figures import Line, Scale, line_chart
from alexnet.pages.markup import duration, percent, whole
from alexnet.pages.page import Page, Section, draw

WIDTH, ROW, LEFT, RIGHT, FOOT = 720, 54, 60, 24, 44
HUES = ("blue", "warm")


def claim_page(result: ClaimResult) -> Page:
    """Returns the page of a claim."""
    claim, outcome, conditions = result.claim, result.outcome, result.conditions
    claimed = _table([], [["Where", claim.where], ["The paper", claim.paper], ["The notes of 2012", claim.log]])
    return Page(
        title=f"{result.name}: AlexNet claim",
        eyebrow=f"AlexNet · the claim {result.name}",
        heading=claim.statement,
        headline=draw("verdict.html", verdict=outcome.verdict, answer=outcome.answer),
        facts=_facts(result),
        notices=conditions.warnings if conditions else (),
        sections=(
            Section("answer", "What was found", "", _answer(outcome)),
            Section("networks", "Every network", "", _rows(outcome)),
            Section("claim", "What was claimed", "", claimed),
            Section("arms", "What differs", "", _arms(conditions) if conditions else Markup()),
        ),
    )


def race_chart(rows: Sequence[RaceRow], best: Mapping[str, float], level: float) -> Markup:
    """Draws training error against epochs: each arm at its best rate, the other rates thin."""
    lines = []
    for hue, (arm, rate) in zip(HUES, best.items(), strict=True):
        for row in (row for row in rows if row.arm == arm and len(row.curve) > 1):
            is_best = row.learning_rate == rate
            label = f"{arm}, rate {rate:g}" if is_best and row.seed == 0 else ""
            lines.append(Line(label, row.curve, hue, faint=not is_best))
    rule = (level, f"{percent(level, 0)} training error")
    return line_chart("Training error", lines, x_label="epochs", form=lambda v: percent(v, 0), rule=rule)


def _facts(result: ClaimResult) -> dict[str, str]:
    facts: dict[str, str] = {}
    if conditions := result.conditions:
        counts = conditions.data.counts
        facts = {
            "Budget": conditions.budget,
            "Seeds": whole(conditions.seeds),
            "Data": conditions.data.name,
            "Classes": whole(conditions.data.classes),
            "Training pictures": whole(counts["train"]),
            "Test pictures": whole(sum(counts.values()) - counts["train"]),
        }
    if (cost := result.outcome.cost).seconds:
        facts |= {"Training time": duration(cost.seconds), "Pictures seen": whole(cost.images)}
    return facts


def _answer(outcome: Outcome) -> Markup:
    match outcome:
        case Compared(differences=differences):
            return _difference_chart(differences)
        case Raced(rows=rows, best=best, level=level):
            return Markup('<div class="single">{}</div>').format(race_chart(rows, best, level))
        case Counted(figures=figures):
            cells = [[f.name, *(percent(v) if v < 1 else whole(v) for v in (f.claimed, f.counted))] for f in figures]
            return _table(["", "claimed", "counted"], cells)
    return Markup()


def _difference_chart(differences: Mapping[str, Difference]) -> Markup:
    """Draws each mean difference, in points, with its interval, its seeds, and the difference to look for."""
    values = [0.0]
    for difference in differences.values():
        values += [difference.low, difference.high, difference.size, *difference.each]
    margin = 0.05 * (max(values) - min(values))
    x = Scale(100 * (min(values) - margin), 100 * (max(values) + margin), LEFT, WIDTH - RIGHT)
    frame = {"width": WIDTH, "row": ROW, "foot": FOOT, "bottom": ROW * len(differences)}
    return draw("differences.html", differences=differences, x=x, **frame)


def _rows(outcome: Outcome) -> Markup:
    rows = [msgspec.to_builtins(row) for row in outcome.rows]
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key not in ("run", "curve")]
    head = [key.replace("_", " ").replace("top", "top-") for key in keys]
    return _table(head, [[_cell(key, row.get(key)) for key in keys] for row in rows])


def _arms(conditions: Conditions) -> Markup:
    changes = [[arm, ", ".join(f"{k} = {v}" for k, v in own.items()) or "–"] for arm, own in conditions.arms.items()]
    settings = [[name, str(value)] for name, value in conditions.settings.items()]
    return _table(["arm", "changed"], changes) + _table(["setting", "before the change"], settings)


def _cell(key: str, value: float | str | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, str):
        return value or "–"
    return percent(value, 2) if key.endswith("error") else f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    return draw("table.html", head=head, rows=rows)
