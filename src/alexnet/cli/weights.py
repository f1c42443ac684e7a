"""The commands that bring weights in: `convert` and `weights`."""

import shlex
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from alexnet.cli import render
from alexnet.errors import UsageError


def convert(asked: Namespace) -> None:
    """Turns foreign weights into a run folder."""
    from alexnet.foreign.convert import Options
    from alexnet.foreign.convert import convert as turn

    mean = Path(asked.mean) if asked.mean else None
    run = turn(Path(asked.source), Path(asked.dest), Options(mean, asked.classes, asked.variant))
    facts = to_builtins(run)
    render.answer(asked, {"run": asked.dest, **facts}, _converted(asked.dest, facts))


def weights(asked: Namespace) -> None:
    """Lists the public weights, or fetches some."""
    from alexnet.weights import public

    if asked.action == "list":
        if asked.name or asked.file or asked.out:
            raise UsageError("list takes no name, --file or --out; alexnet weights get NAME fetches")
        table = {name: asdict(row) for name, row in public.PUBLIC.items()}
        render.answer(asked, {"weights": table}, "\n\n".join(_public(name, row) for name, row in table.items()))
        return
    if not asked.name:
        raise UsageError(f"get takes a name; there are {', '.join(public.PUBLIC)}")
    row = public.find(asked.name)
    with render.Bar("fetching", "B") as bar:
        path = public.get(
            row, Path(asked.out) if asked.out else public.folder(), Path(asked.file) if asked.file else None, bar.update
        )
    facts = {"name": asked.name, "file": str(path), "checksum": row.checksum, "is_checked": row.checksum is not None}
    lines = [str(path)]
    if row.checksum is None:
        lines.append("no checksum is published for it: it could not be checked")
    if row.top1_error is not None:
        lines.append(f"next: alexnet convert {shlex.quote(str(path))} runs/{asked.name}")
    render.answer(asked, facts, "\n".join(lines))


def _converted(folder: str, run: dict[str, Any]) -> str:
    """What was read, mapped, translated and not known."""
    found, preprocessing = run["converted"], run["preprocessing"]
    side = f"{run['input_size']} x {run['input_size']} pixels"
    lines = [f"{found['dialect']}: {run['variant']}, {len(run['classes']):,} classes, {side}", ""]
    lines += [f"  {ours:<6} from {theirs}" for ours, theirs in found["layers"].items()]
    facts = ", ".join(f"{name} {value}" for name, value in preprocessing.items())
    lines += ["", "translated", *[f"  {sentence}" for sentence in found["translated"]]]
    lines += ["", "not known", *[f"  {sentence}" for sentence in found["not_known"] or ["nothing"]]]
    return "\n".join([*lines, "", f"preprocessing: {facts}", f"run folder: {folder}"])


def _public(name: str, row: dict[str, Any]) -> str:
    lines = [f"{name}: {row['about']}", f"  {row['url']}"]
    size = f"{row['bytes']:,} bytes" if row["bytes"] is not None else "size not published"
    lines.append(f"  {size}; {row['checksum'] or 'no checksum published'}; licence: {row['licence']}")
    if row["top1_error"] is not None:
        lines.append(f"  top-1 error {row['top1_error']:.1%}, top-5 error {row['top5_error']:.1%}: {row['protocol']}")
    return "\n".join([*lines, f"  source: {row['source']}"])
