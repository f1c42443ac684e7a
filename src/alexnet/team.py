"""Several processes that work as one: what they exchange, and how they agree; `meeting` brings them together.

The processes stand in a grid of `data` x `model`: along `data` they have other pictures, along `model` other parts of
the network. A process alone is a team of one, for which every exchange gives back what it was given.
"""

import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch import distributed as dist

from alexnet.errors import TeamError, UsageError

T = TypeVar("T")


@contextmanager
def exchange() -> Iterator[None]:
    """Marks what fails when another process does."""
    try:
        yield
    except RuntimeError as error:
        raise TeamError(f"the processes lost each other: {str(error).splitlines()[0]}") from error


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
        with exchange():
            dist.all_gather(parts, mine, self.handle)
        self.sent += (self.count - 1) * mine.nbytes
        return torch.cat(parts, dim)

    def add_up(self, whole: Tensor, dim: int = 0) -> Tensor:
        """Gives this process's part of the sum of everyone's tensors."""
        if self.count == 1:
            return whole
        parts = [part.contiguous() for part in whole.chunk(self.count, dim)]
        mine = torch.empty_like(parts[0])
        with exchange():
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
        with exchange():
            work = dist.all_reduce(tensor, group=self.handle, async_op=True)
        self.sent += 2 * (self.count - 1) / self.count * tensor.nbytes

        def wait() -> None:
            with exchange():
                work.wait()

        return wait

    def collect(self, mine: Tensor, dim: int) -> Tensor:
        """Gives everyone's tensors side by side to number 0; to the others their own."""
        if self.count == 1:
            return mine
        mine = mine.contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.count)] if self.index == 0 else None
        with exchange():
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
        goes_on: Whether a command that finds its own run begun continues it, since torchrun may have started it again.
    """

    mode: str = "data"
    everyone: Group = field(default_factory=Group)
    data: Group = field(default_factory=Group)
    model: Group = field(default_factory=Group)
    goes_on: bool = False

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
        with exchange():
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
            with exchange():
                dist.broadcast_object_list(box, 0)
        return box[0]

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Overwrites everyone's tensors with the first process's."""
        for tensor in tensors if self.everyone.count > 1 else ():
            with exchange():
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
        with exchange():
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


def _code() -> str:
    """Gives a hash of the package's sources."""
    package = Path(__file__).parent
    content = b"\0".join(path.read_bytes() for path in sorted(package.rglob("*.py")))
    return blake2b(content, digest_size=8).hexdigest()
