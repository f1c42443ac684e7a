"""Heads on cached maps, one a fold: what they say of pictures that they were not fitted to.

They read what the first fully connected layer does, AlexNet's pool5: on clothing they find more of the labels that were
swapped there than in fc7, which knows the classes that the network was trained on. All heads are fitted together to the
principal components, block by block from the disk, so that memory does not grow with the pictures but by a number for
each and class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from tempfile import TemporaryFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from alexnet.auditing.cached_features import CachedFeatures
from alexnet.files import cache, plain_errors
from alexnet.observer import Observer
from alexnet.records import Member
from alexnet.seeds import generator

FOLDS = 5
BLOCK = 4096
UPDATES = 40
COMPONENTS = 512
"""Of the maps: reading them all takes twenty times as long, and heads on them err as often within half a point."""
SAMPLE = 8192
"""Pictures by which the components are chosen."""
DECAY = 0.03
"""Of maps whose mean square is 1: where heads find most of the labels that were swapped."""

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Heads:
    """Heads for the pictures of a store; arrays of pictures are in the order of `cached`."""

    cached: CachedFeatures
    folds: Integers  # (N,), 0 to FOLDS - 1; the pictures of a group of duplicates are in one fold
    observer: Observer

    @property
    def labels(self) -> Integers:
        """Positions in the classes of the store, (N,)."""
        return self.cached.labels

    def out_of_fold(self, left_out: Mask | None = None) -> Tensor:
        """Returns the scores, (N, C), of the heads that are fitted to the other folds without those `left_out`."""
        is_fitted = self.folds[:, None] != np.arange(FOLDS)
        if left_out is not None:
            is_fitted &= ~left_out[:, None]
        weights = self._fit(is_fitted)
        own = torch.from_numpy(self.folds)
        scores = (self._scores(weights, x)[torch.arange(len(x)), own[some]] for some, x in self._blocks())
        return torch.cat(list(scores))

    def fitted_to(self, rows: Mask) -> Tensor:
        """Returns the scores, (N, C), of one head that is fitted to some pictures."""
        weights = self._fit(rows[:, None])
        return torch.cat([self._scores(weights, x)[:, 0] for _, x in self._blocks()])

    @cached_property
    def _components(self) -> NDArray[np.float32]:
        """The components of the maps, whose mean square is 1, with a column of ones, (N, K + 1), on the disk."""
        count, sample = len(self.folds), np.arange(len(self.folds))
        if count > SAMPLE:
            sample = np.sort(generator(0, "sample").permutation(count)[:SAMPLE])
        some = torch.from_numpy(self.cached.maps[sample]).float()
        scale, middle = some.square().mean().sqrt().clamp_min(1e-6), some.mean(0)
        onto = principal((some - middle) / scale, COMPONENTS)
        with plain_errors(cache()), TemporaryFile(dir=cache()) as file:
            for start in range(0, count, BLOCK):
                block = torch.from_numpy(self.cached.maps[start : start + BLOCK].copy()).float()
                file.write(F.pad((block - middle) / scale @ onto, (0, 1), value=1.0).numpy().data)
            file.flush()
            return np.memmap(file, np.float32, "c", shape=(count, onto.shape[1] + 1))

    def _blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yields components with a column of ones: (B, K + 1)."""
        for start in range(0, len(self.folds), BLOCK):
            some = slice(start, start + BLOCK)
            yield some, torch.from_numpy(self._components[some])

    def _fit(self, is_fitted: Mask) -> Tensor:
        """Returns the weights, (H, C, D + 1), of a head for each column of a mask, (N, H).

        Each is a multinomial logistic regression with decay, by L-BFGS.
        """
        heads, units, classes = is_fitted.shape[1], self._components.shape[1], len(self.cached.store.classes)
        shares = torch.from_numpy(is_fitted / np.maximum(is_fitted.sum(0), 1)).float()
        truths, passes = torch.from_numpy(self.labels), 0
        weights = torch.zeros(heads, classes, units, requires_grad=True)
        solver = torch.optim.LBFGS([weights], max_iter=UPDATES, history_size=10, line_search_fn="strong_wolfe")
        self.observer.began("fitting heads", "passes")

        def closure() -> Tensor:
            nonlocal passes
            with torch.no_grad():
                gradient, total = DECAY * weights, 0.5 * DECAY * weights[:, :, :-1].square().sum()
                gradient[:, :, -1] = 0
                for some, block in self._blocks():
                    share, truth = shares[some], F.one_hot(truths[some], classes)[:, None]
                    logarithms = self._scores(weights, block).log_softmax(2)
                    total -= ((logarithms * truth).sum(2) * share).sum()
                    slopes = (logarithms.exp() - truth) * share[:, :, None]
                    gradient += (slopes.flatten(1).T @ block).view_as(gradient)
                weights.grad = gradient
            passes += 1
            self.observer.advanced(min(passes, UPDATES - 1), UPDATES)
            return total

        solver.step(closure)  # type: ignore[no-untyped-call]
        self.observer.advanced(UPDATES, UPDATES)
        return weights.detach()

    @staticmethod
    def _scores(weights: Tensor, block: Tensor) -> Tensor:
        return (block @ weights.flatten(0, 1).T).view(len(block), *weights.shape[:2])


def principal(rows: Tensor, count: int) -> Tensor:
    """Returns the directions, (D, K), in which rows (N, D) of mean 0 vary most; K is `count`, or D where that is less.

    Source: Halko, Martinsson and Tropp 2011, algorithm 4.4 (randomized subspace iteration), of the rows transposed.
    """
    width = rows.shape[1]
    if width <= count:
        return torch.eye(width)
    directions = torch.from_numpy(generator(0, "directions").standard_normal((width, count), np.float32))
    for _ in range(3):
        directions = torch.linalg.qr(rows.T @ (rows @ directions))[0]
    return directions


def folds(cached: CachedFeatures, groups: Sequence[Sequence[Member]]) -> Integers:
    """Returns a fold for each picture, (N,), drawn by lot; a group of duplicates is in one."""
    drawn = generator(0, "audit").permutation(np.arange(len(cached.maps)) % FOLDS).astype(np.int64)
    for group in groups:
        rows = [cached.row(member) for member in group]
        drawn[rows] = drawn[rows[0]]
    return drawn
