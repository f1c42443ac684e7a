"""HTTP(S): through the proxies of the environment, with the system's certificates, over connections that stay open."""

from collections.abc import Mapping
from functools import partial
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout, make_headers
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

REDIRECTS = 5

_ONCE = Retry(total=None, connect=0, read=0, status=0, other=0, redirect=REDIRECTS, raise_on_redirect=False)
"""Redirections are followed, and nothing is tried again here: only the caller can tell whether that helps."""


class Unreachable(OSError):
    """No answer came, or not a whole one; the message is the system's."""


class Web:
    """A client that keeps `connections` open to each server; safe between threads."""

    def __init__(self, connections: int = 1) -> None:
        self._connections = connections
        self._pools: dict[str, PoolManager] = {}

    def get(
        self, url: str, headers: Mapping[str, str], timeout_s: float, is_streamed: bool = False
    ) -> BaseHTTPResponse:
        """Asks for a file. More than `REDIRECTS` redirections are given up; the last of them is the answer.

        The server may be silent for `timeout_s`. If `is_streamed`, the caller reads the content and closes the
        response, instead of having it as `data`.

        Raises:
            Unreachable: No answer came, or not a whole one.
        """
        return self._request("GET", url, headers, timeout_s, preload_content=not is_streamed)

    def post(self, url: str, content: bytes, headers: Mapping[str, str], timeout_s: float) -> BaseHTTPResponse:
        """Sends content; returns the whole answer. The server may be silent for `timeout_s`.

        Raises:
            Unreachable: No answer came, or not a whole one.
        """
        return self._request("POST", url, headers, timeout_s, body=content)

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout_s: float,
        *,
        body: bytes | None = None,
        preload_content: bool = True,
    ) -> BaseHTTPResponse:
        timeout = Timeout(connect=timeout_s, read=timeout_s)
        try:
            request = partial(self._pool(url).request, method, url, headers=headers, timeout=timeout, retries=_ONCE)
            return request(body=body, preload_content=preload_content, decode_content=False)
        except HTTPError as error:
            raise Unreachable(why(error)) from error

    def _pool(self, url: str) -> PoolManager:
        parts, proxies = urlsplit(url), getproxies()
        is_direct = proxy_bypass(parts.netloc.rpartition("@")[2])
        proxy = "" if is_direct else proxies.get(parts.scheme) or proxies.get("all") or ""
        if proxy not in self._pools:
            self._pools[proxy] = self._open(proxy)
        return self._pools[proxy]

    def _open(self, proxy: str) -> PoolManager:
        if not proxy:
            return PoolManager(maxsize=self._connections)
        address = parse_url(proxy if "://" in proxy else f"http://{proxy}")
        headers = make_headers(proxy_basic_auth=unquote(address.auth)) if address.auth else None
        return ProxyManager(address._replace(auth=None).url, maxsize=self._connections, proxy_headers=headers)


def why(error: BaseException) -> str:
    """Returns what the system says, which urllib3 wraps several times."""
    while (cause := getattr(error, "reason", None) or error.__cause__) and isinstance(cause, BaseException):
        error = cause
    return str(error) or type(error).__name__
