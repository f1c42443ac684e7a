"""Contestants, each in a process of its own, taking turns; and the rows that come of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from alexnet.benches.size import Size

Notice = Callable[[str], None]
Series = list[float]
"""One figure of one contestant, a value a round; empty where it was left out."""

TIMES = ("ms", "s")
TIMEOUT_S = 900


@dataclass(frozen=True)
class Contestant:
    """One implementation of what a bench measures.

    Attributes:
        name: What its rows and ratios are called.
        function: `module.function` of `alexnet`; takes the sizes and the arguments, gives name -> figure.
        arguments: For the function, beside the sizes.
        keeps_memory: Run with `machine.keep_memory`, as our own commands do.
        threads: Of PyTorch; its own choice by default.
    """

    name: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    keeps_memory: bool = False
    threads: int | None = None


class Failed(Exception):
    """A contestant could not be measured; the message says why."""


def launch(contestant: Contestant, size: Size) -> dict[str, float]:
    """Runs a contestant once, in a new process.

    Raises:
        Failed: It ended with an error, or not at all.
    """
    turn = json.dumps({**asdict(contestant), "size": asdict(size)})
    command = [sys.executable, "-m", "alexnet.benches.contestant", turn]
    plain = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = _run(command, plain)
    if done.returncode < 0:
        raise Failed(f"ended by signal {-done.returncode}; perhaps there is too little memory")
    if done.returncode:
        raise Failed((done.stderr.strip() or "no reason given").splitlines()[-1])
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a process; when it ends, so does what it has started, which would slow down those that follow.

    Raises:
        Failed: It does not end.
    """
    how: Any = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **how) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"not done after {TIMEOUT_S} s") from error
        finally:
            process.kill()
            if os.name == "posix":
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


class Contest:
    """Contestants that have taken their turns; `contest(name, figure)` gives what was measured."""

    def __init__(self, contestants: Sequence[Contestant], size: Size, notice: Notice) -> None:
        self._turns: dict[str, list[dict[str, float]]] = {contestant.name: [] for contestant in contestants}
        started = time.monotonic()
        for number in range(size.rounds):
            if number and time.monotonic() - started > size.patience:
                notice(f"no more rounds: each takes {(time.monotonic() - started) / number:.0f} s")
                break
            for contestant in contestants:
                if contestant.name in self._turns:
                    notice(f"round {number + 1} of {size.rounds}: {contestant.name}")
                    self._play(contestant, size, notice)

    def __call__(self, name: str, figure: str) -> Series:
        """Gives one figure of one contestant, a value a round."""
        return [turn[figure] for turn in self._turns.get(name, []) if figure in turn]

    def _play(self, contestant: Contestant, size: Size, notice: Notice) -> None:
        try:
            self._turns[contestant.name].append(launch(contestant, size))
        except Failed as reason:
            del self._turns[contestant.name]
            notice(f"left out: {contestant.name}: {reason}")


@dataclass
class Result:
    """What a bench found: the machine's limits, rows, and layers where they were asked for."""

    limits: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: "Result") -> None:
        """Takes the findings of another bench over."""
        self.limits.update(other.limits)
        self.rows += other.rows
        self.layers += other.layers

    def row(self, name: str, unit: str, values: Series, others: dict[str, Series] | None = None) -> None:
        """Adds a row, unless nothing was measured.

        Args:
            name: What was measured.
            unit: Of the values; of those in `TIMES` less is better.
            values: A round each.
            others: In the same unit; each gives a ratio, above 1 where `values` is better.
        """
        if not values:
            return
        ratios = {other: ratio(values, series, unit) for other, series in (others or {}).items() if series}
        self.rows.append({"name": name, "value": median(values), "unit": unit, "ratio_to": ratios})

    def limit(self, name: str, values: Series) -> None:
        """Notes a limit of the machine, unless it was not measured."""
        if values:
            self.limits[name] = median(values)


def ratio(values: Series, others: Series, unit: str) -> float:
    """Gives how many times as good the values are as the others: the median of the ratios within each round."""
    pairs = zip(values, others, strict=True)
    return median(other / value if unit in TIMES else value / other for value, other in pairs)
