"""The report of a run."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from alexnet.data.labels import short_labels
from alexnet.evaluation.metrics import sure_from
from alexnet.files import write
from alexnet.pages import facts, sections
from alexnet.pages.facts import Contents
from alexnet.pages.markup import name
from alexnet.pages.page import Page, Section, draw
from alexnet.records import Description, Example, Examples
from alexnet.run import Run

EXAMPLES, MISTAKES, QUARANTINED = 8, 12, 50
"""The most pictures of each kind that a page shows."""


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a run folder, whole or not at all, and returns its path.

    Whatever the run has not got yet is left out of the page.

    Raises:
        UsageError: The folder does not exist, or cannot be written.
        CheckpointError: The folder holds none of a run's files.
        DataError: The disk is full; an older page is then untouched.
    """
    path = Run(folder).report
    write(path, report(facts.read(folder)).render())
    return path


def report(run: Contents) -> Page:
    """Returns the report of a run."""
    return Page(
        title=f"{run.name}: AlexNet report",
        eyebrow=Markup("AlexNet · report of the run {}").format(name(run.name)),
        heading=_heading(run.description),
        headline=facts.headline(run),
        facts=facts.key_facts(run.description) if run.description else {},
        notices=tuple(sentence for sentence in (facts.standing(run), *run.faults) if sentence),
        sections=_sections(run),
    )


def _heading(description: Description | None) -> Markup:
    if description is None or not description.variant:
        return Markup("A network")
    network, data = name(description.variant), description.data and description.data.name
    return Markup('{} <span class="soft">on</span> {}').format(network, name(data)) if data else network


def _sections(run: Contents) -> tuple[Section, ...]:
    description, examples = run.description, run.examples or Examples()
    quarantine = description.data.quarantine if description and description.data else ()
    classes = len(description.classes) if description else None
    limit = sure_from(run.evaluation.calibration, len(run.evaluation.classes)) if run.evaluation else 0.0
    tables = [*(facts.settings(description) if description else ()), *facts.timings(run)]
    return (
        Section("learning", "How it learned", "", sections.learning_curves(run.rows, classes, run.gain)),
        Section(
            "origin",
            "What it started from",
            "A head on frozen features first, then all layers that are not frozen.",
            sections.origin(description.ancestor if description else None, run.gain),
        ),
        Section(
            "kernels",
            "What the first layer looks for",
            "Edges, frequencies and blobs of colour, once a network has learned; noise where it has hardly begun.",
            sections.kernel_pictures(run.kernels),
        ),
        Section(
            "pictures",
            "What it says",
            f"Test pictures: the true class above, the best guesses below.{_on_maps(examples.sample)}",
            _list("pictures.html", examples.sample, EXAMPLES, short=_labels(run), limit=limit),
        ),
        Section(
            "mistakes",
            "Where it was sure, and wrong",
            "The guess first, the truth beneath it.",
            _list("mistakes.html", _surest_first(examples.mistakes), MISTAKES, short=_labels(run), limit=limit),
        ),
        Section("classes", "Which classes it mixes up", "", sections.mixed_up(run.evaluation)),
        Section("calibration", "Whether it knows what it knows", "", sections.calibration(run.evaluation)),
        Section(
            "quarantine",
            "Pictures left out",
            "They could not be read or decoded; nothing replaced them.",
            _list("quarantine.html", quarantine, QUARANTINED),
        ),
        Section("settings", "How it was made", "", _list("settings.html", [table for table in tables if table.rows])),
    )


def _list(template: str, entries: Sequence[object], most: int | None = None, **values: object) -> Markup:
    """Draws the first entries, and says how many are hidden; draws nothing without entries."""
    shown = entries[:most]
    return draw(template, entries=shown, hidden=len(entries) - len(shown), **values) if entries else Markup()


def _on_maps(examples: Sequence[Example]) -> str:
    """Returns what a reader of the maps must know; nothing where there are none."""
    words = " The maps (Grad-CAM) show where it looks for its first guess, each with the verdict of its checks."
    return words if any(example.map for example in examples) else ""


def _labels(run: Contents) -> dict[str, str]:
    """Returns a short label for every class that the run's files name."""
    examples = run.examples or Examples()
    names = [name for each in (*examples.sample, *examples.mistakes) for name in (each.label, *dict(each.top))]
    classes = run.description.classes if run.description else ()
    return short_labels([*classes, *names], sections.LABEL)


def _surest_first(examples: Sequence[Example]) -> list[Example]:
    """Returns the examples that the network named wrongly."""
    wrong = [example for example in examples if example.top[0][0] != example.label]
    return sorted(wrong, key=lambda example: -example.top[0][1])
