"""Several processes that work as one: how they meet, exchange, agree and fail; all that touches `torch.distributed`.

The processes stand in a grid of `data` x `model`: along `data` they have other pictures, along `model` other parts of
the network. A process alone is a team of one, for which every exchange gives back what it was given.
"""

import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from alexnet.errors import AlexNetError, SaidElsewhere, TeamError, UsageError

T = TypeVar("T")

GRACE_S = 3.0
"""How long processes that lost one wait for each other, to find out which it was."""

PR_SET_PDEATHSIG = 1


@dataclass(eq=False)
class Group:
    """Processes along one side of the grid; this one is number `index` of `count`.

    Attributes:
        sent: Bytes that this process has sent, by rings: each tensor of n bytes that is gathered or scattered travels
            (count - 1) / count * n, one that is summed twice that.
    """

    index: int = 0
    count: int = 1
    handle: Any = None
    sent: float = 0

    def part(self, number: int) -> slice:
        """Gives which of `number` things, a multiple of `count`, are this process's."""
        each = number // self.count
        return slice(self.index * each, (self.index + 1) * each)

    def gather(self, mine: Tensor, dim: int = 0) -> Tensor:
        """Gives everyone's tensors, of one shape, side by side."""
        if self.count == 1:
            return mine
        mine = mine.contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.count)]
        with _exchange():
            dist.all_gather(parts, mine, self.handle)
        self.sent += (self.count - 1) * mine.nbytes
        return torch.cat(parts, dim)

    def add_up(self, whole: Tensor, dim: int = 0) -> Tensor:
        """Gives this process's part of the sum of everyone's tensors."""
        if self.count == 1:
            return whole
        parts = [part.contiguous() for part in whole.chunk(self.count, dim)]
        mine = torch.empty_like(parts[0])
        with _exchange():
            dist.reduce_scatter(mine, parts, group=self.handle)
        self.sent += (self.count - 1) * mine.nbytes
        return mine

    def sum(self, tensor: Tensor) -> Tensor:
        """Gives the sum of everyone's tensors, computed in place."""
        self.start_sum(tensor)()
        return tensor

    def start_sum(self, tensor: Tensor) -> Callable[[], None]:
        """Starts to sum everyone's tensors in place; gives a function that waits for the end."""
        if self.count == 1:
            return lambda: None
        with _exchange():
            work = dist.all_reduce(tensor, group=self.handle, async_op=True)
        self.sent += 2 * (self.count - 1) / self.count * tensor.nbytes

        def wait() -> None:
            with _exchange():
                work.wait()

        return wait

    def collect(self, mine: Tensor, dim: int) -> Tensor:
        """Gives everyone's tensors side by side to number 0; to the others their own."""
        if self.count == 1:
            return mine
        mine = mine.contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.count)] if self.index == 0 else None
        with _exchange():
            dist.gather(mine, parts, group=self.handle, group_dst=0)
        return torch.cat(parts, dim) if parts else mine


@dataclass(eq=False)
class Team:
    """The processes and this one's place among them.

    Attributes:
        mode: `data`, `towers` or `hybrid`; see `training.parallel`.
        everyone: All processes.
        data: Those that hold the same part of the network and see the scores of other pictures.
        model: Those that together hold the network once.
        is_restarted: Whether torchrun has started the processes anew after a failure.
    """

    mode: str = "data"
    everyone: Group = field(default_factory=Group)
    data: Group = field(default_factory=Group)
    model: Group = field(default_factory=Group)
    is_restarted: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.everyone.index == 0

    @property
    def images(self) -> Group:
        """Those that feed other pictures to the network."""
        return self.data if self.mode == "towers" else self.everyone

    @property
    def sent(self) -> float:
        """Bytes that this process has sent."""
        return sum(group.sent for group in {self.everyone, self.data, self.model})

    def share(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Gives the pictures that this process feeds to the network, as many as every other: the last may come twice.

        `whole` leaves out again what came twice.
        """
        count = self.images.count
        padded = np.concatenate([indices, np.repeat(indices[-1:], -len(indices) % count)])
        return padded[self.images.part(len(padded))]

    def whole(self, mine: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """Gives the rows of all `count` pictures that were shared out, in their order."""
        return np.asarray(self.data.gather(torch.from_numpy(mine)).numpy()[:count])

    def in_order(self, mine: Iterable[T]) -> Iterable[T]:
        """Gives the first process the results of all, which were dealt out in turn; the others nothing."""
        count = self.everyone.count
        if count == 1:
            return mine
        hands: list[Any] | None = [None] * count if self.is_first else None
        with _exchange():
            dist.gather_object(list(mine), hands)
        dealt = chain.from_iterable(zip_longest(*(hands or []), fillvalue=None))
        return [result for result in dealt if result is not None]

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        """Says of each wish whether any process has it."""
        if self.everyone.count == 1:
            return wishes
        votes = torch.tensor(wishes, dtype=torch.int32)
        return tuple(bool(vote) for vote in self.everyone.sum(votes))

    def tell(self, value: T) -> T:
        """Gives everyone the first process's value."""
        box = [value]
        if self.everyone.count > 1:
            with _exchange():
                dist.broadcast_object_list(box, 0)
        return box[0]

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Overwrites everyone's tensors with the first process's."""
        for tensor in tensors if self.everyone.count > 1 else ():
            with _exchange():
                dist.broadcast(tensor, 0)

    def compare(self, facts: dict[str, Any]) -> None:
        """Makes sure that all processes do the same: these facts, this code, this torch.

        Raises:
            UsageError: One differs from the first.
        """
        if self.everyone.count == 1:
            return
        facts = {"code": _code(), "torch": torch.__version__, **facts}
        all_facts: list[Any] = [None] * self.everyone.count
        with _exchange():
            dist.all_gather_object(all_facts, (platform.node(), facts))
        (first_host, wanted), *others = all_facts
        for rank, (host, found) in enumerate(others, start=1):
            for name in wanted:
                if wanted[name] != found.get(name):
                    raise UsageError(
                        f"process {rank} on {host} has {name} {found.get(name)}, process 0 on {first_host} "
                        f"{wanted[name]}: start all with the same command, data and version"
                    )


ALONE = Team()


@contextmanager
def assemble(mode: str | None, timeout_s: float) -> Iterator[Team]:
    """Brings together the processes that torchrun started; without torchrun, a team of one.

    Where several fail, one says why and the others raise `SaidElsewhere`.

    Args:
        mode: How they share the work; `data` by default.
        timeout_s: How long to wait for a process, to come or to answer, before giving it up.

    Raises:
        UsageError: The mode cannot serve so many processes, or there is no torchrun.
        TeamError: A process did not come, ended, or hangs.
    """
    if "WORLD_SIZE" not in os.environ:
        if mode:
            command = f"torchrun --nproc-per-node 2 -m alexnet train ... --parallel {mode}"
            raise UsageError(f"--parallel {mode} takes several processes; start them with: {command}")
        yield ALONE
        return
    _end_with_parent()
    roll = _meet(timeout_s)
    try:
        yield _form(mode or "data", roll)
    except AlexNetError as error:
        said = roll.last_words(error)
        if said is error:
            raise
        raise said from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
        roll.leave()


def _form(mode: str, roll: "_Roll") -> Team:
    across = _processes_a_network(mode, roll.size)
    if torch.cuda.is_available():
        _take_gpu()
    is_restarted = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    if roll.size == 1:
        return Team(mode, is_restarted=is_restarted)
    from torch.distributed.device_mesh import init_device_mesh  # takes a while, and one process need not

    device = "cuda" if torch.cuda.is_available() else "cpu"
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    with _exchange():
        wait = timedelta(seconds=roll.timeout_s)
        dist.init_process_group(backend, store=roll.store, rank=roll.rank, world_size=roll.size, timeout=wait)
        mesh = init_device_mesh(device, (roll.size // across, across), mesh_dim_names=("data", "model"))
    hosts: list[Any] = [None] * roll.size
    dist.all_gather_object(hosts, platform.node())
    roll.hosts = hosts
    data, model = (Group(mesh.get_local_rank(n), mesh[n].size(), mesh[n].get_group()) for n in ("data", "model"))
    return Team(mode, Group(roll.rank, roll.size), data, model, is_restarted)


def _processes_a_network(mode: str, size: int) -> int:
    """Gives over how many processes one copy of the network stretches: in `hybrid`, those of one machine."""
    if mode == "towers" and size != 2:
        raise UsageError(f"--parallel towers takes 2 processes, one a tower, got {size}; take data or hybrid for more")
    here = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    across = {"data": 1, "towers": 2, "hybrid": here if here > 1 else size}[mode]
    if size % across:
        raise UsageError(f"--parallel hybrid takes equally many processes a machine, got {here} here and {size} in all")
    return across


def _take_gpu() -> None:
    number, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= count:
        raise UsageError(f"{platform.node()} has {count} GPUs: start at most {count} processes on it")
    torch.cuda.set_device(number)


def _end_with_parent() -> None:
    """Lets a killed torchrun take its processes along, so that two teams never write one run."""
    if sys.platform == "linux" and "TORCHELASTIC_RUN_ID" in os.environ:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _code() -> str:
    """Gives a hash of the package's sources."""
    package = Path(__file__).parent
    content = b"\0".join(path.read_bytes() for path in sorted(package.rglob("*.py")))
    return blake2b(content, digest_size=8).hexdigest()


@contextmanager
def _exchange() -> Iterator[None]:
    """Marks what fails when another process does."""
    try:
        yield
    except RuntimeError as error:
        raise TeamError(f"the processes lost each other: {str(error).splitlines()[0]}") from error


def _meet(timeout_s: float) -> "_Roll":
    place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ["WORLD_SIZE"])
    if size == 1:
        return _Roll(None, 0, 1, timeout_s)
    try:
        store, rank, size = next(rendezvous("env://", timeout=timedelta(seconds=timeout_s)))
    except (RuntimeError, ValueError) as error:
        if rank > 1:
            raise SaidElsewhere from error
        if "EADDRINUSE" in str(error):
            told = f"{place} is in use: give another --master-port"
        elif "joined" in str(error):
            told = f"not all of {size} processes came to {place} within {timeout_s:g} s (--timeout)"
        elif rank:
            told = f"process 0 cannot be reached at {place} within {timeout_s:g} s (--timeout)"
        else:
            told = f"the processes cannot meet at {place}: {error}"
        raise TeamError(told) from error
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    apart = dist.PrefixStore(f"alexnet/{attempt}", store)  # type: ignore[attr-defined]
    return _Roll(apart, rank, size, timeout_s)


class _Roll:
    """Who is there, kept where all can read it even when nothing else works any more.

    Args:
        store: Keys and values that all processes share; None alone.
        rank: This process's number.
        size: How many there are.
        timeout_s: How long an exchange waits.
    """

    def __init__(self, store: Any, rank: int, size: int, timeout_s: float) -> None:
        self.store, self.rank, self.size, self.timeout_s = store, rank, size, timeout_s
        self.hosts = ["its machine"] * size
        self.has_failed = False

    def last_words(self, error: AlexNetError) -> AlexNetError:
        """Gives the error to end with: in one process what happened, in the others one that says nothing."""
        if self.size == 1:
            return error
        self.has_failed = True
        try:
            self.store.set(f"left {self.rank}", "")
            if isinstance(error, TeamError) and (missing := self._missing()):
                names = " and ".join(f"process {rank} on {self.hosts[rank]}" for rank in missing)
                error = TeamError(f"{names} ended, or did not answer for {self.timeout_s:g} s (--timeout)")
            return error if self.store.add("spoken", 1) == 1 else SaidElsewhere()
        except RuntimeError:  # the process that kept the store is gone
            return TeamError(f"process 0 on {self.hosts[0]} ended") if self.rank == 1 else SaidElsewhere()

    def leave(self) -> None:
        """Keeps the store until the others have read in it why this process fails."""
        if self.has_failed and self.rank == 0:
            self._missing()

    def _missing(self) -> list[int]:
        """Gives those who do not notice in time that something is wrong."""
        end = time.monotonic() + GRACE_S
        while True:
            missing = [rank for rank in range(self.size) if not self.store.check([f"left {rank}"])]
            if not missing or time.monotonic() > end:
                return missing
            time.sleep(0.05)
