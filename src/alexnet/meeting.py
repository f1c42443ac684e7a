"""How the processes of a team meet, and how they fail: one of them says what happened, and the others keep silent."""

import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from uuid import uuid4

import numpy as np
import torch

# Every optimiser imports this module, whose functions take the group of all processes as a default argument. Imported
# after the processes have met, it would keep the group's threads alive beyond its end, to abort a process that exits.
import torch.distributed.nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from alexnet.errors import AlexNetError, SaidElsewhere, TeamError, UsageError
from alexnet.team import ALONE, Group, Team, exchange

GRACE_S = 3.0
"""How long processes that lost one wait for each other, to find out which it was."""

ANSWER_S = 7.0
"""How long the store may take to answer beyond that."""

PR_SET_PDEATHSIG = 1


@contextmanager
def assemble(mode: str | None, timeout_s: float) -> Iterator[Team]:
    """Brings together the processes that torchrun started; without torchrun, a team of one.

    Where several fail, one says why and the others raise `SaidElsewhere`.

    Args:
        mode: How they divide the work; None takes `data`.
        timeout_s: How long to wait for a process, to come or to answer, before giving it up.

    Raises:
        UsageError: The mode cannot serve so many processes, torchrun did not start them, or it did not number them.
        TeamError: A process did not come, ended, or hangs.
    """
    if "WORLD_SIZE" not in os.environ:
        if mode:
            command = f"torchrun --nproc-per-node 2 -m alexnet train ... --parallel {mode}"
            raise UsageError(f"`parallel={mode}` takes several processes; start them with: {command}")
        yield ALONE
        return
    if sys.platform == "linux" and "TORCHELASTIC_RUN_ID" in os.environ:
        # A killed torchrun takes its processes along, so that two teams never write one run.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    roll, team = _meet(timeout_s), ALONE
    try:
        team = _form(mode or "data", roll)
        yield team
    except AlexNetError as error:
        last = roll.last_words(error)
        if last is error:
            raise
        raise last from error
    finally:
        for group in (team.everyone, team.data, team.model):
            group.handle = None  # whoever still has the team keeps no thread of it running
        if dist.is_initialized():
            dist.destroy_process_group()
        if roll.has_failed and roll.rank == 0:
            roll.missing()  # keeps the store until the others have read in it why this process fails


def _form(mode: str, roll: "_Roll") -> Team:
    """Lets the processes exchange tensors, and places them in the grid."""
    across = _processes_per_network(mode, roll.size)
    has_gpus = torch.cuda.is_available()
    if has_gpus:
        _take_gpu()
    if roll.size == 1:
        return Team(mode, goes_on=True)
    wait = timedelta(seconds=roll.timeout_s)
    grid = np.arange(roll.size).reshape(-1, across)
    with exchange():
        backend = "cpu:gloo,cuda:nccl" if has_gpus else "gloo"
        dist.init_process_group(backend, store=roll.store, rank=roll.rank, world_size=roll.size, timeout=wait)
        data, model = (_side(lines.tolist(), roll, wait) for lines in (grid.T, grid))
        dist.all_gather_object(roll.hosts, platform.node())
    return Team(mode, Group(roll.rank, roll.size), data, model, goes_on=True)


def _side(lines: list[list[int]], roll: "_Roll", wait: timedelta) -> Group:
    """Returns this process's line of the grid; each process has to take part in making every line."""
    mine = Group()
    for ranks in lines:
        handle = dist.new_group(ranks, timeout=wait) if 1 < len(ranks) < roll.size else None  # None: all processes
        if roll.rank in ranks:
            mine = Group(ranks.index(roll.rank), len(ranks), handle)
    return mine


def _processes_per_network(mode: str, size: int) -> int:
    """Returns over how many processes one copy of the network stretches: in `hybrid`, those of one machine."""
    if mode == "towers" and size != 2:
        raise UsageError(f"`parallel=towers` takes 2 processes, one a tower, got {size}; take data or hybrid for more")
    here = _number("LOCAL_WORLD_SIZE", size, 1)
    across = {"data": 1, "towers": 2, "hybrid": here if here > 1 else size}[mode]
    if size % across:
        raise UsageError(f"`parallel=hybrid` takes equally many processes a machine, got {here} here and {size} in all")
    return across


def _take_gpu() -> None:
    number, count = _number("LOCAL_RANK", 0), torch.cuda.device_count()
    if number >= count:
        raise UsageError(f"{platform.node()} has {count} GPUs: start at most {count} processes on it")
    torch.cuda.set_device(number)


def _number(name: str, default: int, least: int = 0) -> int:
    """Returns a number that torchrun sets in the environment.

    Raises:
        UsageError: The variable holds no integer, or one that is too small.
    """
    text = os.environ.get(name, str(default))
    with suppress(ValueError):
        if (number := int(text)) >= least:
            return number
    raise UsageError(f"{name} is {text[:80]!r} in the environment: unset it, or start with torchrun, which sets it")


def _meet(timeout_s: float) -> "_Roll":
    """Finds the other processes; their store is made by process 0."""
    place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
    rank, size = _number("RANK", 0), _number("WORLD_SIZE", 1, 1)
    if size == 1:
        return _Roll(None, 0, 1, timeout_s)
    try:
        store, rank, size = next(rendezvous("env://", timeout=timedelta(seconds=timeout_s)))
        word = _agree_on_word(store, rank, size, timeout_s)
    except (RuntimeError, ValueError) as error:
        if rank > 1:
            raise SaidElsewhere from error
        if "EADDRINUSE" in str(error):
            reason = f"{place} is in use: give another --master-port"
        elif "joined" in str(error):
            reason = f"not all of {size} processes came to {place} within {timeout_s:g} s (`timeout`)"
        elif rank:
            reason = f"process 0 cannot be reached at {place} within {timeout_s:g} s (`timeout`)"
        else:
            reason = f"the processes cannot meet at {place}: {error}"
        raise TeamError(reason) from error
    return _Roll(dist.PrefixStore(f"alexnet/{word}", store), rank, size, timeout_s)  # type: ignore[attr-defined]


def _agree_on_word(store: Any, rank: int, size: int, timeout_s: float) -> str:
    """Returns a word that the processes of this start have in common, and those of no other.

    torchrun's store outlives the processes, so it also holds what earlier ones said; and the machines need not agree on
    how often they have started theirs. Each process therefore says a word of its own, which the first process answers
    with its word; the answer that is heard counts. A word that was answered before is of an earlier start.
    """
    mine = uuid4().hex
    if rank:
        store.set(f"hello {rank}", mine)
        word: str = store.get(f"answer {mine}").decode()
        store.set(f"heard {mine}", "")
        return word
    answered: set[str] = set()
    missing = set(range(1, size))
    end = time.monotonic() + timeout_s
    while missing:
        if time.monotonic() > end:
            raise RuntimeError(f"{size - len(missing)}/{size} processes joined")
        for other in [other for other in missing if store.check([f"hello {other}"])]:
            theirs = store.get(f"hello {other}").decode()
            if theirs not in answered and not store.check([f"answer {theirs}"]):
                store.set(f"answer {theirs}", mine)
                answered.add(theirs)
            if theirs in answered and store.check([f"heard {theirs}"]):
                missing.remove(other)
        time.sleep(0.02)
    return mine


class _Roll:
    """The processes of a team, kept in a store that all can read even when nothing else works any more.

    `store` is None where a process is alone; `timeout_s` is how long an exchange waits.
    """

    def __init__(self, store: Any, rank: int, size: int, timeout_s: float) -> None:
        self.store, self.rank, self.size, self.timeout_s = store, rank, size, timeout_s
        self.hosts = ["its machine"] * size
        self.has_failed = False

    def last_words(self, error: AlexNetError) -> AlexNetError:
        """Returns the error to end with: in one process what happened, in the others one that says nothing."""
        if self.size == 1:
            return error
        self.has_failed = True
        words: SimpleQueue[AlexNetError] = SimpleQueue()
        Thread(target=lambda: words.put(self._speak(error)), daemon=True).start()
        try:
            return words.get(timeout=GRACE_S + ANSWER_S)
        except Empty:  # a request over a broken link waits for ever
            return self._cut_off(error)

    def missing(self) -> list[int]:
        """Returns the processes that do not notice in time that something is wrong."""
        end = time.monotonic() + GRACE_S
        while True:
            missing = [rank for rank in range(self.size) if not self.store.check([f"left {rank}"])]
            if not missing or time.monotonic() > end:
                return missing
            time.sleep(0.05)

    def _speak(self, error: AlexNetError) -> AlexNetError:
        try:
            self.store.set(f"left {self.rank}", "")
            if isinstance(error, TeamError) and (missing := self.missing()):
                names = " and ".join(f"process {rank} on {self.hosts[rank]}" for rank in missing)
                error = TeamError(f"{names} ended, or did not answer for {self.timeout_s:g} s (`timeout`)")
            return error if self.store.add("spoken", 1) == 1 else SaidElsewhere()
        except RuntimeError:
            return self._cut_off(error)

    def _cut_off(self, error: AlexNetError) -> AlexNetError:
        """Returns the error where the store is gone: one process a machine speaks, since none can ask the others."""
        if self.rank == 0 or not isinstance(error, TeamError):
            return error
        if self.rank == 1 or os.environ.get("LOCAL_RANK") == "0":
            return TeamError(f"process 0 on {self.hosts[0]} ended, or cannot be reached any more")
        return SaidElsewhere()
