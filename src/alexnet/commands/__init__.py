"""What a person can ask for, from a shell and from Python alike: a function for each command.

A function's signature is the whole truth of its command: `cli.parser` derives the shell's arguments from it, and their
help from its docstring. Nothing heavy is imported before a function runs.
"""

from collections.abc import Callable
from typing import Any

from alexnet.commands.alike import index, search
from alexnet.commands.auditing import audit
from alexnet.commands.caching import cache
from alexnet.commands.comparing import compare, report
from alexnet.commands.looking import explain, features, units
from alexnet.commands.measuring import bench, claim, doctor, evaluate, predict
from alexnet.commands.networks import compress, convert, export, summary, weights
from alexnet.commands.serving import serve
from alexnet.commands.teaching import lecture
from alexnet.commands.training import demo, pack, train

__all__ = [
    "COMMANDS", "audit", "bench", "cache", "claim", "compare", "compress", "convert", "demo", "doctor", "evaluate",
    "explain", "export", "features", "index", "lecture", "pack", "predict", "report", "search", "serve", "summary",
    "train", "units", "weights",
]  # fmt: skip

COMMANDS: dict[str, Callable[..., Any]] = {  # each returns a record of its own
    function.__name__: function
    for function in (
        *(demo, summary, pack, train, evaluate, predict, features, explain, units, index, search, audit, serve),
        *(compress, report, compare, convert, export, weights, claim, bench, doctor, cache, lecture),
    )
}
