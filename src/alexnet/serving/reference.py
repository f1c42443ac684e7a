"""`/openapi.json`, and a page that shows it without loading anything from elsewhere."""

from functools import cache
from pathlib import Path

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import Response

from alexnet import __version__

OPENAPI, TEMPLATE = (Path(__file__).parent / name for name in ("openapi.json", "reference.html"))


async def openapi(request: Request) -> Response:
    """Returns the description of all routes for programs."""
    return Response(OPENAPI.read_bytes(), media_type="application/json")


async def page(request: Request) -> Response:
    """Returns the description of all routes for people."""
    return Response(_rendered(), media_type="text/html")


@cache
def _rendered() -> str:
    import json

    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        TEMPLATE.read_text("utf-8")
    )
    return template.render(api=json.loads(OPENAPI.read_text("utf-8")), version=__version__)
