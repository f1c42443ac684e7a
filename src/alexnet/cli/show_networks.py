"""What the commands on networks return, as text for a terminal."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from alexnet.commands import results
from alexnet.records import CompressionStep, Evaluation, Exported, MeasuredFile

if TYPE_CHECKING:
    from alexnet.models.summary import Summary
    from alexnet.weights.public import Public, PublicWeights


def errors(rows: Sequence[CompressionStep | MeasuredFile | Evaluation]) -> list[str]:
    """Returns the columns of errors, first their heads; without top-5, which is 0 where there are five classes."""
    has_top5 = any(row.top5_error for row in rows)
    heads = f"{'top-1 error':>13}" + f"{'top-5 error':>13}" * has_top5
    return [heads, *(f"{row.top1_error:>13.2%}" + f"{row.top5_error:>13.2%}" * has_top5 for row in rows)]


def summarised(table: "Summary") -> list[str]:
    """Returns the layers of a network, a row each, and their sums."""
    lines = [f"{table.variant}, {table.input_size} x {table.input_size} pixels", ""]
    lines.append(f"{'layer':<8}{'output':>16}{'parameters':>14}{'multiply-adds':>16}")
    for row in table.layers:
        shape = " x ".join(map(str, row.output_shape))
        lines.append(f"{row.name:<8}{shape:>16}{row.parameters:>14,}{row.macs:>16,}")
    lines.append(f"{'total':<8}{'':>16}{table.parameters:>14,}{table.macs:>16,}")
    return lines


def compressed(result: results.Compressed) -> list[str]:
    """Returns the steps of a compression with their sizes and errors."""
    if not result.complete:
        return ["stopped and saved; the same command goes on"]
    head, *columns = errors(result.table)
    lines = [f"{'step':<20}{'size':>12}{'smaller':>10}{head}"]
    for row, column in zip(result.table, columns, strict=True):
        size, ratio = f"{row.bytes / 1e6:.2f} MB", f"{row.ratio:.1f} x"
        lines.append(f"{row.step:<20}{size:>12}{ratio:>10}{column}")
    lines.append(f"{result.table[0].n:,} pictures of {result.split}, 1 view")
    return [*lines, f"{result.file}: {result.bytes:,} bytes"]


def converted(run: results.Converted) -> list[str]:
    """Returns where each layer comes from, and what was translated."""
    conversion = run.converted
    assert conversion is not None  # every run that `convert` returns has one
    side = f"{run.input_size} x {run.input_size} pixels"
    lines = [f"{conversion.dialect}: {run.variant}, {len(run.classes):,} classes, {side}", ""]
    lines += [f"  {ours:<6} from {theirs}" for ours, theirs in conversion.layers.items()]
    lines += ["", "translated", *[f"  {sentence}" for sentence in conversion.translated]]
    lines += ["", "not known", *[f"  {sentence}" for sentence in conversion.not_known or ["nothing"]]]
    facts = [f"{name} {value}" for name, value in structs.asdict(run.preprocessing).items() if value is not None]
    return [*lines, "", f"preprocessing: {', '.join(facts)}", f"run folder: {run.run}"]


def exported(result: Exported) -> list[str]:
    """Returns a file with how far its answers are off, and how to go on."""
    parity, lines = result.parity, [f"{result.file}: {result.bytes / 1e6:,.1f} MB"]
    if parity is None:
        return [f"{lines[0]}; see {result.file}/README.md"]
    if result.opset:
        lines[0] += f", ONNX opset {result.opset}, {result.lrn} normalisation"
    lines.append(
        f"float32 in {parity.engine}: off by {parity.error:.1e} of the output's norm at most, "
        f"{parity.logit_error or 0.0:.1e} of the logits', on {parity.pictures} JPEG files of {parity.origin}"
    )
    if parity.whole_difference is not None:
        lines.append(f"  pictures resized by it: a probability differs by {parity.whole_difference:.1e} at most")
    if (rounded := result.rounded) and result.network_bytes:
        lines.append(
            f"8-bit weights, {result.network_bytes / 1e6:,.1f} MB: off by {rounded.error:.1e}, "
            f"the same first class on {rounded.same_first} of {rounded.pictures}"
        )
    if int8 := result.int8:
        sizes = ("size", *(f"{row.bytes / 1e6:,.1f} MB" for row in (int8.before, int8.after)))
        columns = zip(("", "float32", "int8"), sizes, errors((int8.before, int8.after)), strict=True)
        lines += [f"{name:<10}{size:>10}{column}" for name, size, column in columns]
        lines.append(f"{int8.after.n:,} pictures of {int8.after.split}; {int8.ratio:.1%} of the size")
    if result.format == "browser":
        lines.append(f"show it: python -m http.server --directory {shlex.quote(result.file)}")
    return lines


def listed_or_fetched(result: "PublicWeights | results.Fetched") -> list[str]:
    """Returns the public weights, or the file that was fetched."""
    if not isinstance(result, results.Fetched):
        return [line for name, row in result.weights.items() for line in ("", *_public(name, row))][1:]
    lines = [result.file]
    if not result.is_checked:
        lines.append("no checksum is published for it: it could not be checked")
    if result.is_network:
        lines.append(f"next: alexnet convert {shlex.quote(result.file)} runs/{result.name}")
    return lines


def _public(name: str, row: "Public") -> list[str]:
    size = f"{row.bytes:,} bytes" if row.bytes is not None else "size not published"
    lines = [f"{name}: {row.about}", f"  {row.url}"]
    lines.append(f"  {size}; {row.checksum or 'no checksum published'}; licence: {row.licence}")
    if row.top1_error is not None:
        lines.append(f"  top-1 error {row.top1_error:.1%}, top-5 error {row.top5_error:.1%}: {row.protocol}")
    return [*lines, f"  source: {row.source}"]
