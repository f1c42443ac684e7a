"""Contestants, each measured in a process of its own, taking turns; and the rows that come of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from statistics import median
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec
import torch

from alexnet import machine
from alexnet.benches.findings import BenchRow, Series, Size, Unit
from alexnet.records import to_json

Measured = TypeVar("Measured")
Notice = Callable[[str], None]

TIMEOUT_S = 900

clock = time.process_time if machine.cores() == 1 and not torch.cuda.is_available() else time.perf_counter
"""Returns seconds. On a single core only this process's own count, as others take turns with it there."""


@dataclass(frozen=True)
class Contestant(Generic[Measured]):
    """One implementation of what a bench measures.

    `measure` plays one turn, in another process: it is a function of a module, or a `partial` of one whose arguments
    JSON can hold. `keeps_memory` has it run with `machine.keep_memory`, as our own commands do. `threads` is their
    number for PyTorch, which None leaves to PyTorch.
    """

    name: str
    measure: Callable[[Size], Measured]
    keeps_memory: bool = False
    threads: int | None = None


class Failed(Exception):
    """A contestant could not be measured; the message says why."""


class Contest:
    """Contestants that have taken their turns; those that failed are left out."""

    def __init__(self, contestants: Sequence[Contestant[Any]], size: Size, notice: Notice) -> None:
        # Any, because each contestant measures a type of its own; `__call__` gives it back.
        self._turns: dict[str, list[Any]] = {contestant.name: [] for contestant in contestants}
        started = time.monotonic()
        for number in range(size.rounds):
            if number and time.monotonic() - started > size.patience:
                notice(f"no more rounds: each takes {(time.monotonic() - started) / number:.0f} s")
                break
            for contestant in [each for each in contestants if each.name in self._turns]:
                notice(f"round {number + 1} of {size.rounds}: {contestant.name}")
                try:
                    self._turns[contestant.name].append(launch(contestant, size))
                except Failed as reason:
                    del self._turns[contestant.name]
                    notice(f"left out: {contestant.name}: {reason}")

    def __call__(self, contestant: Contestant[Measured]) -> list[Measured]:
        """Returns what a contestant measured, round by round; an empty list where it was left out."""
        return self._turns.get(contestant.name, [])

    def series(self, contestant: Contestant[Measured], figure: Callable[[Measured], float | None]) -> Series:
        """Returns one figure of a contestant; an empty list where it does not measure it."""
        return [value for turn in self(contestant) if (value := figure(turn)) is not None]

    def rows(
        self,
        name: str,
        unit: Unit,
        figure: Callable[[Measured], float | None],
        ours: Sequence[Contestant[Measured]],
        peers: Sequence[Contestant[Measured]] = (),
        bounds: Callable[[Contestant[Measured]], Mapping[str, Series]] = lambda contestant: {},
    ) -> list[BenchRow]:
        """Returns a row for each contestant that was measured.

        Our own contestants are compared with all peers, and each contestant with its bounds (name -> series in the
        same unit). `{}` in the name stands for the contestant; `figure` picks the value out of what a turn measured.
        """
        others = {peer.name: self.series(peer, figure) for peer in peers}
        table = []
        for entry in (*ours, *peers):
            beside = {**(others if entry in ours else {}), **bounds(entry)}
            table += rows(name.format(entry.name), unit, self.series(entry, figure), beside)
        return table


def rows(name: str, unit: Unit, values: Series, others: Mapping[str, Series] | None = None) -> list[BenchRow]:
    """Returns a row with its ratios to the others that were measured; no row where nothing was measured."""
    ratios = {other: ratio(values, series, unit) for other, series in (others or {}).items() if values and series}
    return [BenchRow(name, median(values), unit, ratios)] if values else []


def ratio(values: Series, others: Series, unit: Unit) -> float:
    """Returns how many times as good the values are as the others: the median of the ratios within each round."""
    pairs = zip(values, others, strict=True)
    return median(other / value if unit in ("ms", "s") else value / other for value, other in pairs)


def laps(call: Callable[[], object], seconds: float, fewest: int = 2) -> list[float]:
    """Returns the seconds of each of several calls, at least `fewest`, until all but the first took `seconds`."""
    times: list[float] = []
    while len(times) < fewest or sum(times[1:]) < seconds:
        started = clock()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(clock() - started)
    return times


def typical(call: Callable[[], object], seconds: float) -> float:
    """Returns the median seconds of a call, after one to warm up."""
    return median(laps(call, seconds)[1:])


def launch(contestant: Contestant[Measured], size: Size) -> Measured:
    """Plays one turn of a contestant in a new process.

    Raises:
        Failed: The process ended with an error, or did not end in time.
    """
    # Without what `keep_memory` has set for this process and its children: a contestant decides for itself.
    plain = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    ended = _run(command(contestant, size), plain)
    if ended.returncode < 0:
        raise Failed(f"ended by signal {-ended.returncode}; perhaps there is too little memory")
    if ended.returncode:
        raise Failed((ended.stderr.decode(errors="replace").strip() or "no reason given").splitlines()[-1])
    return answer(contestant, ended.stdout)


def command(contestant: Contestant[Any], size: Size) -> list[str]:
    """Returns the command line of a process that plays one turn and writes what it measured, as JSON, to its output."""
    measure = partial(contestant.measure)  # of a function as of a partial: partials of partials are one
    function = (measure.func.__module__, measure.func.__name__, measure.args, measure.keywords)
    turn = (*function, contestant.name, contestant.keeps_memory, contestant.threads, size)
    return [sys.executable, "-c", "from alexnet.benches.contest import play; play()", to_json(turn, None)]


def play() -> None:
    """Plays the turn on the command line of this process; what libraries print goes to the error stream."""
    with os.fdopen(os.dup(1), "w") as output:
        os.dup2(2, 1)
        contestant, size = read_turn(sys.argv[1])
        if contestant.keeps_memory:
            machine.keep_memory()
        else:
            size = replace(size, warm_up=0)
        if contestant.threads:
            torch.set_num_threads(contestant.threads)
        output.write(to_json(contestant.measure(size)))


def read_turn(words: str) -> tuple[Contestant[Any], Size]:
    """Returns the contestant and the size that the last word of a `command` stands for."""
    module, function, arguments, named, name, keeps_memory, threads, size = json.loads(words)
    measure = partial(getattr(import_module(module), function), *arguments, **named)
    return Contestant(name, measure, keeps_memory, threads), msgspec.convert(size, Size)


def answer(contestant: Contestant[Measured], output: bytes) -> Measured:
    """Returns what the process of a contestant measured, in the type that its function is declared to return."""
    kind = get_type_hints(partial(contestant.measure).func).get("return", object)
    measured: Measured = msgspec.convert(json.loads(output), kind)
    return measured


def _run(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Runs a process, and ends with it whatever it has started, which would slow down those that follow.

    Raises:
        Failed: The process does not end in time.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"not done after {TIMEOUT_S} s") from error
        finally:
            process.kill()
            if os.name == "posix":
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(words, process.returncode, out, err)
