"""Speed, measured beside other implementations and beside what the machine can do at all.

A *contestant* is a function of this package, run in a process of its own, so that each implementation has the memory
allocator its users have. Contestants take turns in rounds (A B C A B C); a row's value is the median over the rounds,
a ratio the median of the ratios within each round. So a disturbance of the machine meets all of them alike.
"""

from collections.abc import Callable
from functools import partial
from statistics import median

from alexnet import machine
from alexnet.benches import data as loaders
from alexnet.benches import layers, predict, serve, start, train
from alexnet.benches.contest import Notice
from alexnet.benches.findings import Bench, Findings, Size
from alexnet.errors import UsageError
from alexnet.observer import Observer

__all__ = ["Bench", "Size", "run"]

_ALL = ("lrn", "train", "data", "predict", "start", "parallel")  # `serve` needs an extra


def run(
    what: str,
    data: str | None = None,
    per_layer: bool = False,
    observer: Observer | None = None,
    size: Size | None = None,
) -> Bench:
    """Runs one bench (`lrn`, `train`, `data`, `predict`, `start`, `parallel` or `serve`), or `all` of them but `serve`.

    The bench `data` reads a folder of pictures, a source or a store; None makes photographs up. `per_layer` adds the
    time of each layer to `train`. The observer is told of each turn, and of what was left out, with the reason.

    Raises:
        UsageError: There is no such bench, or no such data.
        DataError: The data cannot be read.
    """
    functions: dict[str, Callable[[Size, Notice], Findings]] = {
        "lrn": layers.bench,
        "train": partial(train.bench, per_layer=per_layer),
        "data": partial(loaders.bench, data=data),
        "predict": predict.bench,
        "start": start.bench,
        "parallel": train.bench_teams,
        "serve": serve.bench,
    }
    if what not in (*functions, "all"):
        raise UsageError(f"no bench {what!r}; there are {', '.join(functions)} and all")
    notice = (observer or Observer()).notice
    parts = [functions[name](size or Size(), notice) for name in (_ALL if what == "all" else [what])]
    limits = {limit: median(series) for part in parts for limit, series in part.limits.items()}
    layer_table = [layer for part in parts for layer in part.layers]
    return Bench(what, machine.facts(), limits, [row for part in parts for row in part.rows], layer_table)
