"""The command that takes networks elsewhere: `export`."""

import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from alexnet import config
from alexnet.cli import render
from alexnet.cli.data import default_split, open_data, source_of
from alexnet.errors import UsageError
from alexnet.records import Exported


def export(asked: Namespace) -> None:
    """Writes a network for another runtime."""
    from alexnet import machine

    machine.keep_memory()
    from alexnet.evaluation.classifier import load, weight_file
    from alexnet.exports import export as road
    from alexnet.exports.parity import samples

    if asked.split and not asked.int8:
        raise UsageError("--split is for --int8; leave it away")
    weights = weight_file(asked.run)
    run = weights.parent if Path(asked.run).is_dir() else weights.with_suffix("")
    if asked.format == "huggingface":
        _save_pretrained(asked, run)
        return
    runtime = Path(asked.runtime) if asked.runtime else None
    plan = road.Plan(asked.format, asked.lrn, asked.preprocess, asked.int8, runtime)
    out = Path(asked.out or f"{run.resolve()}{plan.suffix}")
    road.check_out(out)
    classifier = load(asked.run, numbers="float32")
    store, split = _store(asked, classifier) if asked.int8 else (None, "val")
    with render.Bar("evaluating") as bar:
        exported = road.export(classifier, plan, out, samples(run, asked.data), store, split, bar)
    render.answer(asked, to_builtins(exported), _text(exported))


def _save_pretrained(asked: Namespace, run: Path) -> None:
    """Writes a folder as Hugging Face's tools have it, its card with the run's last evaluation."""
    from alexnet.evaluation.classifier import load
    from alexnet.run import Run

    if asked.int8 or asked.lrn or asked.preprocess or asked.data:
        options = "--int8, --lrn, --preprocess and --data"
        raise UsageError(f"huggingface keeps the weights as they are; leave {options} away")
    out, evaluation = Path(asked.out or f"{run.resolve()}-huggingface"), Run(run).evaluation()
    if evaluation and evaluation.precision not in (None, "auto", "float32"):
        evaluation = None  # the card is of the weights as they are; their own errors stand in their header
    load(asked.run, numbers="float32").save_pretrained(out, evaluation=evaluation)
    facts = {"file": str(out), "format": asked.format, "bytes": sum(path.stat().st_size for path in out.iterdir())}
    render.answer(asked, facts, f"{out}: {facts['bytes'] / 1e6:,.1f} MB; see {out}/README.md")


def _store(asked: Namespace, classifier: Any) -> tuple[Any, str]:
    """Gives the data that calibrate and measure, and the split to measure on."""
    source = asked.data or source_of(classifier.header)
    store = open_data(source, config.PAPER, asked.on_bad_image, classifier.stored_size, classifier.square)
    return store, asked.split or default_split(store)


def _text(exported: Exported) -> str:
    """Returns what was written, and how it compares."""
    parity = exported.parity
    lines = [f"{exported.file}: {exported.bytes / 1e6:,.1f} MB"]
    if exported.opset:
        lines[0] += f", ONNX opset {exported.opset}, {exported.lrn} normalisation"
    lines.append(
        f"float32 in {parity.engine}: off by {parity.error:.1e} of the output's norm at most, "
        f"on {parity.pictures} JPEG files of {parity.origin}"
    )
    if parity.whole_difference is not None:
        lines.append(f"  pictures resized by it: a probability differs by {parity.whole_difference:.1e} at most")
    if (rounded := exported.rounded) and exported.network_bytes:
        lines.append(
            f"8-bit weights, {exported.network_bytes / 1e6:,.1f} MB: off by {rounded.error:.1e}, "
            f"the same first class on {rounded.same_first} of {rounded.pictures}"
        )
    if int8 := exported.int8:
        lines.append(f"{'':<10}{'size':>10}{'top-1 error':>13}{'top-5 error':>13}")
        for name, row in (("float32", int8.before), ("int8", int8.after)):
            size = f"{row.bytes / 1e6:,.1f} MB"
            lines.append(f"{name:<10}{size:>10}{row.top1_error:>13.2%}{row.top5_error:>13.2%}")
        lines.append(f"{int8.after.n:,} pictures of {int8.after.split}; {int8.ratio:.1%} of the size")
    if exported.format == "browser":
        lines.append(f"show it: python -m http.server --directory {shlex.quote(exported.file)}")
    return "\n".join(lines)
