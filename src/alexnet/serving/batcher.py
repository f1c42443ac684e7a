"""Pictures of all requests, named in batches: whatever waits when the network is free, without delay."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alexnet.serving.limits import Refusal
from alexnet.serving.metrics import Metrics
from alexnet.serving.served import SIZES, Pixels, Served

Row = NDArray[np.float32]
LATE = "the service is too busy to answer in time: try again later"


@dataclass(frozen=True)
class Request:
    """What is to be done with pictures: the networks to average over, and the views."""

    models: tuple[Served, ...]
    views: int

    @property
    def most(self) -> int:
        """How many pictures go through the networks at a time, so that a batch takes about equally long."""
        return max(1, SIZES[-1] // self.views)

    def compute(self, pictures: Sequence[tuple[Pixels, ...]]) -> NDArray[np.float32]:
        """Returns the probabilities of pictures, (N, C), each given as every network takes it."""
        each = [
            model.probabilities([picture[number] for picture in pictures], self.views)
            for number, model in enumerate(self.models)
        ]
        return each[0] if len(each) == 1 else np.mean(each, 0)


@dataclass(eq=False)
class _Waiting:
    request: Request
    picture: tuple[Pixels, ...]
    answer: asyncio.Future[Row]
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """Names pictures in one thread, batch after batch; all else happens in the event loop."""

    def __init__(self, metrics: Metrics, deadline: float) -> None:
        self._metrics, self._deadline = metrics, deadline
        self._waiting: deque[_Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._running: asyncio.Task[None] | None = None

    async def name(self, request: Request, pictures: Sequence[tuple[Pixels, ...]]) -> list[Row]:
        """Returns the probabilities of each picture.

        Raises:
            Refusal: A picture has waited for too long. What runs is never dropped.
        """
        loop = asyncio.get_running_loop()
        entries = [_Waiting(request, picture, loop.create_future()) for picture in pictures]
        self._waiting.extend(entries)
        if self._running is None:
            self._running = loop.create_task(self._run())
        timer = loop.call_later(self._deadline, self._drop, entries)
        try:
            return list(await asyncio.gather(*(each.answer for each in entries)))
        finally:
            timer.cancel()
            self._drop(entries)  # those beside one that was refused, or of a client that is gone

    def _drop(self, entries: Sequence[_Waiting]) -> None:
        for entry in entries:
            if entry in self._waiting:
                self._waiting.remove(entry)
                if not entry.answer.done():
                    entry.answer.set_exception(Refusal(503, LATE))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while batch := self._next():
                started = time.monotonic()
                for entry in batch:
                    self._metrics.wait.observe(started - entry.since)
                pictures = [entry.picture for entry in batch]
                try:
                    rows = await loop.run_in_executor(self._thread, batch[0].request.compute, pictures)
                except Exception as error:  # of one batch; those that follow are none the worse
                    for entry in batch:
                        _settle(entry.answer, error)
                    continue
                self._metrics.compute.observe(time.monotonic() - started)
                self._metrics.batch.observe(len(batch))
                self._metrics.pictures.inc(len(batch))
                for entry, row in zip(batch, rows, strict=True):
                    _settle(entry.answer, row)
        finally:
            self._running = None

    def _next(self) -> list[_Waiting]:
        """Takes the first that waits, and all others that ask for the same, as many as go together."""
        if not self._waiting:
            return []
        request = self._waiting[0].request
        batch: list[_Waiting] = []
        for entry in self._waiting:
            if entry.request == request:
                batch.append(entry)
                if len(batch) == request.most:
                    break
        for entry in batch:
            self._waiting.remove(entry)
        return batch


def _settle(answer: "asyncio.Future[Row]", result: Row | Exception) -> None:
    if answer.done():  # its client is gone
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
