"""Speed, measured beside other implementations and beside what the machine can do at all.

A *contestant* is a function of this package, run in a process of its own, so that each implementation has the memory
allocator its users have. Contestants take turns in rounds (A B C A B C); a row's value is the median over the rounds,
a ratio the median of the ratios within each round. So a disturbance of the machine meets all of them alike.
"""

from dataclasses import asdict
from importlib import import_module
from typing import Any

from alexnet import machine
from alexnet.benches.rounds import Notice, Result
from alexnet.benches.size import Size
from alexnet.errors import UsageError

__all__ = ["BENCHES", "Size", "run"]

BENCHES = ("lrn", "train", "data", "predict", "parallel")


def run(
    what: str,
    data: str | None = None,
    per_layer: bool = False,
    notice: Notice = lambda text: None,
    size: Size | None = None,
) -> dict[str, Any]:
    """Runs one bench, or all.

    Args:
        what: One of `BENCHES`, or `all`.
        data: Pictures for `data`: a folder of them, or any source or store; made up where None.
        per_layer: Adds the time of each layer of the two-tower network to `train`.
        notice: Told how it goes, and what was left out and why.
        size: How much to measure.

    Returns:
        `{"bench", "machine", "limits", "rows", "layers"}`. A row is `{"name", "value", "unit", "ratio_to"}`; a ratio
        says how many times as fast it is as the other, or which share of a limit it reaches. What could not be
        measured has no row.

    Raises:
        UsageError: There is no such bench, or no such data.
        DataError: The data cannot be read.
    """
    if what not in (*BENCHES, "all"):
        raise UsageError(f"no bench {what!r}; there are {', '.join(BENCHES)} and all")
    own: dict[str, dict[str, Any]] = {"train": {"per_layer": per_layer}, "data": {"data": data}}
    whole, size = Result(), size or Size()
    for name in BENCHES if what == "all" else (what,):
        whole.add(import_module(f"alexnet.benches.{name}").bench(size, notice, **own.get(name, {})))
    layers = {"layers": whole.layers} if whole.layers else {}
    return {"bench": what, "machine": asdict(machine.facts()), "limits": whole.limits, "rows": whole.rows, **layers}
