"""The command that puts the lecture's claims to the test."""

import json
import shlex
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.cli import render
from alexnet.cli.data import from_anywhere, refuse_inside
from alexnet.cli.stop import polite_stop
from alexnet.errors import UsageError
from alexnet.pages.markup import duration

if TYPE_CHECKING:  # the help of other commands does not wait for it
    from alexnet.claims.table import Claim, ClaimResult


class _Display(render.PartsDisplay):
    """Shows packing too, with a bar of its own."""

    def __init__(self, packing: render.Bar) -> None:
        super().__init__()
        self.packing = packing

    def advanced(self, done: int, total: int) -> None:
        """Moves the bar of the packing."""
        self.packing.update(done, total)


def claim(arguments: Namespace) -> None:
    """Lists the claims, or tests one."""
    from alexnet.claims.table import CLAIMS, listed

    if arguments.list:
        text = "\n\n".join(f"{name}: {row.statement}\n  {_about(row)}" for name, row in CLAIMS.items())
        render.answer(arguments, {"claims": {name: listed(row) for name, row in CLAIMS.items()}}, text)
    elif arguments.name is None:
        raise UsageError(f"claim takes a name, one of {', '.join(CLAIMS)}; alexnet claim --list tells more")
    else:
        _test(arguments)


def _test(arguments: Namespace) -> None:
    from alexnet import machine

    machine.keep_memory()
    from alexnet.claims.conduct import PAGE, conduct
    from alexnet.claims.experiment import Request
    from alexnet.claims.laboratory import Stopped
    from alexnet.team import ALONE

    data, out = from_anywhere(arguments.data), Path(arguments.out)
    refuse_inside(out, data)
    request = Request(arguments.name, data, arguments.budget, arguments.seeds, out, tuple(arguments.set))
    with polite_stop(ALONE) as stop, render.Bar("packing") as bar, _Display(bar) as display:
        display.stop = stop
        try:
            result = conduct(request, display)
        except Stopped:
            incomplete = {"claim": request.name, "complete": False}
            text = f"stopped and saved; the same command goes on: alexnet claim {_words(arguments)}"
            render.answer(arguments, incomplete, text)
            return
    page = str(out / request.name / PAGE)
    answer = {**json.loads(result.to_json()), "page": page, "complete": True}
    render.answer(arguments, answer, _answered(result, page))


def _words(arguments: Namespace) -> str:
    options = ["--data", arguments.data, "--budget", arguments.budget, "--out", arguments.out]
    options += ["--seeds", str(arguments.seeds)] if arguments.seeds is not None else []
    return shlex.join([arguments.name, *options, *(word for change in arguments.set for word in ("--set", change))])


def _about(row: "Claim") -> str:
    return f"{row.where}\n  paper: {row.paper}\n  notes of 2012: {row.log}"


def _answered(result: "ClaimResult", page: str) -> str:
    """Returns the table of what was measured, and what follows from it."""
    outcome, cost = result.outcome, result.outcome.cost
    trained = [f"{duration(cost.seconds)} of training, {cost.images:,} pictures"] if cost.seconds else []
    about = [_about(result.claim), *trained, f"{outcome.verdict}: {page}"]
    return "\n".join([*outcome.table(), "", *outcome.answer, *about])
