"""The command that puts the lecture's claims to the test."""

import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet.cli import render
from alexnet.cli.data import from_anywhere, refuse_inside
from alexnet.cli.stop import polite_stop
from alexnet.errors import UsageError
from alexnet.pages.markup import duration


def claim(asked: Namespace) -> None:
    """Lists the claims, or tests one."""
    from alexnet.claims.table import CLAIMS

    if asked.list:
        said = ("statement", "where", "paper", "log")
        table = {name: {key: getattr(row, key) for key in said} for name, row in CLAIMS.items()}
        render.answer(asked, {"claims": table}, "\n\n".join(_listed(name, row) for name, row in table.items()))
    elif asked.name is None:
        raise UsageError(f"claim takes a name, one of {', '.join(CLAIMS)}; alexnet claim --list tells more")
    else:
        _test(asked)


def _test(asked: Namespace) -> None:
    from alexnet import machine

    machine.keep_memory()
    from alexnet.claims.conduct import Request, conduct
    from alexnet.claims.experiment import Stopped
    from alexnet.team import ALONE

    data, out = from_anywhere(asked.data), Path(asked.out)
    refuse_inside(out, data)
    request = Request(asked.name, data, asked.budget, asked.seeds, out, tuple(asked.set))
    with polite_stop(ALONE) as stop, render.PartsDisplay() as display, render.Bar("packing") as bar:
        try:
            result = conduct(request, display, stop.is_set, bar.update)
        except Stopped:
            result = {"claim": asked.name, "complete": False}
    if "verdict" not in result:
        render.answer(asked, result, f"stopped and saved; the same command goes on: alexnet claim {_words(asked)}")
        return
    render.answer(asked, {**result, "complete": True}, _answered(result))


def _words(asked: Namespace) -> str:
    words = [asked.name, "--data", asked.data, "--budget", asked.budget, "--out", asked.out]
    words += ["--seeds", str(asked.seeds)] if asked.seeds is not None else []
    return shlex.join([*words, *(word for change in asked.set for word in ("--set", change))])


def _listed(name: str, row: dict[str, str]) -> str:
    return f"{name}: {row['statement']}\n  {row['where']}\n  paper: {row['paper']}\n  notes of 2012: {row['log']}"


def _answered(result: dict[str, Any]) -> str:
    """The table of networks and what follows from it."""
    if "grid" in result:
        lines = _race(result["rows"])
    elif "figures" in result:
        lines = [f"{r['name']:<8}{r['parameters']:>14,}{r['multiply-adds']:>16,}" for r in result["rows"]]
    else:
        lines = _networks(result["rows"])
    said = [result["where"], f"  paper: {result['paper']}", f"  notes of 2012: {result['log']}"]
    if result["cost"]["seconds"]:
        said.append(f"{duration(result['cost']['seconds'])} of training, {result['cost']['images']:,} pictures")
    return "\n".join([*lines, "", *result["answer"], *said, f"{result['verdict']}: {result['page']}"])


def _networks(rows: Sequence[dict[str, Any]]) -> list[str]:
    columns = [key for key in ("top1_error", "top5_error", "training_error") if any(key in row for row in rows)]
    heads = {"top1_error": "top-1 error", "top5_error": "top-5 error", "training_error": "training"}
    lines = [f"{'':<26}{'seed':>5}" + "".join(f"{heads[key]:>13}" for key in columns)]
    for row in rows:
        seed = "" if row["seed"] is None else row["seed"]
        cells = (f"{row[key]:13.2%}" if key in row else " " * 13 for key in columns)
        lines.append(f"{row['name']:<26}{seed:>5}" + "".join(cells))
    return lines


def _race(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [f"{'':<8}{'rate':>7}{'seed':>6}{'epochs':>8}{'training error':>16}  "]
    for row in rows:
        end = "diverged" if row["has_diverged"] else "left behind" if row["is_left_behind"] else ""
        end = f"25 % after {row['epochs_to_level']:.2f}" if row["epochs_to_level"] else end
        figures = f"{row['learning_rate']:>7g}{row['seed']:>6}{row['epochs']:>8.2f}{row['training_error']:>16.2%}"
        lines.append(f"{row['arm']:<8}{figures}  {end}".rstrip())
    return lines
