"""What the commands return, as text for a terminal."""

import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from alexnet.cli.show_alike import indexed, searched
from alexnet.cli.show_networks import compressed, converted, errors, exported, listed_or_fetched, summarised
from alexnet.cli.show_runs import compared
from alexnet.cli.show_speed import bench, doctor
from alexnet.commands import results
from alexnet.data.labels import short_labels
from alexnet.errors import printable
from alexnet.pages.markup import duration
from alexnet.records import (
    Audit,
    CacheContent,
    Evaluation,
    Gain,
    Prediction,
    Understanding,
    in_words,
    left_out_lines,
)

if TYPE_CHECKING:
    from alexnet.claims.table import Claim
    from alexnet.data.verify import Verified
    from alexnet.lecturing.site import Written

BAR_WIDTH, LABEL = 30, 40

FROM_SCRATCH = 0.203
"""Top-1 error of the recipe `demo-from-scratch` on solar cells, as docs/reference/results.md has it."""


def show(lines: Sequence[str]) -> None:
    """Prints lines as they come, with a space for what could move the cursor, as a line's end in a name would."""
    print("\n".join(map(printable, lines)), flush=True)


def _packed(store: "results.Packed | Understanding | Verified") -> list[str]:
    if isinstance(store, Understanding):
        return list(store.lines())
    if not isinstance(store, results.Packed):
        return _verified(store)
    counts = ", ".join(f"{count:,} {name}" for name, count in store.counts.items())
    lines = [f"{store.store}: {len(store.classes)} classes; {counts}", *left_out_lines(store.left_out, most=0)]
    return [*lines, *results.left_out(store.quarantine), *results.doubtful(store.doubtful)]


def _verified(store: "Verified") -> list[str]:
    lines = [f"{store.store}: {store.files} files"]
    for file in store.damaged:
        lines += [f"{file.file} is {'missing' if file.is_missing else 'damaged'}", *(f"  {n}" for n in file.pictures)]
    return lines if store.damaged else [*lines, "everything is as it was packed"]


def _trained(result: results.Trained) -> list[str]:
    if result.evaluation is None:
        from alexnet.data.remote import is_remote

        data = ["--data", result.source] if is_remote(result.source) else []
        again = shlex.join(["alexnet", "train", "--resume", result.run, *data])
        return [f"stopped and saved; continue with: {again}"]
    gained, again = _gained(result.gain) if result.gain else [], f"alexnet evaluate {shlex.quote(result.run)} "
    return [*_evaluation(result.evaluation, again), *gained, f"report: {result.run}/report.html"]


def _gained(gain: Gain) -> list[str]:
    low, high = gain.gain_interval
    return [
        f"frozen features: {in_words(gain.frozen_error, gain.frozen_interval)}",
        f"fine-tuning gained {100 * gain.gain:.1f} points (95 % interval, paired: {100 * low:.1f} to {100 * high:.1f})",
    ]


def _demonstrated(result: results.Trained) -> list[str]:
    """Returns the end of the demo's training, beside a baseline and what the paper on these photographs reached.

    Source: Deitsch et al. 2019, Automatic classification of defective photovoltaic module cells in
    electroluminescence images, Solar Energy 185: accuracies of 82.4 % (SVM) and 88.4 % (VGG-19, pretrained).
    """
    measured, gain = result.evaluation, result.gain
    if measured is None:
        return _trained(result)
    rows = [
        ("always the larger class", measured.naive_error or 0.0),
        ("from scratch, 24 epochs (docs/reference/results.md)", FROM_SCRATCH),
        *([("frozen features of tiny-imagenet", gain.frozen_error)] if gain else []),
        ("fine-tuned", measured.top1_error),
        ("SVM on hand-made features (Deitsch et al. 2019)", 0.176),
        ("VGG-19 pretrained on ImageNet (same paper)", 0.116),
    ]
    table = [f"  {name:<54}{error:6.1%}" for name, error in rows]
    return [*_trained(result), "", "top-1 error on solar cells", *table]


def _evaluated(result: results.Measured | results.Precisions) -> list[str]:
    if isinstance(result, Evaluation):
        return [*_evaluation(result), _where(result)]
    head, *columns = errors(result.precisions)
    lines = [f"{'precision':<10}{'weights':>12}{head}"]
    for each, column in zip(result.precisions, columns, strict=True):
        size = f"{(each.weight_bytes or 0) / 1e6:.1f} MB"
        lines.append(f"{each.precision:<10}{size:>12}{column}")
    first = result.precisions[0]
    return [*lines, f"{_measured(first)}; {_trained_on(first)}", f"{first.precision}: {_where(first)}"]


def _evaluation(result: Evaluation, again: str = "") -> list[str]:
    """Returns the errors; `again` is the command with which hints on flags begin, where they are not of this one."""
    lines = [result.in_words]
    if len(result.classes) > 5:  # five guesses out of five classes are never wrong
        lines.append(in_words(result.top5_error, result.top5_interval, "top-5"))
    if result.is_uneven and result.balanced_error is not None:
        lines.append(f"balanced error {result.balanced_error:.1%}: the mean of the classes' top-1 errors")
    lines.append(f"{_measured(result)}; {_trained_on(result, again)}")
    if result.ties:
        lines.append(f"{result.ties:,} of them have ties, which count in part: as if drawn by lot")
    if gone := [printable(row.name) for row in result.per_class if not row.n]:
        more = f" and {len(gone) - results.NAMED:,} more" * (len(gone) > results.NAMED)
        lines.append(f"classes without pictures: {', '.join(gone[: results.NAMED])}{more}")
    if result.is_split_drawn and result.split == "val":
        lines.append(
            f"val is the quarter that training holds out of data without a split; all: {again}--split train+val"
        )
    if len(result.per_class) <= 20:
        label = short_labels([row.name for row in result.per_class], LABEL)
        names = [printable(label[row.name]) for row in result.per_class]
        rows, width = zip(names, result.per_class, strict=True), max(map(len, names))
        lines += [f"  {name:<{width}} {row.top1_error:7.1%} of {row.n:,}" for name, row in rows if row.n]
    return [*lines, *results.left_out(result.quarantined)]


def _where(result: results.Measured) -> str:
    otherwise = "not written" if result.problem else "not written to a file; one run on its own data is"
    return f"written to {result.file}" if result.file else otherwise


def _measured(result: Evaluation) -> str:
    models = f"{result.models} networks averaged, " if result.models > 1 else ""
    return f"{result.n:,} pictures of {result.split}, {models}{result.views} view{'s' * (result.views > 1)}"


def _trained_on(result: Evaluation, again: str = "") -> str:
    if result.trained_on is None:
        return "whether training had some of them is not known"
    if result.left_out:
        return f"{result.left_out:,} more are left out, training had them: {again}--include-training"
    return f"training had {f'{result.trained_on:,}' if result.trained_on else 'none'} of them"


def prediction(answer: Prediction) -> list[str]:
    """Returns names and bars for one picture."""
    if answer.error is not None:
        return [f"{answer.image}: {answer.error}"]
    names = [printable(f"{guess.class_name} {guess.words or ''}".strip()) for guess in answer.predictions]
    width, lines = max(map(len, names)), [answer.image]
    for name, chance in zip(names, [guess.probability for guess in answer.predictions], strict=True):
        lines.append(f"  {name:<{width}} {chance:6.1%} {_block() * round(chance * BAR_WIDTH)}")
    return lines


def _extracted(result: results.Extracted) -> list[str]:
    shape, rate = " x ".join(f"{side:,}" for side in result.shape), result.shape[0] / max(result.seconds, 1e-9)
    lines = [f"{result.file}: {result.layer}, {shape}, {result.bytes / 1e6:,.1f} MB"]
    lines.append(f"{result.shape[0]:,} pictures in {duration(result.seconds)}, {rate:,.0f} a second")
    return [*lines, *results.left_out(result.quarantine)]


def _explained(result: results.Explained) -> list[str]:
    lines = [f"{bad.image}: {bad.error}" for bad in result.unread]
    for one in result.explanations:
        trust = f"not to be trusted: {one.failure}" if one.failure else "passes its checks"
        lines.append(f"{one.image}: {one.words or one.class_name} {one.probability:.1%}, {one.method}: {trust}")
    return [*lines, f"page: {result.page}"]


def _examined(result: results.Examined) -> list[str]:
    lines = []
    for one in result.units:
        lines.append(
            f"{one.unit} sees {one.field} x {one.field} pixels" + ", and nothing excites it" * (not one.excitations)
        )
        lines += [f"  {each.output:8.2f}  {each.picture.class_name}  {each.picture.name}" for each in one.excitations]
    return [*lines, *results.left_out(result.quarantine), f"page: {result.page}"]


def _audited(result: Audit) -> list[str]:
    from alexnet.auditing.page import price_in_words

    oddities = Counter(one.oddity for one in result.odd)
    counts = {
        "pairs of the same picture in two splits": len(result.leaks),
        "pairs under two labels": len(result.two_labels),
        "pairs in one split and class": len(result.repeated),
        "labels that may be wrong": len(result.suspects),
        "pictures that cannot be read": len(result.unreadable),
        **{f"pictures {oddity}": count for oddity, count in oddities.items()},
    }
    lines = [f"{result.source}: {result.pictures:,} pictures, {len(result.counts):,} classes"]
    lines += [f"{count:>8,}  {what}" for what, count in counts.items()]
    for one in result.alike:
        why = "their names" if one.mixed_up is None else f"a head confuses {one.mixed_up:.0%} of them"
        lines.append(f"the classes {one.first} and {one.second} may be one: {why}")
    lines.append(f"the largest class has {result.imbalance:.1f} times as many pictures as the smallest")
    return [*lines, *map(price_in_words, result.prices), f"page: {result.page}"]


def _lectured(result: "Written") -> list[str]:
    if result.folder is None:
        return []
    size = f"{result.bytes / 1e6:.1f} MB"
    return [f"{result.folder}: {size}; open {result.folder}/index.html, or put the folder on a web server"]


def _claimed(result: results.Claims | results.Claimed) -> list[str]:
    if isinstance(result, results.Claims):
        rows = (
            (f"{name}: {claim.statement}", *(f"  {line.strip()}" for line in _about(claim)))
            for name, claim in result.claims.items()
        )
        return [line for row in rows for line in ("", *row)][1:]
    if result.result is None:
        request = result.request
        words = ["alexnet", "claim", request.name, "--data", request.source, "--budget", request.budget]
        words += ["--out", str(request.out)]
        for name, number in (("--seeds", request.seeds), ("--pictures", request.pictures)):
            words += [name, str(number)] if number is not None else []
        words += [word for name, value in request.changes.items() for word in ("--set", f"{name}={json.dumps(value)}")]
        return [f"stopped and saved; the same command goes on: {shlex.join(words)}"]
    outcome, cost = result.result.outcome, result.result.outcome.cost
    spent = [f"{duration(cost.seconds)} of training, {cost.images:,} pictures"] if cost.seconds else []
    about = [*_about(result.result.claim), *spent, f"{outcome.verdict}: {result.page}"]
    return [*outcome.table(), "", *outcome.answer, *about]


def _cached(result: CacheContent) -> list[str]:
    def size(count: int) -> str:
        return f"{count / 1e6:,.1f} MB"

    lines = [f"removed {entry.name}: {size(entry.bytes)}" for entry in result.removed]
    width = max((len(entry.name) for entry in result.entries), default=0)
    for entry in result.entries:
        source = f"  of {entry.source}" if entry.source is not None else ""
        lines.append(f"{entry.name:<{width}}  {entry.kind:<8}{size(entry.bytes):>12}  {entry.last_used[:10]}{source}")
    total = sum(entry.bytes for entry in result.entries)
    return [*lines, f"{result.folder}: {size(total)}"]


def _about(claim: "Claim") -> list[str]:
    return [claim.where, f"  paper: {claim.paper}", f"  notes of 2012: {claim.log}"]


def _block() -> str:
    """Returns what bars are made of: a block, or # where standard output cannot show one."""
    try:
        "█".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "#"
    return "█"


TEXTS: dict[str, Callable[[Any], list[str]]] = {  # each takes what the command of its name returns
    "demo": _demonstrated,
    "summary": summarised,
    "pack": _packed,
    "train": _trained,
    "evaluate": _evaluated,
    "predict": lambda result: [],  # every picture is shown as soon as it is named
    "features": _extracted,
    "explain": _explained,
    "units": _examined,
    "index": indexed,
    "search": searched,
    "serve": lambda served: [f"served for {duration(served.seconds)}"],
    "audit": _audited,
    "compress": compressed,
    "compare": compared,
    "report": lambda page: [str(page.report)],
    "convert": converted,
    "export": exported,
    "weights": listed_or_fetched,
    "claim": _claimed,
    "bench": bench,
    "doctor": doctor,
    "cache": _cached,
    "lecture": _lectured,
}
