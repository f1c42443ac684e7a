"""`alexnet predict --server`, before a stand-in for the service."""

import http.server
import json
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from alexnet.serving import client

TOKEN = "0123456789abcdef"


class Service(http.server.BaseHTTPRequestHandler):
    """Answers with `answers`, (status, JSON, headers) one a request, and then with the name of the picture's colour."""

    protocol_version = "HTTP/1.1"
    answers = ()
    requests = ()

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        parts = urlsplit(self.path)
        self.requests.append((parts.path, parse_qs(parts.query), self.headers["Authorization"], content))
        guesses = [
            {"class": "n01440764", "label": "tench, Tinca tinca", "probability": 0.875},
            {"class": "red", "label": "red", "probability": 0.125},
        ]
        picture = {"name": "", "guesses": guesses, "unsure": False, "calibrated": None}
        answer = {"model": "toy", "weights": "ab", "views": 1, "error": None, "pictures": [picture]}
        status, answer, headers = self.answers.pop(0) if self.answers else (200, answer, {})
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def service():
    return type("OwnService", (Service,), {"answers": [], "requests": []})


@pytest.fixture
def address(service):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def name(alexnet, address, tmp_path):
    """A function that has three pictures named by the service, and gives (exit code, stdout, stderr)."""
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"picture %d" % number)

    def run(*more):
        return alexnet("predict", "runs/toy", tmp_path, "--server", f"{address}/", *more)

    return run


def test_pictures_are_named_in_order_and_as_predict_names_them(name, service, tmp_path):
    code, out, err = name("--top", "2", "--views", "10", "--json")
    assert code == 0, err
    guesses = [
        {"class": "n01440764", "probability": 0.875, "words": "tench, Tinca tinca"},
        {"class": "red", "probability": 0.125},
    ]
    images = [{"image": str(tmp_path / f"{number}.jpg"), "predictions": guesses} for number in range(3)]
    assert json.loads(out) == {"run": "runs/toy", "views": 10, "images": images}
    query = {"model": ["toy"], "top": ["2"], "views": ["10"]}
    assert sorted(service.requests, key=lambda sent: sent[3]) == [
        ("/predict", query, None, b"picture %d" % number) for number in range(3)
    ]
    assert "  n01440764 tench, Tinca tinca  87.5%" in name()[1]


def test_a_busy_service_is_asked_again_when_it_says(name, service, monkeypatch):
    pauses = []
    monkeypatch.setattr(client.time, "sleep", pauses.append)
    service.answers = [
        (429, {"error": "busy"}, {"Retry-After": 7}),
        (503, {"error": "not ready"}, {"Retry-After": 3600}),
    ]
    assert name()[0] == 0
    assert sorted(pauses) == [7, 60]
    service.answers = [(429, {"error": "all places are taken"}, {})] * 100
    code, _, err = name()
    assert (code, err.count("\n")) == (2, 1)
    assert "is still busy after 20 tries: all places are taken" in err


def test_a_picture_that_cannot_be_read_keeps_no_other_from_its_name(name, service, monkeypatch):
    monkeypatch.setattr(client, "AT_ONCE", 1)
    service.answers = [(422, {"error": "the picture is cut off"}, {}), (413, b"<html>", {})]
    code, out, err = name()
    assert code == 2
    assert "0.jpg: the picture is cut off\n" in out
    assert "1.jpg: 413 " in out
    assert "87.5%" in out
    assert "2 of 3 pictures could not be read" in err


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (404, {"error": "there is no network 'toy' here; there are b"}, {}),
            "refuses: there is no network 'toy' here",
        ),
        ((401, {"error": "x"}, {}), "needs a token: name the file that holds it as --token-file"),
        ((200, b"<html>", {}), "is it the address of `alexnet serve`?"),
        ((502, b"<html>", {}), "refuses: 502 Bad Gateway"),
    ],
)
def test_what_the_service_refuses_is_one_line(name, service, answer, message):
    service.answers = [answer] * 3
    code, out, err = name()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err.replace("alexnet: ", "")


def test_the_token_of_a_file_is_sent_and_no_other(name, service, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert name("--token-file", file)[0] == 0
    assert {token for *_, token, _ in service.requests} == {f"Bearer {TOKEN}"}
    service.answers = [(401, {"error": "x"}, {})] * 3
    assert "does not take this token" in name("--token-file", file)[2]
    file.write_text("")
    assert f"{file} holds no token" in name("--token-file", file)[2]
    assert "cannot be read" in name("--token-file", tmp_path / "nowhere")[2]


def test_a_service_that_is_not_there_is_named(alexnet, name, tmp_path):
    started = time.monotonic()
    code, _, err = alexnet("predict", "toy", tmp_path / "0.jpg", "--server", "http://127.0.0.1:9")
    assert (code, err.count("\n")) == (2, 1)
    assert "http://127.0.0.1:9 does not answer" in err
    assert time.monotonic() - started < 5
    assert "--server takes an address" in alexnet("predict", "toy", tmp_path / "0.jpg", "--server", "localhost")[2]
    assert "--precision is the service's own" in name("--precision", "int8")[2]
    assert "--token-file is for a --server" in alexnet("predict", "toy", tmp_path / "0.jpg", "--token-file", "x")[2]
