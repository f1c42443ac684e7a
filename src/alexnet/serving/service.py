"""The service as such, apart from HTTP: networks, decoding, batches, and whether it is ready."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from alexnet import machine
from alexnet.data import decode
from alexnet.errors import BadImage
from alexnet.searching.index import Index
from alexnet.serving.answers import Answers, Card, Unread
from alexnet.serving.batcher import Batcher, Job, Picture, Row
from alexnet.serving.bodies import File, Gate
from alexnet.serving.limits import Limits, Refusal
from alexnet.serving.metrics import Metrics
from alexnet.serving.served import Pixels, ServedNetwork

Result = TypeVar("Result")

LOOKING = 8
"""Maps, neighbours and activations that may be drawn or wait for it at a time."""


class Service:
    """Answers what is on pictures by the networks that it serves."""

    def __init__(
        self, models: Mapping[str, ServedNetwork], limits: Limits, index: Index | None, takes_corrections: bool
    ) -> None:
        self.models, self.limits, self.index, self.takes_corrections = models, limits, index, takes_corrections
        self.gate = Gate(limits)
        self.is_proven = self.is_leaving = False
        self.failure: Exception | None = None
        self.metrics = Metrics(lambda: self.gate.pictures, lambda: self.is_ready)
        self._decoding = ThreadPoolExecutor(machine.cores(), thread_name_prefix="decode")
        self._batcher = Batcher(self.metrics, limits.deadline, self._decoding)
        self._drawing = ThreadPoolExecutor(1, thread_name_prefix="draw")
        self._drawings = 0

    @property
    def is_ready(self) -> bool:
        """Whether it has answered the built-in pictures rightly, and does not leave."""
        return self.is_proven and not self.is_leaving

    async def prove(self) -> None:
        """Warms every network up, and has it answer the built-in pictures; sets `is_proven`, or `failure`."""
        try:
            for model in self.models.values():
                await asyncio.get_running_loop().run_in_executor(self._decoding, model.prove)
        except Exception as error:  # which ends the server, and is raised then
            self.failure = error
        else:
            self.is_proven = True

    def refuse_unproven(self) -> None:
        """Raises a Refusal until the networks are proven."""
        if not self.is_proven:
            raise Refusal(503, "the networks are still being tested: try again in a second")

    def chosen(self, names: str | None) -> tuple[ServedNetwork, ...]:
        """Returns the networks of a list of names joined by commas; without names, the first.

        Raises:
            Refusal: There is no such network, or their classes differ.
        """
        if not names:
            return (next(iter(self.models.values())),)
        for name in (wanted := names.split(",")):
            if name not in self.models:
                raise Refusal(404, f"there is no network {name[:80]!r} here; there are {', '.join(self.models)}")
        models = tuple(self.models[name] for name in dict.fromkeys(wanted))
        if len({model.classifier.classes for model in models}) > 1:
            raise Refusal(400, "networks of different classes cannot be averaged")
        return models

    def cards(self) -> list[Card]:
        """Returns what there is to know of every network."""
        return [
            Card(
                name=model.name,
                variant=model.classifier.model.variant,
                classes=tuple(model.labels.values()),
                input_size=model.classifier.model.input_size,
                weights=model.weights,
                error=model.error,
                layers=model.layers,
                has_index=self.index is not None and self.index.contents.weights_sha256 == model.weights,
                takes_corrections=self.takes_corrections,
            )
            for model in self.models.values()
        ]

    async def answer(self, models: tuple[ServedNetwork, ...], files: Sequence[File], views: int, top: int) -> Answers:
        """Returns what is on pictures, or of each why it cannot be read.

        Raises:
            Refusal: There is only one, and it cannot be read; or they have waited for too long.
        """
        rows = await self.probabilities(models, files, views)
        if len(rows) == 1 and isinstance(rows[0], BadImage):
            raise Refusal(422, rows[0].reason)
        return Answers(
            model=",".join(model.name for model in models),
            weights=",".join(model.weights for model in models),
            views=views,
            error=models[0].error if len(models) == 1 else None,
            pictures=tuple(
                Unread(name=file.name, error=row.reason)
                if isinstance(row, BadImage)
                else models[0].answer(file.name, row, top, is_alone=len(models) == 1)
                for file, row in zip(files, rows, strict=True)
            ),
        )

    async def probabilities(
        self, models: tuple[ServedNetwork, ...], files: Sequence[File], views: int
    ) -> list[Row | BadImage]:
        """Returns the probabilities of all classes for each picture, or why it cannot be read."""
        self.refuse_unproven()
        pictures = [partial(self._decode, file, models) for file in files]
        return await self._batcher.name(Job(models, views), pictures)

    async def draw(self, file: File, model: ServedNetwork, function: Callable[[Pixels], Result]) -> Result:
        """Returns what a function makes of a picture, in a thread of its own, one picture at a time.

        Raises:
            Refusal: The picture cannot be read, or too many wait.
        """
        self.refuse_unproven()
        loop = asyncio.get_running_loop()
        if self._drawings >= LOOKING:
            raise Refusal(429, "the service has as many maps to draw as it can hold: try again later")
        self._drawings += 1
        try:
            decoded = await loop.run_in_executor(self._decoding, self._decode, file, (model,))
            if isinstance(decoded, BadImage):
                raise Refusal(422, decoded.reason)
            return await loop.run_in_executor(self._drawing, function, decoded[0])
        finally:
            self._drawings -= 1

    def _decode(self, file: File, models: Sequence[ServedNetwork]) -> Picture | BadImage:
        started = time.monotonic()
        shapes = [(model.classifier.stored_size, model.classifier.square) for model in models]
        try:
            each = {
                shape: decode.load(file.data, file.name, *shape, self.limits.pixels) for shape in dict.fromkeys(shapes)
            }
        except BadImage as error:
            return error
        finally:
            self.metrics.decode.observe(time.monotonic() - started)
        return tuple(each[shape] for shape in shapes)
