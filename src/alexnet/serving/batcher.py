"""Pictures of all requests, named in batches: whatever is decoded when the network is free, without delay.

Threads hand pictures straight to one another: the event loop, busy with other requests, would keep them waiting.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alexnet.errors import BadImage
from alexnet.serving.limits import Refusal
from alexnet.serving.metrics import Metrics
from alexnet.serving.served import Pixels, ServedNetwork

Row = NDArray[np.float32]
Picture = tuple[Pixels, ...]
"""A picture as every network of a request takes it."""

Decoding = Callable[[], Picture | BadImage]
"""What decodes a picture, or tells why it cannot be read."""

LATE = "the service is too busy to answer in time: try again later"


@dataclass(frozen=True)
class Job:
    """What is to be done with pictures: the networks to average over, and the views."""

    models: tuple[ServedNetwork, ...]
    views: int

    @property
    def most(self) -> int:
        """How many pictures go through the networks at a time, so that a batch takes about equally long."""
        return max(1, min(model.sizes[-1] for model in self.models) // self.views)

    def compute(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Returns the probabilities of pictures, (N, C), each given as every network takes it."""
        each = [
            model.probabilities([picture[number] for picture in pictures], self.views)
            for number, model in enumerate(self.models)
        ]
        return each[0] if len(each) == 1 else np.mean(each, 0)


@dataclass(eq=False)
class _Entry:
    job: Job
    answer: asyncio.Future[Row | BadImage]
    picture: Picture = ()
    since: float = 0.0  # when it was decoded
    is_computed: bool = False


class Batcher:
    """Decodes pictures in several threads, and names them in one, batch after batch."""

    def __init__(self, metrics: Metrics, deadline: float, decoding: Executor) -> None:
        self._metrics, self._deadline, self._decoding = metrics, deadline, decoding
        self._computing = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._lock = threading.Lock()  # of all that follows
        self._waiting: list[_Entry] = []
        self._is_running = False

    async def name(self, job: Job, pictures: Sequence[Decoding]) -> list[Row | BadImage]:
        """Returns the probabilities of each picture, or why it cannot be read.

        Raises:
            Refusal: A picture has waited for too long. What runs is never dropped.
        """
        loop = asyncio.get_running_loop()
        entries = [_Entry(job, loop.create_future()) for _ in pictures]
        timer = loop.call_later(self._deadline, self._drop, entries)
        try:
            for entry, decode in zip(entries, pictures, strict=True):
                self._decoding.submit(self._decode, entry, decode)
            return list(await asyncio.gather(*(each.answer for each in entries)))
        finally:
            timer.cancel()
            self._drop(entries)  # those beside one that was refused, or of a client that is gone

    def _drop(self, entries: Sequence[_Entry]) -> None:
        with self._lock:
            for entry in entries:
                if not entry.is_computed and not entry.answer.done():
                    entry.answer.set_exception(Refusal(503, LATE))

    def _decode(self, entry: _Entry, decode: Decoding) -> None:
        if entry.answer.done():  # dropped
            return
        try:
            picture = decode()
        except BaseException as error:  # whatever it is, somebody waits for an answer
            return _hand_over([entry], [error])
        if isinstance(picture, BadImage):
            return _hand_over([entry], [picture])
        entry.picture, entry.since = picture, time.monotonic()
        with self._lock:
            self._waiting.append(entry)
            if not self._is_running:
                self._computing.submit(self._run)  # which raises where the system has no more threads
                self._is_running = True

    def _run(self) -> None:
        while batch := self._next():
            try:
                _hand_over(batch, self._compute(batch))
            except BaseException as error:  # of one batch; those that follow are none the worse
                _hand_over(batch, [error] * len(batch))

    def _compute(self, batch: Sequence[_Entry]) -> list[Row]:
        started = time.monotonic()
        for entry in batch:
            self._metrics.wait.observe(started - entry.since)
        rows = batch[0].job.compute([entry.picture for entry in batch])
        self._metrics.compute.observe(time.monotonic() - started)
        self._metrics.batch.observe(len(batch))
        self._metrics.pictures.inc(len(batch))
        return list(rows)

    def _next(self) -> list[_Entry]:
        """Takes the first that waits, and all others that ask for the same, as many as go together."""
        with self._lock:
            waiting = [entry for entry in self._waiting if not entry.answer.done()]
            alike = [entry for entry in waiting if entry.job == waiting[0].job]
            batch = alike[: alike[0].job.most] if alike else []
            for entry in batch:
                entry.is_computed = True
            self._waiting = [entry for entry in waiting if not entry.is_computed]
            self._is_running = bool(batch)
        return batch


def _hand_over(entries: Sequence[_Entry], results: Sequence[Row | BaseException]) -> None:
    """Wakes the event loop once for all results."""
    pairs = list(zip(entries, results, strict=True))
    entries[0].answer.get_loop().call_soon_threadsafe(_settle, pairs)


def _settle(pairs: Sequence[tuple[_Entry, Row | BaseException]]) -> None:
    for entry, result in pairs:
        if entry.answer.done():  # its client is gone
            continue
        if isinstance(result, StopIteration):  # which a future refuses
            entry.answer.set_exception(RuntimeError(repr(result)))
        elif isinstance(result, BaseException) and not isinstance(result, BadImage):
            entry.answer.set_exception(result)
        else:
            entry.answer.set_result(result)
