"""What each command does: read the arguments, call the library, print."""

import json
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs, to_builtins

from alexnet import config
from alexnet.cli import render
from alexnet.cli.claim import claim
from alexnet.cli.data import default_split, from_anywhere, open_data, refuse_inside, source_of
from alexnet.cli.export import export
from alexnet.cli.stop import polite_stop
from alexnet.cli.weights import convert, weights
from alexnet.config import Train
from alexnet.errors import UsageError, printable
from alexnet.records import Evaluation, Examples

__all__ = [
    "bench",
    "claim",
    "compress",
    "convert",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "pack",
    "predict",
    "report",
    "summary",
    "train",
    "weights",
]

_TRAIN_FLAGS = ("recipe", "data", "out", "variant", "epochs", "steps", "seed", "input_size", "precision")


def summary(asked: Namespace) -> None:
    """Prints the layer table."""
    import torch

    from alexnet.models.create import create
    from alexnet.models.summary import summarise

    classes = {} if asked.classes is None else {"classes": asked.classes}
    with torch.device("meta"):
        model = create(asked.variant, input_size=asked.input_size, initialisation="none", **classes)
    rows = summarise(model)
    totals = {"parameters": sum(row.parameters for row in rows), "macs": sum(row.macs for row in rows)}
    head = {"variant": asked.variant, "input_size": model.input_size, **totals}
    render.answer(asked, {**head, "layers": [asdict(row) for row in rows]}, render.layers(rows, head))


def pack(asked: Namespace) -> None:
    """Packs a source."""
    from alexnet.data.pack import pack as pack_source
    from alexnet.data.sources import open_source

    source = open_source(asked.source, seed=asked.seed)
    with render.Bar("packing") as bar:
        store = pack_source(
            source, asked.store, size=asked.size, on_bad_image=asked.on_bad_image, progress=bar.update, retry=True
        )
    counts = {name: len(split) for name, split in store.splits.items()}
    facts = {
        "store": str(store.directory),
        "classes": list(store.classes),
        "counts": counts,
        "ignored": store.ignored,
        "quarantine": msgspec.to_builtins(store.quarantine),
        "hash": store.content_hash,
    }
    render.answer(asked, facts, render.packed(facts))


def train(asked: Namespace) -> None:
    """Trains, tests and reports; or resumes."""
    from alexnet import machine

    machine.keep_memory()
    from alexnet.data.remote import is_remote
    from alexnet.meeting import assemble
    from alexnet.run import Run
    from alexnet.training import loop, plan

    with assemble(asked.parallel, asked.timeout) as team:
        folder, settings, source = _what_to_train(asked, team)
        plan.check(settings)
        if not asked.resume:
            refuse_inside(folder, source)
        if team.is_first and not asked.resume and not team.goes_on:
            Run(folder).check_new()
        store = open_data(source, settings, asked.on_bad_image)
        if team.is_first:
            for line in render.left_out(store.quarantine):
                _notice(f"alexnet: {line}")
            if store.ignored:
                _notice(f"alexnet: files ignored: {store.ignored} (hidden, or of a kind that is not read)")
        with polite_stop(team) as stop, render.TrainingDisplay() as display:
            display.stop = stop
            if asked.resume:
                opened = loop.resume(store, Run(folder), display, team)
            else:
                opened = loop.begin(settings, store, source, Run(folder), display, team, goes_on=team.goes_on)
            with opened as training:
                done = training.run()
    if not team.is_first:
        return
    if not done:
        words = ["alexnet", "train", "--resume", str(folder), *(["--data", source] if is_remote(source) else [])]
        again = shlex.join(words)
        render.answer(asked, {"run": str(folder), "complete": False}, f"stopped and saved; continue with: {again}")
        return
    result = _evaluate_run(folder, store, settings)
    render.answer(asked, {"run": str(folder), "complete": True, **result}, render.trained(folder, result))


def demo(asked: Namespace) -> None:
    """Trains on the solar cells, or goes on with it, and compares the result with what was published."""
    from alexnet.cli import parser

    folder = Path(asked.out)
    is_begun = (folder / "config.json").exists()
    words = [f"--resume={folder}"] if is_begun else ["demo", "--data=solar-cells", f"--out={folder}"]
    train(parser().parse_args(["train", *words, *["--json"] * asked.json]))
    if not asked.json and (folder / "evaluation.json").exists():
        render.show(render.beside_published(json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))))


def evaluate(asked: Namespace) -> None:
    """Measures errors."""
    from alexnet import machine

    machine.keep_memory()
    from alexnet.data.remote import is_remote
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.evaluate import evaluate as measure
    from alexnet.evaluation.quantise import weight_bytes
    from alexnet.meeting import assemble
    from alexnet.run import Run

    results: list[Evaluation] = []
    examples: Examples | None = None
    with assemble(None, asked.timeout) as team:
        for numbers in asked.precision:
            classifiers = [load(run, numbers=numbers) for run in asked.runs]
            first = classifiers[0]
            source = asked.data or source_of(first.header)
            store = open_data(source, config.PAPER, asked.on_bad_image, first.stored_size, first.square)
            split = asked.split or default_split(store)
            team.compare({"weights": [c.header.crc32 for c in classifiers], "data": store.content_hash})
            with render.Bar("evaluating") as bar:
                measured, seen = measure(classifiers, store, split, asked.views, bar, team)
            size = sum(weight_bytes(classifier.model) for classifier in classifiers)
            results.append(structs.replace(measured, precision=numbers, weight_bytes=size))
            examples = examples or seen
    if not team.is_first:
        return
    shown = [to_builtins(result) for result in results]
    text = render.evaluation(shown[0]) if len(shown) == 1 else render.precisions(shown)
    render.answer(asked, shown[0] if len(shown) == 1 else {"precisions": shown}, text)
    recorded = first.header.data and first.header.data.source
    if (
        (asked.data is None or (is_remote(asked.data) and asked.data == recorded))
        and len(asked.runs) == 1
        and Path(asked.runs[0]).is_dir()
    ):
        try:
            Run(asked.runs[0]).put(results[0], examples or Examples())
        except UsageError as error:
            _notice(f"alexnet: {error}; the run keeps what it had")


def predict(asked: Namespace) -> None:
    """Names what is on pictures."""
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.predict import predict as name_pictures
    from alexnet.meeting import assemble

    answers = []
    with assemble(None, asked.timeout) as team:
        if asked.top < 1:
            raise UsageError(f"--top takes 1 or more, got {asked.top}")
        classifier = load(asked.run, numbers=asked.precision)
        mine = islice(_pictures(asked.images), team.everyone.index, None, team.everyone.count)
        for answer in team.in_order(name_pictures(classifier, mine, asked.views, asked.top)):
            answers.append(to_builtins(answer))
            if not asked.json:
                render.show(render.prediction(answers[-1]))
    if asked.json and team.is_first:
        render.show(json.dumps({"run": asked.run, "views": asked.views, "images": answers}, indent=1))
    bad = sum("error" in answer for answer in answers)
    if bad:
        raise UsageError(f"{bad} of {len(answers)} pictures could not be read")


def compress(asked: Namespace) -> None:
    """Makes a network smaller."""
    from msgspec import to_builtins

    from alexnet import machine

    machine.keep_memory()
    from alexnet.compression.compress import Plan
    from alexnet.compression.compress import compress as make_smaller
    from alexnet.evaluation.classifier import weight_file
    from alexnet.team import ALONE
    from alexnet.weights import checkpoint, compressed

    weights = weight_file(asked.run)
    beside = weights.parent if Path(asked.run).is_dir() else weights.with_suffix("")
    out = Path(asked.out or f"{beside.resolve()}-compressed")
    out = out if out.suffix == compressed.SUFFIX else out / compressed.NAME
    if compressed.is_compressed(weights):
        raise UsageError(f"{weights} is compressed already")
    described = checkpoint.load(weights)
    source = asked.data or source_of(described.header)
    square = described.header.preprocessing.square
    store = open_data(source, config.PAPER, asked.on_bad_image, len(described.mean), square)
    del described
    plan = Plan(asked.keep, asked.epochs, asked.split or default_split(store))
    with polite_stop(ALONE) as stop, render.PartsDisplay() as display:
        display.stop = stop
        table = make_smaller(weights, store, out, plan, display)
    if table is None:
        render.answer(asked, {"file": str(out), "complete": False}, "stopped and saved; the same command goes on")
        return
    facts = {"file": str(out), "bytes": out.stat().st_size, "complete": True, "split": plan.split}
    facts["table"] = to_builtins(table)
    render.answer(asked, facts, render.compressed(facts))


def report(asked: Namespace) -> None:
    """Writes the report."""
    from alexnet.pages.report import write_report

    path = write_report(Path(asked.run))
    render.answer(asked, {"report": str(path)}, str(path))


def bench(asked: Namespace) -> None:
    """Measures speed."""
    from alexnet import benches

    result = benches.run(asked.what, data=asked.data, per_layer=asked.per_layer, observer=render.TrainingDisplay())
    render.answer(asked, msgspec.to_builtins(result), render.bench(result))


def doctor(asked: Namespace) -> None:
    """Says what bounds training here."""
    from alexnet.benches import doctor as examination

    data = None if asked.data is None else from_anywhere(asked.data)
    found = examination.examine(data, asked.variant, render.TrainingDisplay())
    render.answer(asked, msgspec.to_builtins(found), render.doctor(found))


def _notice(text: str) -> None:
    print(printable(text), file=sys.stderr)


def _what_to_train(asked: Namespace, team: Any) -> tuple[Path, Train, str]:
    if asked.resume:
        if any(getattr(asked, name) is not None for name in _TRAIN_FLAGS if name != "data") or asked.set:
            raise UsageError("--resume takes all but --data from the run; leave the other settings away")
        from alexnet.run import Run

        described = team.tell(Run(asked.resume).description() if team.is_first else None)
        if described is None or described.settings is None:
            raise UsageError(f"{asked.resume} was converted, not trained here: there is nothing to resume")
        return Path(asked.resume), described.settings, asked.data or source_of(described)
    for name, example in (("recipe", "modern"), ("data", "--data ~/pictures"), ("out", "--out runs/mine")):
        if not getattr(asked, name):
            raise UsageError(f"train needs {name.replace('recipe', 'a RECIPE')}, for instance {example}")
    flags = {name: getattr(asked, name) for name in _TRAIN_FLAGS[3:] if getattr(asked, name) is not None}
    settings = replace(config.recipe(asked.recipe), **flags)
    return Path(asked.out), config.override(settings, asked.set), from_anywhere(asked.data)


def _evaluate_run(folder: Path, store: Any, settings: Train) -> Any:
    """Measures a finished run with its best weights and writes its report."""
    from alexnet.evaluation.classifier import load
    from alexnet.evaluation.evaluate import evaluate as measure
    from alexnet.pages.report import write_report
    from alexnet.run import Run

    classifier = load(folder, numbers=settings.precision)
    result, examples = measure([classifier], store, default_split(store))
    Run(folder).put(result, examples)
    write_report(folder)
    return to_builtins(result)


def _pictures(arguments: list[str]) -> Iterator[Path]:
    """Gives the picture files that were named, and those in the folders that were named, in order."""
    from alexnet.data.folders import pictures_below

    paths = [Path(argument) for argument in arguments]
    missing = next((path for path in paths if not (path.is_file() or path.is_dir())), None)
    if missing is not None:
        raise UsageError(f"there is no picture {missing}")
    for path in paths:
        if path.is_dir():
            found = pictures_below(path)
            if not found:
                raise UsageError(f"there are no pictures in {path}")
            yield from found
        else:
            yield path
