"""The bench of the service, against one that answers after ten milliseconds."""

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alexnet.benches import serve


class Answers(BaseHTTPRequestHandler):
    protocol_version, code = "HTTP/1.1", 200

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.01)
        self.send_response(self.code)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *words):
        pass


@pytest.fixture
def running(monkeypatch):
    monkeypatch.setattr(serve, "_photograph", lambda seed: bytes(1000))
    handler = type("Own", (Answers,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever).start()
        yield serve.Running(server.server_port, os.getpid()), handler
        server.shutdown()


def test_clients_ask_at_once_and_at_half_the_rate(running):
    service, _ = running
    rate = service.rate(0.2)
    assert 50 < rate.images_per_s <= 32 / 0.01  # 32 clients, each of which waits 10 ms
    assert service.slowest_ms(500.0, 0.2) >= 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_the_processor_time_of_a_service_is_counted(running):
    service, _ = running
    assert 0.01 < service.rate(0.3).processor_ms < 10  # of this process, which is client and service


def test_a_refusal_ends_the_bench_with_its_code(running):
    service, handler = running
    handler.code = 503
    with pytest.raises(RuntimeError, match="answers 503"):
        service.rate(0.2)


def test_a_service_that_says_nothing_ends_the_bench(monkeypatch):
    monkeypatch.setattr(serve, "ANSWER_S", 0.1)
    monkeypatch.setattr(serve, "_photograph", lambda seed: bytes(1000))
    with serve.socket.create_server(("127.0.0.1", 0)) as silent:
        service = serve.Running(silent.getsockname()[1], os.getpid())
        with pytest.raises(RuntimeError, match="names nothing"):
            service.rate(0.1)


def test_a_service_that_ends_or_never_stands_is_an_error(monkeypatch):
    monkeypatch.setattr(serve, "START_S", 0.3)
    for words in ("pass", "import time; time.sleep(60)"):
        with pytest.raises(RuntimeError, match="did not start"), serve._running([sys.executable, "-c", words]):
            raise AssertionError
