"""The page of runs side by side."""

from collections.abc import Sequence
from itertools import cycle

from markupsafe import Markup

from alexnet.claims.side_by_side import MISSING, Side, SideBySide
from alexnet.pages import sections
from alexnet.pages.figures import HUES, Line, line_chart
from alexnet.pages.markup import duration, percent, whole
from alexnet.pages.page import Page, Section, draw


def side_page(result: SideBySide, sides: Sequence[Side]) -> Page:
    """Returns the page of a comparison; `sides` have the learning curves of its runs."""
    best = min(result.runs, key=lambda run: run.top1_error)
    names = [run.name for run in result.runs]
    settings = [[name, *values] for name, values in result.settings.items()]
    return Page(
        title=f"{', '.join(names)}: AlexNet runs side by side",
        eyebrow="AlexNet · runs side by side",
        heading=Markup(' <span class="soft">and</span> ').join(names) if len(names) < 4 else f"{len(names)} runs",
        headline=draw(
            "verdict.html", verdict=f"{best.name}: {best.top1_error:.1%} top-1 error", answer=result.sentences
        ),
        facts={},
        notices=(),
        sections=(
            Section("errors", "How often they are wrong", "", _errors(result)),
            Section("learning", "How they learned", "", _curves(sides)),
            Section(
                "settings",
                "What differs",
                "",
                draw("table.html", head=["", *names], rows=settings) if settings else Markup(),
            ),
            Section("cost", "What they cost", "", _costs(result)),
        ),
    )


def _errors(result: SideBySide) -> Markup:
    rows = [sections.Bar(run.name, run.top1_error, run.top1_interval) for run in result.runs]
    table = [
        [
            run.name,
            percent(run.top1_error),
            MISSING if run.top5_error is None else percent(run.top5_error),
            MISSING if run.balanced_error is None else percent(run.balanced_error),
            f"{whole(run.n)} of {run.split}",
            str(run.views),
        ]
        for run in result.runs
    ]
    head = ["run", "top-1 error", "top-5 error", "balanced error", "pictures", "views"]
    return draw("side.html", bars=sections.bars(rows)) + draw("table.html", head=head, rows=table)


def _curves(sides: Sequence[Side]) -> Markup:
    colours = list(zip(sides, cycle(HUES), strict=False))
    errors, losses = [], []
    for side, hue in colours:
        points = [(row.epoch, row.val_top1_error) for row in side.rows.validations]
        errors.append(Line(side.name, sections.thin(points), hue, dots=True))
        steps = [(row.epoch, row.loss) for row in side.rows.steps]
        losses.append(Line(side.name, sections.thin(sections.smooth(steps)), hue))
    charts = (
        line_chart("Validation error, top-1", errors, x_label="epoch", form=sections.short_percent),
        line_chart("Training loss, smoothed", losses, x_label="epoch"),
    )
    return Markup('<div class="charts">{}</div>').format(Markup().join(charts)) if any(charts) else Markup()


def _costs(result: SideBySide) -> Markup:
    rows = [
        [
            run.name,
            run.start,
            duration(run.seconds) if run.seconds else MISSING,
            f"{run.bytes / 1e6:,.1f} MB",
            whole(run.parameters) if run.parameters else MISSING,
        ]
        for run in result.runs
    ]
    head = ["run", "started from", "training time", "weight file", "parameters"]
    return draw("table.html", head=head, rows=rows)
