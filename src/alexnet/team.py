"""Several processes that work as one: what they exchange, and how they agree. `meeting` brings them together.

The processes stand in a grid of `data` x `model`: along `data` they have other pictures, along `model` other parts of
the network. A process alone is a team of one, for which every exchange returns what it was given.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    """Turns the errors of `torch.distributed` into a `TeamError`; serves as a decorator too."""
    try:
        yield
    except RuntimeError as error:
        raise TeamError(f"the processes lost each other: {str(error).splitlines()[0]}") from error


@dataclass(eq=False)
class Group:
    """Processes along one side of the grid, of which this one is number `index` of `count`.

    `sent` counts the bytes that this process has sent around rings: a tensor of n bytes that is gathered or scattered
    travels (count - 1) / count * n, one that is summed twice that.
    """

    index: int = 0
    count: int = 1
    handle: Any = None  # their group in torch, which has no public type; None stands for all processes
    sent: float = 0

    def part(self, number: int) -> slice:
        """Returns which of `number` things, a multiple of `count`, are this process's."""
        each = number // self.count
        return slice(self.index * each, (self.index + 1) * each)

    @exchange()
    def gather(self, mine: Tensor, dim: int = 0) -> Tensor:
        """Returns everyone's tensors, of one shape, side by side."""
        if self.count == 1:
            return mine
        mine = mine.contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.count)]
        dist.all_gather(parts, mine, self.handle)
        self.sent += (self.count - 1) * mine.nbytes
        return torch.cat(parts, dim)

    @exchange()
    def collect(self, mine: Tensor, dim: int) -> Tensor:
        """Returns everyone's tensors side by side in number 0, and `mine` in the others."""
        if self.count == 1:
            return mine
        mine = mine.contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.count)] if self.index == 0 else None
        dist.gather(mine, parts, group=self.handle, group_dst=0)
        return torch.cat(parts, dim) if parts else mine

    @exchange()
    def add_up(self, whole: Tensor, dim: int = 0) -> Tensor:
        """Returns this process's part of the sum of everyone's tensors."""
        if self.count == 1:
            return whole
        parts = [part.contiguous() for part in whole.chunk(self.count, dim)]
        mine = torch.empty_like(parts[0])
        dist.reduce_scatter(mine, parts, group=self.handle)
        self.sent += (self.count - 1) * mine.nbytes
        return mine

    def sum(self, tensor: Tensor) -> Tensor:
        """Returns the sum of everyone's tensors, computed in place."""
        self.start_sum(tensor)()
        return tensor

    @exchange()
    def start_sum(self, tensor: Tensor) -> Callable[[], object]:
        """Starts to sum everyone's tensors in place, and returns a function that waits for the end."""
        if self.count == 1:
            return lambda: None
        work = dist.all_reduce(tensor, group=self.handle, async_op=True)
        self.sent += 2 * (self.count - 1) / self.count * tensor.nbytes
        return exchange()(lambda: work.wait())


@dataclass(eq=False)
class Team:
    """The processes and this one's place among them."""

    mode: str = "data"  # `data`, `towers` or `hybrid`; see `training.parallel`
    everyone: Group = field(default_factory=Group)
    data: Group = field(default_factory=Group)  # those with the same part of the network, and scores of other pictures
    model: Group = field(default_factory=Group)  # those that together hold the network once
    # Whether a command that finds its own run begun continues it, since torchrun may have started it again.
    goes_on: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.everyone.index == 0

    @property
    def images(self) -> Group:
        """The processes that feed other pictures to the network than this one."""
        return self.data if self.mode == "towers" else self.everyone

    @property
    def sent(self) -> float:
        """Bytes that this process has sent."""
        return sum(group.sent for group in {self.everyone, self.data, self.model})

    def share(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the pictures that this process feeds to the network.

        All processes get equally many, so the last picture may come several times; `whole` drops its repetitions.
        """
        padded = np.concatenate([indices, np.repeat(indices[-1:], -len(indices) % self.images.count)])
        return padded[self.images.part(len(padded))]

    def whole(self, mine: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """Returns the rows of all `count` pictures that `share` dealt out, in their order."""
        return np.asarray(self.data.gather(torch.from_numpy(mine)).numpy()[:count])

    @exchange()
    def in_order(self, mine: Iterable[T]) -> Iterable[T]:
        """Returns everyone's results, dealt out in turn, in the first process; nothing in the others."""
        if self.everyone.count == 1:
            return mine
        hands: list[Any] | None = [None] * self.everyone.count if self.is_first else None
        dist.gather_object(list(mine), hands)
        return [result for result in chain.from_iterable(zip_longest(*(hands or []))) if result is not None]

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        """Returns for each wish whether any process has it."""
        if self.everyone.count == 1:
            return wishes
        return tuple(map(bool, self.everyone.sum(torch.tensor(wishes, dtype=torch.int32))))

    @exchange()
    def tell(self, value: T) -> T:
        """Returns the first process's value in every process."""
        box = [value]
        if self.everyone.count > 1:
            dist.broadcast_object_list(box, 0)
        return box[0]

    @exchange()
    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Overwrites everyone's tensors with the first process's."""
        for tensor in tensors if self.everyone.count > 1 else ():
            dist.broadcast(tensor, 0)

    def compare(self, facts: Mapping[str, object]) -> None:
        """Makes sure that all processes do the same: these facts, this code, this torch.

        Raises:
            UsageError: A process differs from the first.
        """
        if self.everyone.count == 1:
            return
        answers: list[Any] = [None] * self.everyone.count
        with exchange():
            mine = {"code": _code(), "torch": torch.__version__, **facts}
            dist.all_gather_object(answers, (platform.node(), mine))
        first_host, wanted = answers[0]
        for rank, (host, theirs) in enumerate(answers):
            for name, value in wanted.items():
                if theirs.get(name) != value:
                    raise UsageError(
                        f"process {rank} on {host} has {name} {theirs.get(name)}, process 0 on {first_host} {value}: "
                        "start all with the same command, data and version"
                    )


ALONE = Team()


def _code() -> str:
    """Returns a hash of the package's sources."""
    content = b"\0".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py")))
    return blake2b(content, digest_size=8).hexdigest()
