"""Limits, tokens, origins and readiness of the application, asked without a socket."""

import asyncio
import base64
import io
import json
import logging
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from PIL import Image
from running import multipart

from alexnet.data.sources import open_source
from alexnet.errors import DataError
from alexnet.evaluation.classifier import load, predict
from alexnet.records import Bin, Selection
from alexnet.serving import bodies, service
from alexnet.serving.app import application
from alexnet.serving.batcher import Batcher, Job
from alexnet.serving.corrections import Corrections
from alexnet.serving.front import Access
from alexnet.serving.limits import Limits, Refusal
from alexnet.serving.metrics import Metrics
from alexnet.serving.served import open_runs
from alexnet.serving.service import Service

TOKEN = "a-token-of-some-length"


@dataclass(frozen=True)
class Response:
    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


async def call(app, path, body=None, method=None, chunks=None, delay=0.0, **headers):
    """Asks an application; the body comes in chunks, with a delay before each."""
    path, _, query = path.partition("?")
    parts, messages = [body or b""] if chunks is None else [*chunks], []
    fields = {"host": "here", **{name.replace("_", "-"): value for name, value in headers.items()}}
    fields |= {} if body is None else {"content-length": str(len(body))}

    async def receive():
        await asyncio.sleep(delay if parts else 60)
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message):
        messages.append(message)

    await app(
        {
            "type": "http",
            "method": method or ("GET" if body is None and chunks is None else "POST"),
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields.items()],
            "scheme": "http",
            "http_version": "1.1",
            "server": ("here", 80),
            "client": ("there", 1),
        },
        receive,
        send,
    )
    head = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return Response(messages[0]["status"], head, b"".join(message.get("body", b"") for message in messages[1:]))


def ask(app, path, body=None, **rest):
    return asyncio.run(call(app, path, body, **rest))


@pytest.fixture(scope="module")
def models(run):
    opened = open_runs([run], "float32")
    opened["toy"].prove()
    return opened


@pytest.fixture
def serve(models):
    """A function (limits, ...) that returns a service and its application."""

    def make(token=None, origins=(), root_path="", corrections=None, is_local=False, **limits):
        one = Service(models, Limits(**limits), None, corrections is not None)
        one.is_proven = True
        return one, application(one, corrections, Access(token, tuple(origins), is_local), root_path)

    return make


@pytest.fixture(scope="module")
def picture(pictures):
    return sorted(pictures.rglob("*.jpg"))[0]


def test_a_body_of_too_many_bytes_is_413_whether_it_tells_its_length_or_not(serve, picture):
    data = picture.read_bytes()
    _, app = serve(bytes=len(data))
    assert ask(app, "/predict", data).code == 200
    assert ask(app, "/predict", data + b"x").code == 413
    assert ask(app, "/predict", chunks=[data, b"x"]).code == 413
    assert ask(app, "/predict", chunks=[b"x", b""], content_length=str(len(data) + 1)).code == 413  # before it is read


def test_a_picture_of_too_many_pixels_is_422(serve, picture):
    assert ask(serve(pixels=90 * 100)[1], "/predict", picture.read_bytes()).code == 200
    assert ask(serve(pixels=90 * 100 - 1)[1], "/predict", picture.read_bytes()).code == 422


def test_a_request_of_too_many_pictures_is_413_in_both_protocols(serve, picture):
    _, app = serve(files=2)

    def codes(count):
        body, kind = multipart([picture.read_bytes()] * count)
        data = [base64.b64encode(picture.read_bytes()).decode()] * count
        question = {"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [count], "data": data}]}
        first = ask(app, "/predict", body, content_type=kind)
        return first.code, ask(app, "/v2/models/toy/infer", json.dumps(question).encode()).code

    assert codes(2) == (200, 200)
    assert codes(3) == (413, 413)


def test_what_is_refused_leaves_its_place_to_others(serve, picture):
    one, app = serve(waiting=2, files=2, bytes=100_000)
    for body in (b"", b"no picture", bytes(100_001)):
        ask(app, "/predict", body)
    three, kind = multipart([picture.read_bytes()] * 3)
    assert ask(app, "/predict", three, content_type=kind).code == 413
    assert (one.gate.pictures, one.gate._bytes) == (0, 0)


def test_several_pictures_count_as_many_that_wait(serve, picture):
    body, kind = multipart([picture.read_bytes()] * 3)
    refused = ask(serve(waiting=2)[1], "/predict", body, content_type=kind)
    assert (refused.code, refused.headers["retry-after"]) == (429, "1")
    one, app = serve(waiting=3)
    assert ask(app, "/predict", body, content_type=kind).code == 200
    assert one.gate.pictures == 0


def test_bodies_that_fill_the_memory_are_refused_with_429(serve, picture, monkeypatch):
    monkeypatch.setattr(bodies, "MEMORY", 2)
    one, app = serve(bytes=1000)
    one.gate._bytes = 1500  # of others
    assert ask(app, "/predict", bytes(501)).code == 429
    assert ask(app, "/predict", bytes(500)).code == 422
    assert one.gate._bytes == 1500


def test_a_body_that_comes_too_slowly_is_408(serve, monkeypatch):
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    one, app = serve()
    assert ask(app, "/predict", chunks=[b"x"] * 100, delay=0.01).code == 408
    assert one.gate.pictures == 0


class Dripping:
    """A request of so many bytes, each in a piece of its own."""

    def __init__(self, length):
        self.length, self.headers = length, {}

    async def stream(self):
        for _ in range(self.length):
            yield b"x"


def test_a_body_in_many_pieces_takes_time_in_proportion(serve):
    one, _ = serve()

    async def read():
        async with one.gate.body(Dripping(100_000)) as body:
            assert (len(body), one.gate._bytes) == (100_000, 100_000)

    started = time.process_time()
    asyncio.run(read())
    assert time.process_time() - started < 2
    assert one.gate._bytes == 0


def test_whoever_holds_a_body_may_run_out_of_time_without_the_client_s_fault(serve):
    one, _ = serve()

    async def read():
        async with one.gate.body(Dripping(1)):
            raise TimeoutError("of the service")

    with pytest.raises(TimeoutError, match="of the service"):
        asyncio.run(read())


@pytest.mark.parametrize(("charset", "code"), [("utf-8", 200), ("idna", 400), ("punycode", 200), ("x" * 60_000, 400)])
def test_a_form_costs_no_more_than_its_bytes_in_whatever_characters_it_is(serve, picture, charset, code):
    def body(field):
        head = b'--b\r\nContent-Disposition: form-data; name="f-'
        file = b'"; filename="f-"\r\n\r\n' + picture.read_bytes() + b"\r\n--b--\r\n"
        return head + b'"\r\n\r\n' + field + b"\r\n" + head + file

    app, kind = serve()[1], f"multipart/form-data; boundary=b; charset={charset}"
    started = time.process_time()
    assert ask(app, "/predict", body(b"xn--" + b"a" * 1_000), content_type=kind).code == code
    assert ask(app, "/predict", body(b"a" * 200_000), content_type=kind).code == 400
    assert time.process_time() - started < 1


def test_more_maps_than_are_drawn_at_a_time_are_429(serve, picture):
    one, app = serve()
    one._drawings = service.LOOKING
    refused = ask(app, "/explain?method=gradcam", picture.read_bytes())
    assert (refused.code, refused.headers["retry-after"]) == (429, "1")
    one._drawings = service.LOOKING - 1
    assert ask(app, "/explain?method=gradcam", picture.read_bytes()).code == 200
    assert one._drawings == service.LOOKING - 1


def test_a_service_that_leaves_is_not_ready_but_answers_and_closes_connections(serve, picture):
    one, app = serve()
    ready = [ask(app, path) for path in ("/v2/health/ready", "/v2/models/toy/ready")]
    assert [(each.code, each.json["ready"]) for each in ready] == [(200, True)] * 2
    assert "connection" not in ready[0].headers
    one.is_leaving = True
    ready = [ask(app, path) for path in ("/v2/health/ready", "/v2/models/toy/ready")]
    assert [(each.code, each.json["ready"]) for each in ready] == [(503, False)] * 2
    answer = ask(app, "/predict", picture.read_bytes())
    assert (answer.code, answer.headers["connection"]) == (200, "close")
    assert ask(app, "/v2/health/live").code == 200
    assert b"\nalexnet_ready 0.0" in ask(app, "/metrics").body


@pytest.mark.parametrize(
    ("drains", "seconds"), [((True,), 0.3), ((True, True), 0.3), ((False,), 0), ((True, False), 0)]
)
def test_sigterm_has_it_answer_for_as_long_as_told_and_sigint_does_not(serve, drains, seconds):
    import uvicorn

    from alexnet.serving.server import Server

    async def ends_after():
        one, app = serve(drain=0.3)
        server = Server(uvicorn.Config(app), one, lambda: None)
        assert not await server.on_tick(1)
        for each in drains:
            server.leave(each)
        assert one.is_leaving
        started = time.monotonic()
        while not await server.on_tick(1):
            await asyncio.sleep(0.01)
        return time.monotonic() - started

    assert asyncio.run(ends_after()) == pytest.approx(seconds, abs=0.15)


def test_nothing_is_answered_before_the_networks_are_proven(serve, picture):
    one, app = serve()
    one.is_proven = False
    for path in ("/predict", "/explain", "/activations", "/v2/models/toy/infer"):
        refused = ask(app, path, picture.read_bytes())
        assert (refused.code, refused.headers["retry-after"]) == (503, "1")
    assert ask(app, "/v2/health/ready").code == 503
    assert ask(app, "/v2/health/live").code == 200


def test_the_token_is_compared_whole(serve):
    _, app = serve(token=TOKEN)
    right = f"Bearer {TOKEN}"
    for wrong in (TOKEN, right[:-1], f"{right}x", right.lower(), "Bearer ", "Bearer \xff", f"Basic {TOKEN}"):
        refused = ask(app, "/models", authorization=wrong)
        assert (refused.code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.headers["cross-origin-opener-policy"] == "same-origin"
        assert refused.headers["cross-origin-embedder-policy"] == "require-corp"
    assert ask(app, "/models", authorization=right).code == 200
    assert ask(app, "//models").code == 404
    for path in ("/predict", "/explain", "/neighbours", "/activations", "/corrections", "/v2/models/toy/infer"):
        assert ask(app, path, b"x").code == 401
    for path in ("/metrics", "/v2", "/v2/models/toy"):
        assert ask(app, path).code == 401


def test_pages_of_other_origins_may_ask_only_where_they_are_listed(serve, picture):
    here, there, data = "http://here", "https://there.example", picture.read_bytes()
    _, closed = serve()
    _, opened = serve(token=TOKEN, origins=[there])
    assert ask(closed, "/predict", data, origin=here).code == 200
    assert ask(closed, "/predict", data, origin=there).code == 403
    assert ask(closed, "/predict", data, origin="null").code == 403
    assert "access-control-allow-origin" not in ask(closed, "/models", origin=there).headers
    preflight = {"access_control_request_method": "POST", "access_control_request_headers": "authorization"}
    allowed = ask(opened, "/predict", method="OPTIONS", origin=there, **preflight)
    assert (allowed.code, allowed.headers["access-control-allow-origin"]) == (200, there)
    answer = ask(opened, "/predict", data, origin=there, authorization=f"Bearer {TOKEN}")
    assert (answer.code, answer.headers["access-control-allow-origin"]) == (200, there)
    assert ask(opened, "/predict", data, origin=there).code == 401
    assert ask(opened, "/predict", data, origin="https://third.example").code == 403


@pytest.mark.parametrize("origin", ["http://[", "//", "http://here.", "here"])
def test_an_origin_that_is_none_is_another_one(serve, picture, origin):
    assert ask(serve()[1], "/predict", picture.read_bytes(), origin=origin).code == 403


def test_a_page_whose_name_leads_to_this_machine_gets_nothing_of_a_service_without_a_token(serve, picture):
    _, local = serve(is_local=True)
    rebound = {"host": "evil.example:8000", "origin": "http://evil.example:8000"}
    for path, body in (("/corrections?class=red", b"x"), ("/predict", picture.read_bytes()), ("/models", None)):
        refused = ask(local, path, body, **rebound)
        assert refused.code == 403
        assert "`token_file` or `no_token`" in refused.json["error"]
    for host in ("", "127.0.0.1.evil.example", "localhost@evil.example", "localhost:80:80", "[::1", "::1"):
        assert ask(local, "/models", host=host).code == 403
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert ask(local, "/predict", picture.read_bytes(), host=host, origin=f"http://{host}").code == 200
    assert ask(serve()[1], "/models", **rebound).code == 200


def test_a_failure_is_a_500_whose_cause_is_in_the_log(serve, caplog, monkeypatch):
    one, app = serve()
    monkeypatch.setattr(one, "cards", lambda: 1 / 0)
    with caplog.at_level(logging.INFO, "alexnet.serving"), pytest.raises(ZeroDivisionError):
        ask(app, "/models")
    (line,) = [json.loads(each.message) for each in caplog.records]
    assert line["code"] == 500
    assert line["failure"].endswith("ZeroDivisionError: division by zero\n")


def test_all_is_reached_below_the_path_of_a_proxy_and_without_it(serve, picture):
    _, app = serve(token=TOKEN, root_path="/alex/net/")
    for path in ("/alex/net/predict", "/predict"):
        assert ask(app, path, picture.read_bytes()).code == 401
        assert ask(app, path, picture.read_bytes(), authorization=f"Bearer {TOKEN}").code == 200
    for path in ("/alex/net/", "/alex/net", "/alex/net/page.css", "/alex/net/v2/health/live"):
        assert ask(app, path).code == 200
    assert ask(app, "/alex/network").code == 404


@pytest.mark.parametrize(
    ("path", "method", "allowed"),
    [
        ("/predict", "GET", "POST"),
        ("/predict", "OPTIONS", "POST"),
        ("/v2", "POST", "GET, HEAD"),
        ("/", "POST", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_405_and_the_right_ones_are_told(serve, path, method, allowed):
    refused = ask(serve()[1], path, method=method)
    assert (refused.code, {*refused.headers["allow"].split(", ")}) == (405, {*allowed.split(", ")})
    assert refused.json["error"]
    assert ask(serve()[1], "/predict/", b"x").code in (404, 405)


def test_the_log_has_a_line_a_request_and_nothing_of_pictures_or_tokens(serve, picture, caplog):
    _, app = serve(token=TOKEN)
    with caplog.at_level(logging.INFO, "alexnet.serving"):
        answer = ask(app, "/predict?name=secret-name&top=1", picture.read_bytes(), authorization=f"Bearer {TOKEN}")
    (line,) = [json.loads(each.message) for each in caplog.records]
    assert {**line, "time": 0, "seconds": 0} == {
        "time": 0, "method": "POST", "path": "/predict", "code": 200, "seconds": 0, "bytes": len(answer.body)
    }  # fmt: skip


def test_metrics_have_few_routes_whatever_is_asked_for(serve):
    one, app = serve()
    for path in ("/x", "/y/z", "/predictions", "/v2/models/nobody", "/models"):
        ask(app, path)
    text = one.metrics.text()
    assert b'alexnet_requests_total{code="404",route="page"} 3.0' in text
    assert b'alexnet_requests_total{code="404",route="/v2"} 1.0' in text
    assert b'alexnet_requests_total{code="200",route="/models"} 1.0' in text


def test_ten_views_have_the_bits_of_predict_too(serve, run, picture):
    (right,) = predict(load(run, numbers="float32"), [picture], views=10, top=3)
    answer = ask(serve()[1], "/predict?views=10", picture.read_bytes()).json
    (one,) = answer["pictures"]
    assert answer["views"] == 10
    assert [(each["class"], each["probability"]) for each in one["guesses"]] == [
        (each.class_name, each.probability) for each in right.predictions
    ]


def test_an_answer_is_unsure_below_one_half_of_what_was_right_when_the_network_was_as_sure(models):
    plain, right = replace(models["toy"], bins=()), np.array([0.49, 0.51, 0.0], np.float32)
    assert not plain.answer("x", right, 1, True).unsure
    assert plain.answer("x", right - 0.02, 1, True).unsure
    bins = [Bin(confidence=confidence, accuracy=right, n=1) for confidence, right in ((0.5, 0.2), (0.7, 0.8))]
    measured = replace(plain, bins=tuple(bins))
    low, high = (measured.answer("x", np.array([p, 0, 0], np.float32), 1, True) for p in (0.55, 0.65))
    assert (low.calibrated, low.unsure) == (pytest.approx(0.35), True)
    assert (high.calibrated, high.unsure) == (pytest.approx(0.65), False)
    assert measured.answer("x", np.array([0.55, 0, 0], np.float32), 1, False).calibrated is None


def test_networks_are_averaged_by_their_names_and_say_no_error_of_one(models, picture):
    two = {"toy": models["toy"], "other": replace(models["toy"], name="other")}
    one = Service(two, Limits(), None, False)
    one.is_proven = True
    app = application(one, None, Access(), "")
    both, alone = (ask(app, f"/predict?model={names}", picture.read_bytes()).json for names in ("toy,other", "other"))
    assert (both["model"], both["error"]) == ("toy,other", None)
    assert both["pictures"][0]["guesses"] == alone["pictures"][0]["guesses"]
    assert alone["error"]["low"] <= alone["error"]["top1"] <= alone["error"]["high"]
    assert ask(app, "/v2/models/other").json["name"] == "other"


def test_a_correction_is_refused_when_as_many_are_kept_as_may_be(serve, picture, tmp_path, monkeypatch):
    monkeypatch.setattr("alexnet.serving.corrections.MOST", 1)
    _, app = serve(corrections=Corrections(tmp_path / "kept"))
    assert ask(app, "/corrections?class=red", picture.read_bytes()).code == 200
    assert ask(app, "/corrections?class=red", picture.read_bytes()).code == 429
    assert ask(serve()[1], "/corrections?class=red", picture.read_bytes()).code == 404


def test_a_picture_that_is_corrected_twice_has_its_last_class_and_the_table_serves_a_training(pictures, tmp_path):
    kept = Corrections(tmp_path / "kept")
    some = [bodies.File("x", each.read_bytes()) for each in sorted(pictures.rglob("*.jpg"))[:4]]
    cat, dog = "cat", 'a "big", dog'
    for file, name in zip([*some, some[0]], (cat, cat, cat, dog, dog), strict=True):
        kept.keep(file, name)
    source = open_source(tmp_path / "kept", selection=Selection(labels=str(tmp_path / "kept/corrections.csv")))
    assert source.classes == (dog, cat)
    assert len((tmp_path / "kept/corrections.csv").read_text().splitlines()) == 5


def test_a_table_of_corrections_that_has_a_picture_twice_is_mended_by_the_next(picture, tmp_path):
    Corrections(tmp_path)
    (tmp_path / "corrections.csv").write_text("path,label\npictures/a.png,cat\npictures/a.png,dog\n")
    one = Corrections(tmp_path).keep(bodies.File("x", picture.read_bytes()), "cat")
    text = (tmp_path / "corrections.csv").read_text()
    assert text == f"path,label\npictures/a.png,dog\n{one.picture},cat\n"


def test_corrections_have_the_decoder_that_names_them(serve, tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    data, text = buffer.getvalue(), b"XML\0\0" + zlib.compress(bytes(2_000_000))
    chunk = len(text).to_bytes(4, "big") + b"zTXt" + text + zlib.crc32(b"zTXt" + text).to_bytes(4, "big")
    _, app = serve(corrections=Corrections(tmp_path))
    answer = ask(app, "/corrections?class=red", data[:33] + chunk + data[33:])
    assert (answer.code, answer.json["picture"][-4:]) == (200, ".png")


def test_a_disk_that_is_full_is_no_fault_of_the_client(serve, picture, tmp_path, monkeypatch):
    def full(*_):
        raise DataError("the disk is full")

    _, app = serve(corrections=Corrections(tmp_path))
    monkeypatch.setattr("alexnet.serving.corrections.write", full)
    assert ask(app, "/corrections?class=red", picture.read_bytes()).code == 500
    assert ask(app, "/corrections?class=violet", picture.read_bytes()).code == 400


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"shape": [2]}, 400),
        ({"shape": [1, 1]}, 200),
        ({"datatype": "FP32"}, 400),
        ({"name": "picture"}, 400),
        ({"data": ["*"]}, 400),
        ({"data": [], "shape": [1]}, 400),
        ({"data": [""]}, 422),
        ({"data": [{"b64": ""}]}, 422),
        ({"parameters": {"binary_data_size": 1}}, 400),
        ({"parameters": {"binary_data_size": 0}}, 400),
        ({"parameters": {str(number): 0 for number in range(2_000)}}, 413),
        ({"name": "x" * 1_000_000}, 400),
    ],
)
def test_what_does_not_follow_the_protocol_is_400(serve, picture, change, code):
    data = base64.b64encode(picture.read_bytes()).decode()
    tensor = {"name": "pictures", "datatype": "BYTES", "shape": [1], "data": [data], **change}
    answer = ask(serve()[1], "/v2/models/toy/infer", json.dumps({"inputs": [tensor]}).encode())
    assert answer.code == code
    assert len(answer.body) < 1_100


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 200),
        ({"outputs": [{"name": "class"}, {"name": "probabilities"}]}, 200),
        ({"outputs": [{"name": "class"}, {"name": "class"}]}, 400),
        ({"outputs": [{"name": "class"}, {"name": "probabilities"}, {"name": "class"}]}, 400),
        ({"id": "x" * 1_000}, 200),
        ({"id": "x" * 1_001}, 400),
    ],
)
def test_an_answer_has_each_output_once_and_is_not_much_longer_than_that(serve, picture, change, code):
    data = base64.b64encode(picture.read_bytes()).decode()
    tensor = {"name": "pictures", "datatype": "BYTES", "shape": [1], "data": [data]}
    assert ask(serve()[1], "/v2/models/toy/infer", json.dumps({"inputs": [tensor], **change}).encode()).code == code


@pytest.mark.parametrize("packs", [False, True])
def test_millions_of_pictures_without_a_byte_are_refused_before_they_are_made(serve, packs):
    tensor, tail = {"name": "pictures", "datatype": "BYTES", "shape": [4_000_000]}, bytes(16_000_000 if packs else 0)
    more = {"parameters": {"binary_data_size": len(tail)}} if packs else {"data": [""] * 4_000_000}
    head = json.dumps({"inputs": [{**tensor, **more}]}).encode()
    app, started = serve()[1], time.process_time()
    answer = ask(app, "/v2/models/toy/infer", head + tail, inference_header_content_length=str(len(head)))
    assert answer.code == 413
    assert time.process_time() - started < 1


def test_an_element_behind_the_protocol_has_the_length_that_it_says(serve, picture):
    data = picture.read_bytes()
    tensor = {"name": "pictures", "datatype": "BYTES", "shape": [1]}
    for size, more, code in ((4, 0, 200), (4, 1, 400), (5, 0, 400), (3, 0, 400)):
        tensor["parameters"] = {"binary_data_size": len(data) + size}
        head = json.dumps({"inputs": [tensor]}).encode()
        body = head + (len(data) + more).to_bytes(4, "little") + data
        answer = ask(serve()[1], "/v2/models/toy/infer", body, inference_header_content_length=str(len(head)))
        assert answer.code == code


def test_versions_of_the_protocol_are_one(serve):
    _, app = serve()
    assert ask(app, "/v2/models/toy/versions/1").code == 200
    assert ask(app, "/v2/models/toy/versions/2").code == 404


class Sized:
    """A network that may have so many pictures at a time."""

    def __init__(self, *sizes):
        self.sizes = [*sizes]


WHOLE = Sized(1, 32)


class Panic(BaseException):
    """What extensions in Rust raise."""


FAILURES = {-1: ValueError("a batch that fails"), -2: StopIteration(), -3: Panic()}


class Counted(Job):
    """A job whose batches are counted; pictures are numbers, `FAILURES` fail, and of -4 an answer is missing."""

    def compute(self, pictures):
        batches.append([*pictures])
        if error := FAILURES.get(pictures[0]):
            raise error
        if -4 in pictures:
            return []
        gate.result()
        return [*pictures]


batches, gate = [], None


def counted(views):
    return Counted((WHOLE,), views)


@pytest.fixture
def held():
    """A thread that holds the first batches until the function that it returns is called."""
    global gate
    batches.clear()
    with ThreadPoolExecutor(1) as thread:
        from threading import Event

        opened = Event()
        gate = thread.submit(opened.wait, 10)
        yield opened.set
        opened.set()


async def named(batcher, *groups):
    """Has the first group computed, which is held, and those that follow wait for it in order."""
    tasks, waiting = [], 0
    for job, pictures in groups:
        tasks.append(asyncio.create_task(batcher.name(job, [partial(int, each) for each in pictures])))
        waiting += len(pictures) if len(tasks) > 1 else 0
        while not batches or len(batcher._waiting) < waiting:
            await asyncio.sleep(0.001)
    return tasks


def test_what_waits_is_named_together_as_many_as_go_and_of_one_kind(held):
    async def talk():
        batcher, one, ten = (
            Batcher(Metrics(lambda: 0, lambda: True), 10, ThreadPoolExecutor(1)),
            counted(1),
            counted(10),
        )
        tasks = await named(batcher, (one, [0]), (one, [1]), (ten, [2]), (one, [3, 4]), (one, [*range(5, 40)]))
        held()
        return await asyncio.gather(*tasks)

    assert asyncio.run(talk()) == [[0], [1], [2], [3, 4], [*range(5, 40)]]
    assert batches == [[0], [1, *range(3, 34)], [2], [*range(34, 40)]]
    assert (counted(10).most, counted(1).most) == (3, 32)  # ten views take as long as ten pictures
    assert Counted((WHOLE, Sized(1, 2, 16)), 1).most == 16


def test_a_picture_whose_client_is_gone_is_not_computed(held):
    async def talk():
        batcher, one = Batcher(Metrics(lambda: 0, lambda: True), 10, ThreadPoolExecutor(1)), counted(1)
        first, gone, last = await named(batcher, (one, [0]), (one, [1]), (one, [2]))
        gone.cancel()
        await asyncio.sleep(0)
        held()
        return await asyncio.gather(first, last)

    assert asyncio.run(talk()) == [[0], [2]]
    assert batches == [[0], [2]]


def test_a_picture_that_waits_to_be_decoded_past_its_deadline_is_refused_and_never_decoded(held):
    decoded = []

    async def talk():
        batcher = Batcher(Metrics(lambda: 0, lambda: True), 0.05, ThreadPoolExecutor(1))
        first = asyncio.create_task(batcher.name(counted(1), [gate.result]))
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as refusal:
            await batcher.name(counted(1), [lambda: decoded.append(1)])
        held()
        with pytest.raises(Refusal):
            await first
        batcher._decoding.shutdown()
        return refusal.value.code

    assert (asyncio.run(talk()), decoded, batches) == (503, [], [])


def test_what_a_decoder_raises_is_raised_and_no_thread_that_can_be_started_costs_one_picture(monkeypatch):
    def stop():
        raise StopIteration

    async def talk():
        batcher = Batcher(Metrics(lambda: 0, lambda: True), 0.05, ThreadPoolExecutor(1))
        submit = batcher._computing.submit
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(batcher.name(Job((WHOLE,), 1), [stop]), 5)
        monkeypatch.setattr(batcher._computing, "submit", lambda run: 1 / 0)
        with pytest.raises(Refusal):
            await batcher.name(One((WHOLE,), 1), [tuple])
        monkeypatch.setattr(batcher._computing, "submit", submit)
        return await batcher.name(One((WHOLE,), 1), [tuple])

    class One(Job):
        def compute(self, pictures):
            return [1.0] * len(pictures)

    assert asyncio.run(talk()) == [1.0]


@pytest.mark.parametrize(("proven", "most"), [((1, 2, 3, 4, 6, 16), 16), ((16, 20, 32), 32)])
def test_as_many_pictures_go_together_as_the_largest_size_that_a_network_has_proven(models, proven, most):
    pixels = np.zeros((models["toy"].classifier.stored_size,) * 2 + (3,), np.uint8)
    job = Job((replace(models["toy"], sizes=[*proven]), models["toy"]), 1)
    assert job.most == most
    assert len(job.compute([(pixels, pixels)] * most)) == most


@pytest.mark.parametrize(("picture", "kind"), [(-1, ValueError), (-2, RuntimeError), (-3, Panic), (-4, ValueError)])
def test_a_batch_that_fails_is_answered_and_takes_no_other_with_it(held, picture, kind):
    async def talk():
        batcher, one = Batcher(Metrics(lambda: 0, lambda: True), 10, ThreadPoolExecutor(1)), counted(1)
        tasks = await named(batcher, (one, [0]), (counted(2), [picture]), (one, [2]))
        held()
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)

    first, failed, last = asyncio.run(talk())
    assert (first, last) == ([0], [2])
    assert isinstance(failed, kind)


@pytest.mark.parametrize("name", ["waiting", "bytes", "pixels", "files", "deadline", "drain"])
def test_limits_that_make_no_sense_are_refused(name):
    from alexnet.errors import UsageError

    with pytest.raises(UsageError):
        Limits(**{name: -1})


def test_a_refusal_is_its_code_and_sentence():
    assert (Refusal(400, "why").code, str(Refusal(400, "why"))) == (400, "why")


@pytest.mark.parametrize(
    ("text", "is_one"), [("x" * 16, True), ("x" * 15, False), ("", False), ("x" * 16 + "\ny", False)]
)
def test_a_token_is_one_line_of_sixteen_characters_or_more(tmp_path, text, is_one):
    from alexnet.errors import UsageError
    from alexnet.serving.server import access

    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(text)
    if is_one:
        assert access("127.0.0.1", file, False, ["https://there.example"]) == Access(text, ("https://there.example",))
    else:
        with pytest.raises(UsageError, match="holds no token"):
            access("127.0.0.1", file, False, ())


@pytest.mark.parametrize(
    ("host", "no_token", "is_local"), [("localhost", False, True), ("127.0.0.1", True, False), ("0.0.0.0", True, False)]
)
def test_a_service_without_a_token_is_this_machine_s_alone_unless_it_is_told_to_let_all_in(host, no_token, is_local):
    from alexnet.serving.server import access

    assert access(host, None, no_token, ()) == Access(None, (), is_local)
