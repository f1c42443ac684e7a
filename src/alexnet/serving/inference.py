"""The Open Inference Protocol, version 2, with pictures as BYTES, in JSON or behind it (the binary extension).

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md; binary_data extension of Triton.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alexnet import __version__
from alexnet.errors import BadImage
from alexnet.serving.batcher import Row
from alexnet.serving.bodies import File
from alexnet.serving.front import as_json
from alexnet.serving.limits import Refusal
from alexnet.serving.served import ServedNetwork
from alexnet.serving.service import Service

LENGTH_HEADER = "Inference-Header-Content-Length"
PICTURES = "pictures"
PROBABILITIES: Final = "probabilities"
CLASSES: Final = "class"
COMMAS = 1_000
"""Commas of a question beside those between its pictures, which bound what is made of it: base64 has none."""

Parameters = dict[str, bool | int | float | str]


class _Encoded(msgspec.Struct):
    b64: str


class _Input(msgspec.Struct):
    name: Literal["pictures"]
    datatype: Literal["BYTES"]
    shape: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1, max_length=2)]
    data: list[str | _Encoded] | None = None
    parameters: Parameters = {}


class _Wanted(msgspec.Struct):
    name: Literal["probabilities", "class"]
    parameters: Parameters = {}


class _Question(msgspec.Struct):
    inputs: Annotated[list[_Input], Meta(min_length=1, max_length=1)]
    id: Annotated[str, Meta(max_length=1_000)] | None = None
    parameters: Parameters = {}
    outputs: Annotated[list[_Wanted], Meta(max_length=2)] = []

    def __post_init__(self) -> None:
        if len({each.name for each in self.outputs}) < len(self.outputs):
            raise ValueError("an output is wanted twice")


class _Tensor(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: list[int]
    data: list[float] | list[str] | None = None
    parameters: Parameters = {}


class _Reply(msgspec.Struct, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[_Tensor]
    id: str | None = None


def routes(service: Service) -> list[Route]:
    """Returns the routes of the protocol."""
    calls = _Calls(service)
    one = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
    return [
        Route("/v2", calls.server),
        Route("/v2/health/live", calls.live),
        Route("/v2/health/ready", calls.ready),
        *(Route(path, calls.metadata) for path in one),
        *(Route(f"{path}/ready", calls.model_ready) for path in one),
        *(Route(f"{path}/infer", calls.infer, methods=["POST"]) for path in one),
    ]


class _Calls:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def server(self, request: Request) -> Response:
        return as_json({"name": "alexnet", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def live(self, request: Request) -> Response:
        return as_json({"live": True})

    async def ready(self, request: Request) -> Response:
        # The specification calls the field `live`, and its examples `ready`.
        is_ready = self._service.is_ready
        return as_json({"live": is_ready, "ready": is_ready}, 200 if is_ready else 503)

    async def model_ready(self, request: Request) -> Response:
        is_ready = self._service.is_ready
        return as_json({"name": self._model(request).name, "ready": is_ready}, 200 if is_ready else 503)

    async def metadata(self, request: Request) -> Response:
        model = self._model(request)
        inputs = [{"name": PICTURES, "datatype": "BYTES", "shape": [-1]}]
        outputs = [
            {"name": PROBABILITIES, "datatype": "FP32", "shape": [-1, len(model.classifier.classes)]},
            {"name": CLASSES, "datatype": "BYTES", "shape": [-1]},
        ]
        return as_json(
            {"name": model.name, "versions": ["1"], "platform": "alexnet", "inputs": inputs, "outputs": outputs}
        )

    async def infer(self, request: Request) -> Response:
        model = self._model(request)
        self._service.refuse_unproven()
        async with self._service.gate.body(request) as body:
            question, pictures = _read(body, request.headers.get(LENGTH_HEADER), self._service.limits.files)
            with self._service.gate.several(len(pictures) - 1):
                files = [File(f"picture {number}", data) for number, data in enumerate(pictures)]
                rows = await self._service.probabilities((model,), files, 1)
        for file, row in zip(files, rows, strict=True):
            if isinstance(row, BadImage):
                raise Refusal(422, f"{file.name}: {row.reason}")
        return _reply(model, question, [row for row in rows if not isinstance(row, BadImage)])

    def _model(self, request: Request) -> ServedNetwork:
        if request.path_params.get("version", "1") != "1":
            raise Refusal(404, "every network here has version 1 alone")
        return self._service.chosen(request.path_params["name"].replace(",", "/"))[0]


def _read(body: bytes, header_length: str | None, most: int) -> tuple[_Question, list[bytes]]:
    """Returns a question and its picture files.

    Raises:
        Refusal: The body does not follow the protocol, or has more than `most` pictures.
    """
    if header_length is not None and not (header_length.isdecimal() and len(header_length) < 10):
        raise Refusal(400, f"`{LENGTH_HEADER}` is no number")
    end = len(body) if header_length is None else int(header_length)
    if body.count(b",", 0, end) > COMMAS + most:
        raise Refusal(413, f"a question may have {most} pictures and little beside them")
    try:
        question = msgspec.json.decode(body[:end], type=_Question)
        tensor = question.inputs[0]
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            texts = [each if isinstance(each, str) else each.b64 for each in (tensor.data or [])[: most + 1]]
            pictures = [base64.b64decode(text, validate=True) for text in texts]
        else:
            pictures = list(_split(body[end:], size, most))
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError) as error:
        raise Refusal(400, f"the body does not follow the protocol: {error}") from error
    if len(pictures) > most:
        raise Refusal(413, f"a request may have {most} pictures at most")
    if len(pictures) != np.prod(tensor.shape, dtype=object):
        raise Refusal(400, f"`{PICTURES}` has {len(pictures)} elements, and a shape of {tensor.shape}")
    return question, pictures


def _split(data: bytes, size: object, most: int) -> Sequence[bytes]:
    """Returns the elements of a tensor of BYTES, each behind its length in four bytes; of too many, one too many."""
    if size != len(data):
        raise ValueError(f"binary_data_size is {size}, and {len(data)} bytes follow")
    elements, place = list[bytes](), 0
    while place < len(data) and len(elements) <= most:
        length = int.from_bytes(data[place : place + 4], "little")
        elements.append(data[place + 4 : place + 4 + length])
        place += 4 + length
    if place > len(data):
        raise ValueError("an element is longer than the data")
    return elements


def _reply(model: ServedNetwork, question: _Question, rows: Sequence[Row]) -> Response:
    whole = np.stack(rows)
    names = [model.classifier.classes[i] for i in whole.argmax(1)]
    is_packed = bool(question.parameters.get("binary_data_output"))
    outputs, tail = [], b""
    for wanted in question.outputs or [_Wanted(PROBABILITIES), _Wanted(CLASSES)]:
        if wanted.name == PROBABILITIES:
            tensor = _Tensor(wanted.name, "FP32", [*whole.shape], whole.ravel().tolist())
            data = whole.astype("<f4").tobytes()
        else:
            tensor = _Tensor(wanted.name, "BYTES", [len(names)], names)
            data = b"".join(len(line).to_bytes(4, "little") + line for line in map(str.encode, names))
        if wanted.parameters.get("binary_data", is_packed):
            tensor.data, tensor.parameters, tail = None, {"binary_data_size": len(data)}, tail + data
        outputs.append(tensor)
    head = msgspec.json.encode(_Reply(model.name, "1", outputs, question.id))
    if not tail:
        return Response(head, media_type="application/json")
    return Response(head + tail, headers={LENGTH_HEADER: str(len(head))}, media_type="application/octet-stream")
