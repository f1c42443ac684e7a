"""The batches of a training, as a pure function of the settings and the step."""

from collections.abc import Generator, Iterable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.config import Train
from alexnet.data.augment import augment, draw
from alexnet.data.pictures import MEMORY_BUDGET, Pictures, prefetch
from alexnet.data.store import Store
from alexnet.seeds import generator
from alexnet.team import ALONE, Team

Batch = tuple[Tensor, Tensor]
"""Images (N, 3, S, S) and labels (M,), both of the rows that one process needs."""


@lru_cache(2)
def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Returns the order in which an epoch visits its pictures: (count,), each index once, read-only."""
    visits = generator(seed, "order", epoch).permutation(count)
    visits.flags.writeable = False
    return visits


def indices(seed: int, step: int, batch_size: int, count: int) -> NDArray[np.int64]:
    """Returns the pictures of one step, (batch_size,), of a split that has `count`. Steps count from 0.

    The epochs' orders stand end to end and are cut into batches, so that batches are always full, and every picture
    comes once an epoch.
    """
    first, last = step * batch_size, (step + 1) * batch_size
    epochs = range(first // count, (last - 1) // count + 1)
    return np.concatenate([order(seed, e, count)[max(0, first - e * count) : last - e * count] for e in epochs])


class Feed:
    """Chooses, reads and augments the training pictures of each step.

    Random choices are made for the whole batch, of which each process of a team takes its rows, so that any team trains
    the same network. Images have `input_size` pixels a side and are float32 or bfloat16; `memory_budget` and `threads`
    are those of `Pictures`.
    """

    def __init__(
        self,
        settings: Train,
        store: Store,
        input_size: int,
        dtype: torch.dtype,
        device: torch.device,
        memory_budget: int = MEMORY_BUDGET,
        team: Team = ALONE,
        threads: int | None = None,
    ) -> None:
        self.settings, self.store, self.team = settings, store, team
        self.input_size, self.dtype, self.device = input_size, dtype, device
        self.split = store.splits["train"]
        self.mean = torch.from_numpy(store.mean_image).to(device)
        self.pictures = Pictures(self.split, store.size, memory_budget, threads)

    def batch(self, step: int) -> Batch:
        """Returns the images and labels of one step, ready for the network."""
        count = self.settings.batch_size
        mine, labelled = self.team.images.part(count), self.team.data.part(count)
        chosen = indices(self.settings.seed, step, count, len(self.split))
        draws = draw(self.settings, self.store.covariance, step, self.store.size, self.input_size)
        images = augment(self.pictures.read(chosen[mine]), draws[mine], self.mean, self.input_size, self.dtype)
        return images, torch.from_numpy(self.split.labels[chosen[labelled]]).to(self.device)

    def batches(self, steps: Iterable[int]) -> Generator[Batch, None, None]:
        """Returns the batches of the steps, prepared by a thread that runs ahead; closing the generator stops it."""
        return prefetch(self.batch, steps)

    def close(self) -> None:
        """Stops the threads that read pictures."""
        self.pictures.close()
