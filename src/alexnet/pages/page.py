"""The report of a run: one HTML file that needs nothing beside itself."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from alexnet.files import write
from alexnet.pages import facts
from alexnet.pages.classes import class_errors, confusion
from alexnet.pages.curves import learning_curves
from alexnet.pages.figures import reliability
from alexnet.pages.kernels import blocks
from alexnet.pages.markup import escape, name, percent, plural
from alexnet.pages.pictures import mistakes, panel
from alexnet.pages.run import Run, number, read_run, record, records

FILE = "report.html"


@dataclass(frozen=True)
class Section:
    """A section of the page: what it is called, what it explains, and how its body is drawn."""

    key: str
    title: str
    lead: str
    body: Callable[[Run], str]


def write_report(run: Path) -> Path:
    """Writes ``report.html`` into a run folder, whole or not at all.

    Whatever the run has not got yet is left out of the page.

    Args:
        run: The run folder.

    Returns:
        The path of the page.

    Raises:
        UsageError: The folder does not exist, or cannot be written.
        CheckpointError: The folder holds none of a run's files.
        DataError: The disk is full; an older page is then untouched.
    """
    path = run / FILE
    write(path, render(read_run(run)))
    return path


def render(run: Run) -> str:
    """The whole page of a run."""
    drawn = [(section, body) for section in SECTIONS if (body := section.body(run))]
    links = "".join(f'<a href="#{section.key}">{section.key.capitalize()}</a>' for section, _ in drawn)
    return fill(
        title=escape(f"{run.name}: AlexNet report"),
        eyebrow=f"AlexNet · report of the run {name(run.name)}",
        heading=_heading(run),
        headline=facts.headline(run),
        facts=facts.key_facts(run),
        notices=_notices(run),
        links=links,
        sections="".join(_section(section, body) for section, body in drawn),
    )


def fill(**parts: str) -> str:
    """A whole page: the template with its style and script, and `parts` (markup) in their places."""
    asset = files("alexnet.pages").joinpath
    return Template(asset("page.html").read_text(encoding="utf-8")).substitute(
        style=asset("page.css").read_text(encoding="utf-8"),
        script=asset("page.js").read_text(encoding="utf-8"),
        **parts,
    )


def _section(section: Section, body: str) -> str:
    lead = f'<p class="lead">{section.lead}</p>' if section.lead else ""
    key = section.key
    return (
        f'<section id="{key}" aria-labelledby="{key}-title"><header><h2 id="{key}-title">{section.title}</h2>'
        f"{lead}</header>{body}</section>"
    )


def _heading(run: Run) -> str:
    variant, data = run.config.get("variant"), record(run.config.get("data")).get("name")
    what = name(variant) if variant else "A network"
    return f'{what} <span class="soft">on</span> {name(data)}' if data else what


def _notices(run: Run) -> str:
    sentences = [facts.standing(run), *run.faults]
    return "".join(f'<p class="notice">{escape(sentence)}</p>' for sentence in sentences if sentence)


def _kernels(run: Run) -> str:
    if run.conv1 is None:
        return ""
    count, channels, side = run.conv1.shape[:3]
    pictures = blocks(run.conv1, run.towers)
    share = count // run.towers
    figures = "".join(_kernel_block(i, share, data, run.towers) for i, data in enumerate(pictures))
    return (
        f'<div class="kernels">{figures}<p class="hint">{plural(count, "kernel")} of {side} × {side} × '
        f"{channels}, all under one scale, from the smallest weight (dark) to the largest (bright).</p></div>"
    )


def _kernel_block(tower: int, share: int, data: bytes, towers: int) -> str:
    label = f"Tower {tower + 1}" if towers > 1 else ""
    spoken = f"First-layer kernels {tower * share + 1} to {(tower + 1) * share} as colour pictures"
    caption = f"<figcaption><h3>{label}</h3></figcaption>" if label else ""
    source = base64.b64encode(data).decode("ascii")
    return f'<figure>{caption}<img src="data:image/png;base64,{source}" alt="{spoken}"></figure>'


def _classes(run: Run) -> str:
    parts = [part for part in (confusion(run.evaluation), class_errors(run.evaluation)) if part]
    return f'<div class="pair">{"".join(parts)}</div>' if parts else ""


def _calibration(run: Run) -> str:
    found = record(run.evaluation.get("calibration"))
    rows = [[number(b.get(key)) for key in ("confidence", "accuracy", "n")] for b in records(found.get("bins"))]
    bins = [(c, a, int(n)) for c, a, n in rows if c is not None and a is not None and n]
    ece = number(found.get("ece"))
    if not bins:
        return ""
    total = sum(n for *_, n in bins)
    sure, right = (sum(b[i] * b[2] for b in bins) / total for i in (0, 1))
    verdict = (
        "too sure of itself" if sure > right + 0.01 else "too modest" if sure < right - 0.01 else "honest on the whole"
    )
    gap = f" The mean gap, bin by bin (ECE), is <strong>{percent(ece)}</strong>." if ece is not None else ""
    return (
        f'<div class="calibration"><figure>{reliability(bins)}</figure><div class="says"><p>On average it is '
        f"<strong>{percent(sure)}</strong> sure and <strong>{percent(right)}</strong> right: it is {verdict}."
        f'{gap}</p><p class="hint">On the dashed line, certainty and truth agree. Below it the network '
        f"promises too much. Larger dots and taller bars stand for more pictures.</p></div></div>"
    )


def _settings(run: Run) -> str:
    tables = facts.settings(run) + facts.timings(run)
    return f'<div class="tables">{tables}</div>' if tables else ""


SECTIONS = (
    Section("learning", "How it learned", "", learning_curves),
    Section(
        "kernels",
        "What the first layer looks for",
        "Edges, frequencies and blobs of colour, once a network has learned; noise where it has hardly begun.",
        _kernels,
    ),
    Section(
        "pictures",
        "What it says",
        "Test pictures: the true class above, the best guesses below.",
        lambda run: panel(run.examples),
    ),
    Section(
        "mistakes",
        "Where it was sure, and wrong",
        "The guess first, the truth beneath it.",
        lambda run: mistakes(run.examples),
    ),
    Section("classes", "Which classes it mixes up", "", _classes),
    Section("calibration", "Whether it knows what it knows", "", _calibration),
    Section(
        "quarantine",
        "Pictures left out",
        "They could not be decoded; nothing replaced them.",
        facts.quarantine,
    ),
    Section("settings", "How it was made", "", _settings),
)
