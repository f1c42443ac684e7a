"""What every request passes: the token, the origin, security headers, the count, and a line in the log."""

import hmac
import json
import logging
import re
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alexnet.serving.limits import Refusal
from alexnet.serving.service import Service

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
CALLS = ("/predict", "/models", "/explain", "/neighbours", "/activations", "/corrections", "/metrics", "/v2")
"""The beginnings of what needs a token; the page and the health of the service do not."""

ROUTES = (*CALLS, "/openapi.json", "/reference")
LONGEST = 1_000
"""Characters of a refusal, which may quote what was sent."""

LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d*)?", re.IGNORECASE)
"""What a browser on this machine calls it, with its port. Other names may lead here, too (DNS rebinding)."""

LOG = logging.getLogger("alexnet.serving")


@dataclass(frozen=True)
class Access:
    """Who may ask."""

    token: str | None = None
    origins: tuple[str, ...] = ()  # of other pages
    is_local: bool = False  # only pages and programs that call it by a name of loopback


class Front:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, service: Service, access: Access, root_path: str) -> None:
        self._app, self._service, self._access = app, service, access
        self._root_path = root_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        started, code, sent, failure = time.monotonic(), 499, 0, ""  # 499: the client was gone first
        path = scope["path"].removeprefix(self._root_path) or "/"
        scope = {**scope, "path": self._root_path + path, "root_path": self._root_path}

        async def finish(message: Message) -> None:
            nonlocal code, sent
            if message["type"] == "http.response.start":
                code = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                headers.update(HEADERS)
                if self._service.is_leaving:
                    headers["Connection"] = "close"
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            self._refuse(Headers(scope=scope), scope["method"], path)
            await self._app(scope, receive, finish)
        except Refusal as refusal:
            await refused(refusal)(scope, receive, finish)
        except ClientDisconnect:
            pass
        except Exception as error:
            code, failure = 500, "".join(traceback.format_exception(error))
            raise
        finally:
            route = next((each for each in ROUTES if path == each or path.startswith(f"{each}/")), "page")
            self._service.metrics.answered(route, code)
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = {"time": when, "method": scope["method"], "path": path, "code": code}
            line |= {"failure": failure} if failure else {}
            LOG.info("%s", json.dumps({**line, "seconds": round(time.monotonic() - started, 6), "bytes": sent}))

    def _refuse(self, headers: Headers, method: str, path: str) -> None:
        """Raises a Refusal for a request without the token, or one that a page of another origin sends."""
        origin, host = headers.get("origin"), headers.get("host", "")
        if self._access.is_local and not LOOPBACK.fullmatch(host):
            raise Refusal(
                403, f"this service is called localhost, not {host[:80]!r}: start it with a `token_file` or `no_token`"
            )
        is_other = origin and origin not in (f"http://{host}", f"https://{host}", *self._access.origins)
        if is_other and method not in ("GET", "HEAD", "OPTIONS"):
            raise Refusal(403, "this service takes no requests from pages of another origin")
        token = self._access.token
        if token is None or not path.startswith(CALLS) or path.startswith("/v2/health/") or method == "OPTIONS":
            return
        given = headers.get("authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise Refusal(401, "this service needs its token: send the header `Authorization: Bearer TOKEN`")


def as_json(answer: object, code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Returns the response of a record."""
    return Response(msgspec.json.encode(answer), code, headers, media_type="application/json")


def refused(refusal: Refusal) -> Response:
    """Returns the response of a refusal."""
    headers = {"Retry-After": "1"} if refusal.code in (429, 503) else {}
    headers |= {"WWW-Authenticate": "Bearer"} if refusal.code == 401 else {}
    return as_json({"error": refusal.sentence[:LONGEST]}, refusal.code, headers)
