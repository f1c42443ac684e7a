"""The routes of the service."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar, get_args

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from alexnet.errors import AlexNetError, UsageError
from alexnet.explaining.explain import label_of
from alexnet.explaining.maps import Method
from alexnet.serving import inference, looking, reference
from alexnet.serving.bodies import File
from alexnet.serving.corrections import Corrections
from alexnet.serving.front import Access, Front, as_json, refused
from alexnet.serving.limits import Refusal
from alexnet.serving.served import Pixels, ServedNetwork
from alexnet.serving.service import Service

PAGE = Path(__file__).parent / "page"
CLASSES = 1_000_000
"""The most that may be asked for; a network with fewer classes names them all, as `alexnet predict` does."""

Result = TypeVar("Result")


def application(service: Service, corrections: Corrections | None, access: Access, root_path: str) -> ASGIApp:
    """Returns the whole application: the page, our routes, and those of the Open Inference Protocol."""
    calls = Calls(service, corrections)
    routes = [
        Route("/models", calls.models),
        Route("/predict", calls.predict, methods=["POST"]),
        Route("/explain", calls.explain, methods=["POST"]),
        Route("/neighbours", calls.neighbours, methods=["POST"]),
        Route("/activations", calls.activations, methods=["POST"]),
        Route("/corrections", calls.correct, methods=["POST"]),
        Route("/metrics", calls.metrics),
        Route("/openapi.json", reference.openapi),
        Route("/reference", reference.page),
        *inference.routes(service),
    ]
    handlers = {Refusal: _refusal, HTTPException: _http, AlexNetError: _mistake}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes, app.router.default = False, StaticFiles(directory=PAGE, html=True)
    if access.origins:
        allowed = ["Authorization", "Content-Type"]
        app.add_middleware(
            CORSMiddleware, allow_origins=access.origins, allow_methods=["GET", "POST"], allow_headers=allowed
        )
    return Front(app, service, access, root_path)


class Calls:
    """What the routes of our own do."""

    def __init__(self, service: Service, corrections: Corrections | None) -> None:
        self._service, self._corrections = service, corrections

    async def models(self, request: Request) -> Response:
        """Tells of every network."""
        return as_json(self._service.cards())

    async def predict(self, request: Request) -> Response:
        """Names pictures."""
        models = self._service.chosen(request.query_params.get("model"))
        views = number(request, "views", 1, 10)
        if views not in (1, 10):
            raise Refusal(400, f"`views` is 1 or 10, got {views}")
        top = number(request, "top", 5, CLASSES)
        async with self._service.gate.files(request) as files:
            return as_json(await self._service.answer(models, files, views, top))

    async def explain(self, request: Request) -> Response:
        """Draws where a network looks."""
        method = request.query_params.get("method", "occlusion")
        methods = {each: each for each in get_args(Method)}
        if method not in methods:
            raise Refusal(400, f"`method` is one of {', '.join(methods)}, got {method[:80]!r}")
        name = request.query_params.get("class") or None
        return as_json(
            await self._drawn(request, lambda one, pixels: looking.explanation(one, pixels, methods[method], name))
        )

    async def activations(self, request: Request) -> Response:
        """Shows the maps of a layer."""
        layer = request.query_params.get("layer") or "conv1"
        (model, *_) = self._service.chosen(request.query_params.get("model"))
        if layer not in model.layers:
            raise Refusal(400, f"there is no layer {layer[:80]!r} with maps; there are {', '.join(model.layers)}")
        return as_json(await self._drawn(request, lambda one, pixels: looking.activations(one, pixels, layer)))

    async def neighbours(self, request: Request) -> Response:
        """Finds the pictures of the index that are most alike."""
        index, top = self._service.index, number(request, "top", 10, 100)
        (model, *_) = self._service.chosen(request.query_params.get("model"))
        if index is None or index.contents.weights_sha256 != model.weights:
            raise Refusal(404, "this service has no index of this network's features")
        return as_json(await self._drawn(request, lambda one, pixels: looking.neighbours(one, pixels, index, top)))

    async def correct(self, request: Request) -> Response:
        """Keeps a picture with its right class."""
        if self._corrections is None:
            raise Refusal(404, "this service keeps no corrections")
        (model, *_) = self._service.chosen(request.query_params.get("model"))
        name = request.query_params.get("class", "")
        label = label_of(model.classifier.classes, name)
        kept = self._corrections

        async with self._service.gate.files(request) as files:
            file = _only(files)
            await self._service.draw(file, model, lambda pixels: None)  # refuses what is no picture
            class_name = model.classifier.classes[label]
            return as_json(await asyncio.to_thread(kept.keep, file, class_name))

    async def metrics(self, request: Request) -> Response:
        """Tells Prometheus how it goes."""
        return Response(self._service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _drawn(self, request: Request, function: Callable[[ServedNetwork, Pixels], Result]) -> Result:
        (model, *_) = self._service.chosen(request.query_params.get("model"))
        async with self._service.gate.files(request) as files:
            return await self._service.draw(_only(files), model, lambda pixels: function(model, pixels))


def number(request: Request, name: str, default: int, most: int) -> int:
    """Returns a whole number of the query, from 1 to `most`.

    Raises:
        Refusal: The parameter is no such number.
    """
    text = request.query_params.get(name) or str(min(default, most))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise Refusal(400, f"`{name}` is a whole number from 1 to {most}, got {text[:80]!r}")
    return int(text)


def _only(files: Sequence[File]) -> File:
    if len(files) > 1:
        raise Refusal(400, "one picture at a time, please: the request has several")
    return files[0]


Handler = Callable[[Request, Exception], Awaitable[Response]]


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refused(error)


async def _mistake(request: Request, error: Exception) -> Response:
    return refused(Refusal(400 if isinstance(error, UsageError) else 500, str(error)))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = refused(Refusal(error.status_code, f"{request.method} {request.url.path}: {error.detail}"))
    response.headers.update(error.headers or {})
    return response
