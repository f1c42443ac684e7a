"""A server on this machine for one folder, with the headers that isolate a page."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

LOOPBACK = "127.0.0.1"

# A page may have threads with shared memory where nobody else's window can look into it; and nothing is kept, so that
# a lecture that is written anew is shown at once.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class _Handler(SimpleHTTPRequestHandler):
    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        is_local = self.headers.get("Host", "").partition(":")[0] in (LOOPBACK, "localhost")
        if not is_local:  # the name of a page from elsewhere may lead here, too (DNS rebinding)
            self.send_error(403, "This machine is called localhost here")
        return is_local

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Logs no request: the terminal shows the address alone."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves a folder on a free port of this machine, to nobody else, while its context lasts; gives the address."""
    with ThreadingHTTPServer((LOOPBACK, 0), partial(_Handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, name="lecture", daemon=True).start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/"
        finally:
            server.shutdown()
