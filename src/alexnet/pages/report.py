"""The report of a run."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from alexnet.files import write
from alexnet.pages import contents, facts
from alexnet.pages.classes import classes
from alexnet.pages.contents import Contents
from alexnet.pages.curves import learning_curves
from alexnet.pages.figures import reliability
from alexnet.pages.kernels import Kernels, blocks
from alexnet.pages.markup import name
from alexnet.pages.page import Page, Section, draw
from alexnet.records import Calibration, Dataset, Description, Example, Quarantined
from alexnet.run import Run

EXAMPLES, MISTAKES, QUARANTINED = 8, 12, 50
"""The most pictures of each kind that a page shows."""


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a run folder, whole or not at all.

    Whatever the run has not got yet is left out of the page.

    Args:
        folder: The run folder.

    Returns:
        The path of the page.

    Raises:
        UsageError: The folder does not exist, or cannot be written.
        CheckpointError: The folder holds none of a run's files.
        DataError: The disk is full; an older page is then untouched.
    """
    path = Run(folder).report
    write(path, report(contents.read(folder)).render())
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
    if description.data is None or not description.data.name:
        return name(description.variant)
    of, on = name(description.variant), name(description.data.name)
    return Markup('{} <span class="soft">on</span> {}').format(of, on)


def _sections(run: Contents) -> tuple[Section, ...]:
    shown, errors = run.examples, run.evaluation
    data = (run.description and run.description.data) or Dataset()
    settings = [*(facts.settings(run.description) if run.description else ()), *facts.timings(run)]
    tables = [table for table in settings if table.rows]
    return (
        Section(
            "learning",
            "How it learned",
            learning_curves(run.rows, len(run.description.classes) if run.description else None),
        ),
        Section(
            "kernels",
            "What the first layer looks for",
            _kernels(run.kernels) if run.kernels else Markup(),
            "Edges, frequencies and blobs of colour, once a network has learned; noise where it has hardly begun.",
        ),
        Section(
            "pictures",
            "What it says",
            _pictures(shown.sample) if shown else Markup(),
            "Test pictures: the true class above, the best guesses below.",
        ),
        Section(
            "mistakes",
            "Where it was sure, and wrong",
            _mistakes(shown.mistakes) if shown else Markup(),
            "The guess first, the truth beneath it.",
        ),
        Section("classes", "Which classes it mixes up", classes(errors) if errors else Markup()),
        Section(
            "calibration",
            "Whether it knows what it knows",
            _calibration(errors.calibration) if errors else Markup(),
        ),
        Section(
            "quarantine",
            "Pictures left out",
            _quarantine(data.quarantine),
            "They could not be decoded; nothing replaced them.",
        ),
        Section("settings", "How it was made", draw("settings.html", tables=tables) if tables else Markup()),
    )


def _kernels(kernels: Kernels) -> Markup:
    return draw("kernels.html", pictures=blocks(kernels), shape=kernels.weights.shape)


def _pictures(examples: Sequence[Example]) -> Markup:
    return draw("pictures.html", examples=examples[:EXAMPLES]) if examples else Markup()


def _mistakes(examples: Sequence[Example]) -> Markup:
    wrong = [example for example in examples if example.top[0][0] != example.label]
    wrong.sort(key=lambda example: -example.top[0][1])
    return draw("mistakes.html", examples=wrong[:MISTAKES]) if wrong else Markup()


def _calibration(calibration: Calibration) -> Markup:
    bins = [each for each in calibration.bins if each.n]
    if not bins:
        return Markup()
    total = sum(each.n for each in bins)
    sure = sum(each.confidence * each.n for each in bins) / total
    right = sum(each.accuracy * each.n for each in bins) / total
    is_sure, is_modest = sure > right + 0.01, sure < right - 0.01
    verdict = "too sure of itself" if is_sure else "too modest" if is_modest else "honest on the whole"
    diagram = reliability(bins)
    return draw("calibration.html", diagram=diagram, sure=sure, right=right, verdict=verdict, ece=calibration.ece)


def _quarantine(pictures: Sequence[Quarantined]) -> Markup:
    hidden = max(0, len(pictures) - QUARANTINED)
    return draw("quarantine.html", pictures=pictures[:QUARANTINED], hidden=hidden) if pictures else Markup()
