"""An HTTP server of a folder that fails as networks do; `python faulty.py FOLDER 0.05 0.05` starts it by hand."""

import random
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Faulty(ThreadingHTTPServer):
    """Serves a folder.

    Args:
        folder: Which.
        latency_s: What every answer waits.
        failures: Share of the requests that go wrong: no answer, an error, or half an answer.
        gives_parts: Whether Range is heeded.
        port: Any by default.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder, latency_s=0.0, failures=0.0, gives_parts=True, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.folder, self.latency_s, self.failures, self.gives_parts = Path(folder), latency_s, failures, gives_parts
        self.asked, self.harmed, self.dice, self.lock = [], {}, random.Random(0), threading.Lock()
        self.tunnels = []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()

    def handle_error(self, request, client_address):
        pass  # the client went away


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        server, name = self.server, urlsplit(self.path).path.lstrip("/")  # a proxy is asked for whole addresses
        part = self.headers["Range"]
        with server.lock:
            server.asked.append((name, part))
            fault = server.dice.choice(["silence", "error", "half"]) if server.dice.random() < server.failures else ""
        time.sleep(server.latency_s)
        if name.startswith(("moved/", "endless/")):
            return self.answer(302, b"", {"Location": "/" + name.removeprefix("moved/")})
        if fault == "silence" or not (server.folder / name).is_file():
            self.close_connection = True
            return None if fault else self.answer(404, b"")
        content = server.harmed.get(name, lambda content: content)((server.folder / name).read_bytes())
        if fault == "error" or isinstance(content, int):
            return self.answer(503 if fault else content, b"")
        status = 200
        if part and server.gives_parts:
            first, last = map(int, part.removeprefix("bytes=").split("-"))
            status, content = (206, content[first : last + 1]) if first < len(content) else (416, b"")
        return self.answer(status, content, is_cut=fault == "half")

    def do_CONNECT(self):
        self.server.tunnels.append((self.path, self.headers["Proxy-Authorization"]))
        self.answer(403, b"")

    def answer(self, status, content, headers=None, is_cut=False):
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_cut else content)
        self.close_connection = self.close_connection or is_cut

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    server = Faulty(sys.argv[1], *map(float, sys.argv[2:4]))
    print(server.address, flush=True)
    server.serve_forever()
