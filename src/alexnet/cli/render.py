"""How results look in a terminal."""

import json
import sys
import threading
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
from tqdm import tqdm

from alexnet.config import MODERN
from alexnet.errors import printable
from alexnet.observer import Measured, Observer
from alexnet.pages.markup import duration
from alexnet.records import Quarantined

if TYPE_CHECKING:
    from alexnet.benches import Bench
    from alexnet.benches.doctor import Examination

BAR_WIDTH = 30
NAMED = 10
"""Pictures left out that are named; the JSON has them all."""


def answer(asked: Namespace, value: Any, text: str) -> None:
    """Prints what a command found: one JSON object where `--json` asks for it, else text."""
    show(json.dumps(value, indent=1) if asked.json else text)


def show(text: str) -> None:
    """Prints lines as they come, with a space for what could move the cursor; names have no lines of their own."""
    print("\n".join(map(printable, text.split("\n"))), flush=True)


class Bar(Observer):
    """A progress bar on stderr; silent where that is no terminal."""

    def __init__(self, what: str, unit: str = " images") -> None:
        self._bar: Any = None
        self.what, self.unit = what, unit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def advanced(self, done: int, total: int) -> None:
        """Shows `done` of `total`."""
        self.update(done, total)

    def update(self, done: int, total: int) -> None:
        """Shows `done` of `total`."""
        if self._bar is None:
            settings: dict[str, Any] = {"unit": self.unit, "unit_scale": self.unit == "B"}
            self._bar = tqdm(total=total, desc=self.what, disable=None, smoothing=0.1, **settings)
        self._bar.update(done - self._bar.n)


class TrainingDisplay(Observer):
    """Shows a training run: a bar for the steps, a line for each evaluation."""

    def __init__(self) -> None:
        self._bar: Any = None
        self.stop = threading.Event()

    def should_stop(self) -> bool:
        """Whether the person asked to stop."""
        return self.stop.is_set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def stepped(self, step: int, total: int, loss: float, images_per_s: float) -> None:
        """Moves the bar."""
        if self._bar is None:
            self._bar = tqdm(total=total, initial=step - 1, desc="training", unit=" steps", disable=None)
        self._bar.set_postfix_str(f"loss {loss:.3f}, {images_per_s:.0f} images/s", refresh=False)
        self._bar.update(step - self._bar.n)

    def evaluated(self, epoch: float, evaluation: Measured) -> None:
        """Prints the errors."""
        line = f"epoch {epoch:6.2f}   top-1 error {evaluation.top1_error:6.1%}"
        if evaluation.top5_error > 0:
            line += f"   top-5 error {evaluation.top5_error:6.1%}"
        self.notice(line)

    def notice(self, text: str) -> None:
        """Prints a line above the bar."""
        tqdm.write(printable(text), file=sys.stderr)


class PartsDisplay(TrainingDisplay):
    """Shows a work of several trainings: a line for each part, a bar for each training."""

    def began(self, what: str) -> None:
        """Names what follows, above a bar of its own."""
        self.__exit__(None, None, None)
        self._bar = None
        self.notice(what)


def layers(rows: Sequence[Any], head: dict[str, Any]) -> str:
    """The layer table."""
    lines = [f"{head['variant']}, {head['input_size']} x {head['input_size']} pixels", ""]
    lines.append(f"{'layer':<8}{'output':>16}{'parameters':>14}{'multiply-adds':>16}")
    for row in rows:
        shape = " x ".join(map(str, row.output_shape))
        lines.append(f"{row.name:<8}{shape:>16}{row.parameters:>14,}{row.macs:>16,}")
    lines.append(f"{'total':<8}{'':>16}{head['parameters']:>14,}{head['macs']:>16,}")
    return "\n".join(lines)


def packed(facts: dict[str, Any]) -> str:
    """What a store holds."""
    counts = ", ".join(f"{count:,} {name}" for name, count in facts["counts"].items())
    lines = [f"{facts['store']}: {len(facts['classes'])} classes; {counts}"]
    if facts["ignored"]:
        lines.append(f"{facts['ignored']} files ignored: hidden, or no pictures")
    lines += left_out(msgspec.convert(facts["quarantine"], list[Quarantined]))
    return "\n".join(lines)


def left_out(quarantine: Sequence[Quarantined]) -> list[str]:
    """The first pictures that could not be read, and how many more there are."""
    lines = [printable(f"left out {bad.name}: {bad.reason}") for bad in quarantine[:NAMED]]
    lines += [f"left out {len(quarantine) - NAMED:,} more"] * (len(quarantine) > NAMED)
    if any(bad.was_unread for bad in quarantine):
        lines.append("what could not be read is tried again by alexnet pack SOURCE STORE")
    return lines


def _has_top5(result: dict[str, Any]) -> bool:
    """Five guesses out of five classes are never wrong."""
    return len(result["per_class"]) > 5


def evaluation(result: dict[str, Any]) -> str:
    """Errors with their intervals."""

    def percent(name: str) -> str:
        low, high = result[f"{name}_interval"]
        return f"{result[f'{name}_error']:.1%} (95 % interval {low:.1%} to {high:.1%})"

    models = f"{result['models']} networks averaged, " if result["models"] > 1 else ""
    lines = [
        f"top-1 error {percent('top1')}",
        *([f"top-5 error {percent('top5')}"] if _has_top5(result) else []),
        f"{result['n']:,} pictures of {result['split']}, {models}{result['views']} view{'s' * (result['views'] > 1)}",
    ]
    if result["is_split_drawn"] and result["split"] == "val":
        lines.append("val is the quarter that training holds out of data without a split; all: --split train+val")
    if len(result["per_class"]) <= 20:
        names = [printable(row["name"]) for row in result["per_class"]]
        width = max(map(len, names))
        lines += [
            f"  {name:<{width}} {row['top1_error']:7.1%} of {row['n']:,}"
            for name, row in zip(names, result["per_class"], strict=True)
            if row["n"]
        ]
    lines += left_out(msgspec.convert(result["quarantined"], list[Quarantined]))
    return "\n".join(lines)


def trained(folder: Path, result: dict[str, Any]) -> str:
    """The end of a training run."""
    return f"{evaluation(result)}\nreport: {folder / 'report.html'}"


def compressed(facts: dict[str, Any]) -> str:
    """What each step of a compression costs, and what is left."""
    lines = [f"{'step':<20}{'size':>12}{'smaller':>10}{'top-1 error':>13}{'top-5 error':>13}"]
    for row in facts["table"]:
        size, ratio = f"{row['bytes'] / 1e6:.2f} MB", f"{row['ratio']:.1f} x"
        lines.append(f"{row['step']:<20}{size:>12}{ratio:>10}{row['top1_error']:>13.2%}{row['top5_error']:>13.2%}")
    lines.append(f"{facts['table'][0]['n']:,} pictures of {facts['split']}, 1 view")
    return "\n".join([*lines, f"{facts['file']}: {facts['bytes']:,} bytes"])


def prediction(answer: dict[str, Any]) -> str:
    """Names and bars for one picture."""
    image = printable(answer["image"])
    if "error" in answer:
        return f"{image}: {printable(answer['error'])}"
    names = [printable(f"{row['class']} {row.get('words', '')}".strip()) for row in answer["predictions"]]
    width, lines = max(map(len, names)), [image]
    for name, row in zip(names, answer["predictions"], strict=True):
        bar = _block() * round(row["probability"] * BAR_WIDTH)
        lines.append(f"  {name:<{width}} {row['probability']:6.1%} {bar}")
    return "\n".join(lines)


def _block() -> str:
    """What bars are made of: a block where standard output can show one."""
    try:
        "█".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "#"
    return "█"


def precisions(results: Sequence[dict[str, Any]]) -> str:
    """What smaller numbers cost."""
    lines = [f"{'precision':<10}{'weights':>12}{'top-1 error':>13}{'top-5 error':>13}"]
    for result in results:
        size = f"{result['weight_bytes'] / 1e6:.1f} MB"
        lines.append(f"{result['precision']:<10}{size:>12}{result['top1_error']:>13.2%}{result['top5_error']:>13.2%}")
    return "\n".join([*lines, f"{results[0]['n']:,} pictures of {results[0]['split']}, {results[0]['views']} view(s)"])


def beside_published(result: dict[str, Any]) -> str:
    """The demo's error beside the baseline and the figures of the data's own paper.

    Source: Deitsch et al. 2019, Automatic classification of defective photovoltaic module cells in
    electroluminescence images, Solar Energy 185: accuracies of 82.4 % (SVM) and 88.4 % (VGG-19, pretrained).
    """
    largest = max(row["n"] for row in result["per_class"]) / result["n"]
    rows = [
        ("always the larger class", 1 - largest),
        ("this network, from scratch", result["top1_error"]),
        ("SVM on hand-made features (Deitsch et al. 2019)", 0.176),
        ("VGG-19 pretrained on ImageNet (same paper)", 0.116),
    ]
    return "\n".join(["", "top-1 error on solar cells", *[f"  {name:<50}{error:6.1%}" for name, error in rows]])


def bench(result: "Bench") -> str:
    """Returns the rows with their ratios, the machine's limits, and the layers."""
    facts = result.machine
    lines = [f"{facts.gpu or facts.cpu}, {facts.threads} threads, torch {facts.torch}"]
    lines += [f"  {name:<32}{value / 1e9:10,.1f} G" for name, value in result.limits.items()]
    width = max((len(row.name) for row in result.rows), default=0)
    for row in result.rows:
        lines.append(f"{row.name:<{width}}{row.value:>12,.2f} {row.unit}")
        lines += [f"{'':<{width}}{ratio:>12.2f} x {other}" for other, ratio in row.ratio_to.items()]
    if result.layers:
        head = ("ms forward", "backward", "GFLOP", "MB", "ms at FLOP/s", "ms at bytes/s")
        lines += ["", f"{'layer':<8}" + "".join(f"{title:>14}" for title in head)]
    for layer in result.layers:
        figures = (layer.forward_ms, layer.backward_ms, layer.flop / 1e9, layer.bytes / 1e6)
        columns = (*figures, layer.operations_ms, layer.bytes_ms)
        lines.append(f"{layer.name:<8}" + "".join(f"{value:14,.2f}" for value in columns))
    return "\n".join(lines)


def doctor(examination: "Examination") -> str:
    """Returns the machine, the rates, what bounds training, and what to do."""
    from alexnet.benches.doctor import Stage

    facts, rates, shares = examination.machine, examination.rates, examination.shares

    def gigabytes(size: int | None) -> str:
        return "not known" if size is None else f"{size / 2**30:.1f} GiB"

    has = {True: "yes", False: "no"}
    lines = ["this machine"]
    lines.append(f"  {facts.cpu}; GPU: {facts.gpu or 'none'}")
    lines.append(f"  cores: {facts.cores}; threads: {facts.threads}")
    lines.append(f"  bf16 instructions: {has[facts.bf16]}; compiled kernels: {has[facts.kernels]}")
    lines.append(f"  memory {gigabytes(facts.memory)}, shared memory (/dev/shm) {gigabytes(facts.shared_memory)}")
    lines += ["", "images/s, each stage by itself"]
    for stage, rate in rates.items():
        if stage != Stage.DISK_MEGABYTES:
            share = f"{shares[stage]:7.1%} of an image's time" if stage in shares else ""
            lines.append(f"  {stage:<14}{rate:>12,.0f} {share}".rstrip())
    if Stage.DISK_MEGABYTES in rates:
        lines.append(f"  the disk gives {rates[Stage.DISK_MEGABYTES]:,.0f} MB/s")
    if examination.epoch_s is not None:
        epoch, whole = (duration(epochs * examination.epoch_s) for epochs in (1, MODERN.epochs))
        lines += ["", f"training on these {examination.pictures:,} pictures"]
        lines.append(f"  an epoch about {epoch}, recipe modern ({MODERN.epochs:g} epochs) about {whole}")
    if examination.largest_batch is not None:
        lines.append(f"  largest batch that fits in memory: about {examination.largest_batch:,}")
    lines += ["", f"training is bound by: {examination.bound_by}"]
    return "\n".join([*lines, *[f"  {sentence}" for sentence in examination.advice]])
