"""The commands that bring weights in: `convert` and `weights`."""

import shlex
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs, to_builtins

from alexnet.cli import render
from alexnet.errors import UsageError
from alexnet.records import Description

if TYPE_CHECKING:
    from alexnet.weights.public import Public


def convert(arguments: Namespace) -> None:
    """Turns foreign weights into a run folder."""
    from alexnet.foreign.convert import Options
    from alexnet.foreign.convert import convert as turn

    mean = Path(arguments.mean) if arguments.mean else None
    options = Options(mean, arguments.classes, arguments.variant)
    run = turn(Path(arguments.source), Path(arguments.dest), options)
    render.answer(arguments, {"run": arguments.dest, **to_builtins(run)}, _converted(arguments.dest, run))


def weights(arguments: Namespace) -> None:
    """Lists the public weights, or fetches some."""
    from alexnet.weights import public

    if arguments.action == "list":
        if arguments.name or arguments.file or arguments.out:
            raise UsageError("list takes no name, --file or --out; alexnet weights get NAME fetches")
        table = {name: asdict(row) for name, row in public.PUBLIC.items()}
        render.answer(
            arguments, {"weights": table}, "\n\n".join(_public(name, row) for name, row in public.PUBLIC.items())
        )
        return
    if not arguments.name:
        raise UsageError(f"get takes a name; there are {', '.join(public.PUBLIC)}")
    row = public.find(arguments.name)
    folder = Path(arguments.out) if arguments.out else public.folder()
    with render.Bar("fetching", "B") as bar:
        path = public.get(row, folder, Path(arguments.file) if arguments.file else None, bar.update)
    is_checked = row.checksum is not None
    lines = [str(path)]
    if not is_checked:
        lines.append("no checksum is published for it: it could not be checked")
    if row.top1_error is not None:
        lines.append(f"next: alexnet convert {shlex.quote(str(path))} runs/{arguments.name}")
    facts = {"name": arguments.name, "file": str(path), "checksum": row.checksum, "is_checked": is_checked}
    render.answer(arguments, facts, "\n".join(lines))


def _converted(folder: str, run: Description) -> str:
    """Returns what was read, mapped, translated and not known, as text."""
    conversion = run.converted
    assert conversion is not None  # every run that `convert` returns has one
    side = f"{run.input_size} x {run.input_size} pixels"
    lines = [f"{conversion.dialect}: {run.variant}, {len(run.classes):,} classes, {side}", ""]
    lines += [f"  {ours:<6} from {theirs}" for ours, theirs in conversion.layers.items()]
    lines += ["", "translated", *[f"  {sentence}" for sentence in conversion.translated]]
    lines += ["", "not known", *[f"  {sentence}" for sentence in conversion.not_known or ["nothing"]]]
    facts = ", ".join(
        f"{name} {value}" for name, value in structs.asdict(run.preprocessing).items() if value is not None
    )
    return "\n".join([*lines, "", f"preprocessing: {facts}", f"run folder: {folder}"])


def _public(name: str, row: "Public") -> str:
    size = f"{row.bytes:,} bytes" if row.bytes is not None else "size not published"
    lines = [
        f"{name}: {row.about}",
        f"  {row.url}",
        f"  {size}; {row.checksum or 'no checksum published'}; licence: {row.licence}",
    ]
    if row.top1_error is not None:
        lines.append(f"  top-1 error {row.top1_error:.1%}, top-5 error {row.top5_error:.1%}: {row.protocol}")
    return "\n".join([*lines, f"  source: {row.source}"])
