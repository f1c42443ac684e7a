"""The service as its clients see it: a real one, on a free port of this machine."""

import asyncio
import base64
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3
from damage import unsealed
from running import Service, multipart

import alexnet as package
from alexnet.evaluation.classifier import load, predict

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

ROUNDS = int(os.environ.get("ALEXNET_STOPS", "2"))
"""How often a service is stopped under load; 50 before a release."""


@pytest.fixture(scope="module")
def files(pictures):
    return sorted(pictures.rglob("*.jpg"))


@pytest.fixture(scope="module")
def service(run, index, tmp_path_factory):
    folder = tmp_path_factory.mktemp("corrections")
    running = Service(run, "--index", index, "--corrections", folder, "--drain", 0, "--precision", "float32")
    running.corrections = folder
    yield running
    assert running.end() == 0, running.log[-20:]


def test_answers_have_the_bits_of_predict_however_many_are_sent_together(service, run, files):
    right = {
        Path(one.image).read_bytes(): [(each.class_name, each.probability) for each in one.predictions]
        for one in predict(load(run, numbers="float32"), files, top=3)
    }

    def ask(some):
        body, kind = multipart([file.read_bytes() for file in some])
        answers = json.loads(service("/predict?top=3", body, content_type=kind).data)["pictures"]
        return [[(each["class"], each["probability"]) for each in answer["guesses"]] for answer in answers]

    groups = [files[i : i + 1 + i % 5] for i in range(len(files))]
    with ThreadPoolExecutor(8) as threads:
        for some, answers in zip(groups, threads.map(ask, groups), strict=True):
            assert answers == [right[file.read_bytes()] for file in some]


def test_a_bad_picture_is_refused_alone_and_named_among_others(service, files):
    alone = service("/predict", b"no picture")
    assert (alone.status, list(json.loads(alone.data))) == (422, ["error"])
    body, kind = multipart([files[0].read_bytes(), b"", files[1].read_bytes()])
    answer = service("/predict", body, content_type=kind)
    assert answer.status == 200
    first, second, third = json.loads(answer.data)["pictures"]
    assert second == {"name": "1.jpg", "error": "the file is empty"}
    assert first["guesses"]
    assert third["guesses"]


def test_every_answer_carries_the_hash_of_the_weights(service, run, files):
    sha = json.loads((run / "manifest.json").read_text())["weights"]["sha256"]
    (card,) = json.loads(service("/models").data)
    answer = json.loads(service("/predict", files[0].read_bytes()).data)
    assert card["weights"] == answer["weights"] == sha
    assert card["classes"] == ["blue", "green", "red"]


def test_hostile_pictures_and_bodies_never_make_the_service_fail(service, files):
    sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
    import evil

    hostile = [
        *evil.ODD.values(),
        *(value[0] if isinstance(value, tuple) else value for value in evil.DAMAGED.values()),
    ]
    dice, good = random.Random(0), files[0].read_bytes()
    body, kind = multipart([good])
    for data in hostile:
        assert service("/predict", data).status in (200, 422)
    for _ in range(int(os.environ.get("ALEXNET_FUZZ", "60"))):
        place = dice.randrange(len(body))
        damaged = body[:place] + dice.randbytes(dice.randrange(9)) + body[place + dice.randrange(9) :]
        assert service("/predict", damaged, content_type=dice.choice([kind, "image/jpeg"])).status < 500
        assert service("/v2/models/toy/infer", damaged, inference_header_content_length=str(place)).status < 500
    assert service("/predict", good).status == 200


def test_requests_made_up_from_the_description_are_answered_as_it_says(service):
    schemathesis = pytest.importorskip("schemathesis", reason="needs the package schemathesis")
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    wrong = CHECKS.get_by_names(["positive_data_acceptance"])  # it takes any bytes for a picture
    description = schemathesis.openapi.from_url(f"http://{service.host}:{service.port}/openapi.json")

    def check(operation):
        @settings(max_examples=4, deadline=None, database=None, derandomize=True, suppress_health_check=[*HealthCheck])
        @given(operation.as_strategy())
        def ask(case):
            case.call_and_validate(excluded_checks=wrong)

        ask()

    for operation in description.get_all_operations():
        check(operation.ok())


def talk(service, *parts, ends=False):
    """Sends parts as they are; returns all that comes back until the service ends the connection, or `ends` it."""
    with socket.create_connection((service.host, service.port), 20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))
        except ConnectionError:
            return b""


PREDICT = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /%00%ff/..%2f..%2fetc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /../../pyproject.toml HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET http://other/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /models?model=%ff&%=&&=\x80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n",
        PREDICT + b"Content-Length: 1000\r\n\r\nhalf",
        PREDICT + b"Content-Length: -1\r\n\r\n",
        PREDICT + b"Content-Length: 99999999999999999999999\r\n\r\n",
        PREDICT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        PREDICT + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        PREDICT + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc",
        PREDICT + b"Connection: close\r\nContent-Type: multipart/form-data\r\nContent-Length: 0\r\n\r\n",
        PREDICT + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    ],
)
def test_half_open_and_broken_connections_do_no_harm(service, sent):
    codes = [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+)", talk(service, sent, ends=True))]
    assert all(code < 500 for code in codes)
    assert service("/v2/health/ready").status == 200


def test_a_client_that_goes_on_sending_what_was_refused_still_gets_the_answer(service, files):
    long = PREDICT + b"Content-Length: 30000000\r\n\r\n"
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answers = talk(service, long, *[bytes(1_000_000)] * 30, last)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"413", b"200"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/predict?top=0", 400),
        ("/predict?views=3", 400),
        ("/predict?model=nobody", 404),
        ("/explain?method=magic", 400),
        ("/explain?class=violet", 400),
        ("/activations?layer=fc6", 400),
        ("/neighbours?top=101", 400),
        ("/corrections?class=violet", 400),
        ("/v2/models/nobody/infer", 404),
    ],
)
def test_a_wrong_request_is_refused_with_one_sentence(service, files, path, code):
    answer = service(path, files[0].read_bytes())
    assert answer.status == code
    assert json.loads(answer.data)["error"]


def test_maps_and_layers_come_as_pictures(service, files):
    drawn = json.loads(service("/explain?method=gradcam&class=red", files[0].read_bytes()).data)
    assert (drawn["class"], drawn["map"][:22], set(drawn)) == (
        "red",
        "data:image/png;base64,",
        {"class", "label", "method", "map", "passed", "failure", "scores"},
    )
    maps = json.loads(service("/activations?layer=conv1", files[0].read_bytes()).data)
    assert (maps["shape"][0], len(maps["towers"]), maps["columns"]) == (8, 2, 2)


def test_neighbours_are_those_of_a_search_and_the_picture_itself_is_the_nearest(service, run, index, files):
    (query,) = package.search(index, [files[0]], top=3, run=run, precision="float32").queries
    answer = service("/neighbours?top=3", files[0].read_bytes())
    near = json.loads(answer.data)["neighbours"]
    assert [(one["class"], one["distance"]) for one in near] == [
        (one.class_name, one.distance) for one in query.neighbours
    ]
    assert near[0]["picture"] == "/".join(files[0].parts[-2:])
    assert near[0]["thumbnail"].startswith("data:image/jpeg;base64,/9j/")
    assert json.loads(service("/models").data)[0]["has_index"]


def test_an_index_of_another_network_is_one_line_before_the_socket_opens(alexnet, run, index, tmp_path):
    other = tmp_path / "colours"
    shutil.copytree(index, other)
    fields = unsealed((other / "index.json").read_bytes())
    (other / "index.json").write_text(json.dumps({**fields, "weights_sha256": "0" * 64}))
    code, out, err = alexnet("serve", run, "--index", other, "--port", 0)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "which is not served" in err


def test_a_picture_that_waits_past_its_deadline_is_refused_with_503_and_is_never_computed():
    from alexnet.serving.batcher import Batcher, Job
    from alexnet.serving.front import refused
    from alexnet.serving.limits import Refusal
    from alexnet.serving.metrics import Metrics

    computed, is_refused = [], threading.Event()

    class Slow(Job):
        most = 1

        def compute(self, pictures):
            computed.append(len(pictures))
            is_refused.wait(10)
            return [0] * len(pictures)

    async def talk():
        batcher = Batcher(Metrics(lambda: 0, lambda: True), 0.3, ThreadPoolExecutor(1))
        first = asyncio.create_task(batcher.name(Slow((), 1), [tuple]))
        while not computed:
            await asyncio.sleep(0.001)
        with pytest.raises(Refusal) as refusal:
            await batcher.name(Slow((), 1), [tuple])
        is_refused.set()
        return await first, refused(refusal.value)

    answered, response = asyncio.run(talk())
    assert answered == [0]  # what runs is finished, though past its deadline
    assert (response.status_code, response.headers["Retry-After"], computed) == (503, "1", [1])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_before_the_networks_are_loaded_ends_the_program(number, code):
    command = (
        "import os, signal\nfrom alexnet.serving.server import Signals\n"
        f"with Signals().handled():\n    os.kill(os.getpid(), {int(number)})\nraise AssertionError"
    )
    ended = subprocess.run([sys.executable, "-c", command], capture_output=True, timeout=60)
    assert ended.returncode == code
    assert b"AssertionError" not in ended.stderr


def test_a_correction_is_kept_with_its_picture(service, files):
    kept = json.loads(service("/corrections?class=green", files[0].read_bytes()).data)
    assert (service.corrections / kept["picture"]).read_bytes() == files[0].read_bytes()
    assert (service.corrections / "corrections.csv").read_text() == f"path,label\n{kept['picture']},green\n"


def test_the_open_inference_protocol_takes_pictures_in_json_and_behind_it(service, files):
    picture = files[0].read_bytes()
    right = json.loads(service("/predict?top=1", picture).data)["pictures"][0]["guesses"][0]
    tensor = {"name": "pictures", "datatype": "BYTES", "shape": [1]}
    plain = {"id": "7", "inputs": [{**tensor, "data": [base64.b64encode(picture).decode()]}]}
    answer = json.loads(service("/v2/models/toy/infer", json.dumps(plain)).data)
    assert (answer["id"], answer["model_name"]) == ("7", "toy")
    probabilities, names = answer["outputs"]
    assert (probabilities["shape"], max(probabilities["data"]), names["data"]) == (
        [1, 3],
        right["probability"],
        [right["class"]],
    )
    element = len(picture).to_bytes(4, "little") + picture
    wanted = [{"name": "class", "parameters": {"binary_data": True}}]
    head = json.dumps(
        {"inputs": [{**tensor, "parameters": {"binary_data_size": len(element)}}], "outputs": wanted}
    ).encode()
    binary = service("/v2/models/toy/infer", head + element, inference_header_content_length=str(len(head)))
    length = int(binary.headers["Inference-Header-Content-Length"])
    assert binary.data[length:] == len(right["class"]).to_bytes(4, "little") + right["class"].encode()


def test_pages_are_isolated_and_run_no_foreign_script(service):
    headers = service("/").headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert service("/predict", b"x", origin="https://elsewhere.example").status == 403
    assert b"/predict" in service("/reference").data


def test_metrics_count_requests_by_code(service):
    service("/predict", b"no picture")
    assert b'alexnet_requests_total{code="422",route="/predict"}' in service("/metrics").data


def test_overload_gives_only_answers_and_refusals(run, files):
    service, picture = Service(run, "--waiting", 4, "--drain", 0), files[0].read_bytes()
    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(lambda _: service("/predict", picture), range(400)))
    assert {answer.status for answer in answers} == {200, 429}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 429)
    assert all(json.loads(answer.data)["pictures"][0]["guesses"] for answer in answers if answer.status == 200)
    assert service.end() == 0


def test_sigterm_under_load_loses_no_request_that_was_accepted(run, files):
    picture = files[0].read_bytes()
    for number in range(ROUNDS):
        service, lost, answered = Service(run, "--drain", number % 2 * 0.5), [], []

        def ask(service=service, lost=lost, answered=answered):
            while True:
                try:
                    answered.append(service("/predict", picture).status)
                except urllib3.exceptions.NewConnectionError:
                    return
                except urllib3.exceptions.HTTPError as error:
                    lost.append(error)
                    return

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        while len(answered) < 20:
            threading.Event().wait(0.01)
        assert service.end() == 0
        for thread in threads:
            thread.join()
        assert not lost
        assert set(answered) == {200}


def test_a_token_is_asked_for_by_all_but_the_page_and_the_health(run, files, tmp_path):
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("a-token-of-some-length\n")
    service = Service(run, "--token-file", token, "--drain", 0)
    assert service("/v2/health/ready").status == 200
    assert service("/").status == 200
    assert [service(path).status for path in ("/models", "/metrics", "/v2/models/toy")] == [401] * 3
    assert service("/predict", files[0].read_bytes(), authorization="Bearer wrong").status == 401
    assert service("/predict", files[0].read_bytes(), authorization="Bearer a-token-of-some-length").status == 200
    assert service.end(signal.SIGINT) == 0


def test_what_cannot_be_served_is_one_line_before_the_socket_opens(alexnet, run, tmp_path):
    open_to_all = tmp_path / "token"
    open_to_all.write_text("a-token-of-some-length")
    open_to_all.chmod(0o644)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        for words, part in (
            ((run, "--port", other.getsockname()[1]), "choose another --port"),
            ((run, run, "--port", 0), "two of the networks are called toy"),
            ((run, "--host", "0.0.0.0", "--port", 0), "give a --token-file, or say --no-token"),
            ((run, "--token-file", open_to_all, "--port", 0), "chmod 600"),
            ((tmp_path / "nothing", "--port", 0), "no trained network"),
        ):
            code, out, err = alexnet("serve", *words)
            assert (code, out, err.count("\n")) == (2, "", 1)
            assert part in err


def test_a_network_that_answers_wrongly_is_never_ready(run):
    from alexnet.errors import CheckpointError
    from alexnet.serving.limits import Limits
    from alexnet.serving.served import open_runs
    from alexnet.serving.service import Service as Whole

    models = open_runs([run], "float32")
    service = Whole(models, Limits(), None, False)
    models["toy"].classifier.model.fc8.bias.data += 1.0 - 2.0 * (models["toy"].classifier.model.fc8.bias.data > 0)
    models["toy"].classifier.model.fc8.bias.data[0] += 5
    asyncio.run(service.prove())
    assert not service.is_ready
    assert isinstance(service.failure, CheckpointError)


def test_a_proof_that_fails_for_whatever_reason_ends_the_service_with_it():
    import uvicorn

    from alexnet.serving.limits import Limits
    from alexnet.serving.server import Server
    from alexnet.serving.service import Service as Whole

    class Broken:
        def prove(self):
            raise RuntimeError("could not create a primitive")

    async def talk():
        server = Server(uvicorn.Config(None), service, lambda: None)
        await service.prove()
        return await server.on_tick(1)

    service = Whole({"broken": Broken()}, Limits(), None, False)
    assert asyncio.run(talk())
    with pytest.raises(RuntimeError, match="could not create a primitive"):
        raise service.failure


def test_a_loop_that_cannot_watch_a_listener_still_ends(monkeypatch):
    import uvicorn

    from alexnet.serving.limits import Limits
    from alexnet.serving.server import Server, listen
    from alexnet.serving.service import Service as Whole

    async def talk(listener):
        def remove_reader(place):
            raise NotImplementedError  # as Windows' loop does

        config = uvicorn.Config(refuse_all, lifespan="off", log_config=None)
        server = Server(config, service, lambda: None)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup([listener])
        with monkeypatch.context() as windows:
            windows.setattr(asyncio.get_running_loop(), "remove_reader", remove_reader)
            await server._take_waiting(listener)
        await server.shutdown([listener])

    async def refuse_all(scope, receive, send):
        raise AssertionError

    service = Whole({}, Limits(), None, False)
    with listen("127.0.0.1", 0) as listener:
        asyncio.run(talk(listener))
    assert service.is_leaving


@pytest.mark.parametrize(("system", "shares"), [("posix", True), ("nt", False)])
def test_a_port_is_taken_over_where_that_gives_it_to_one_program_alone(monkeypatch, system, shares):
    from types import SimpleNamespace

    from alexnet.serving import server

    monkeypatch.setattr(server, "os", SimpleNamespace(name=system))
    with server.listen("127.0.0.1", 0) as listener:
        assert bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)) == shares


async def left_alone(sent, app=None):
    """Returns what a connection gives until it is closed on the service's side, after a patience of 0.1 s."""
    import uvicorn
    from uvicorn.server import ServerState

    from alexnet.serving.server import Protocol

    class Impatient(Protocol):
        patience = 0.1

    config = uvicorn.Config(app, http=Impatient, lifespan="off", log_config=None, timeout_keep_alive=60)
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: Impatient(config, ServerState(), {}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    server.close()
    return answer


def test_answers_are_not_kept_back_to_be_sent_together_with_others():
    from alexnet.serving.server import listen

    async def delays(listener):
        answer = asyncio.get_running_loop().create_future()
        async with await asyncio.start_server(lambda reader, writer: answer.set_result(writer), sock=listener):
            _, client = await asyncio.open_connection(*listener.getsockname())
            writer = await answer
            option = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for each in (client, writer):
                each.close()
        return not option

    with listen("127.0.0.1", 0) as listener:
        assert not asyncio.run(delays(listener))


def test_a_connection_whose_headers_do_not_end_is_closed():
    for sent in (b"", b"POST /predict HTTP/1.1\r\nA: b\r\n"):
        assert asyncio.run(left_alone(sent)) == b""
    assert asyncio.run(left_alone(b"GET / HTTP/1.1\r\nA: " + b"b" * 100_000)).startswith(b"HTTP/1.1 400")


async def deaf(answers):
    """Returns the connections that a service has when its client has read nothing for a while."""
    import uvicorn
    from starlette.responses import Response
    from uvicorn.server import ServerState

    from alexnet.serving.server import Protocol

    class Impatient(Protocol):
        stalled = 0.1

    config, state = (
        uvicorn.Config(Response(bytes(10_000_000)), http=Impatient, lifespan="off", log_config=None),
        ServerState(),
    )
    config.load()
    server = await asyncio.get_running_loop().create_server(lambda: Impatient(config, state, {}), "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * answers)
    while not state.connections:
        await asyncio.sleep(0.001)
    until = asyncio.get_running_loop().time() + 5
    while state.connections and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.01)
    connections = len(state.connections)
    writer.close()
    server.close()
    return connections


@pytest.mark.parametrize("answers", [1, 2])
def test_a_client_that_takes_nothing_of_its_answer_holds_no_connection_for_ever(answers):
    assert asyncio.run(deaf(answers)) == 0


@pytest.mark.parametrize(("left", "is_cut"), [([5, 4, 3, 0], False), ([5, 4, 4], True), ([5, 6], True), ([0], False)])
def test_a_client_is_cut_off_only_when_it_takes_nothing_for_a_while(left, is_cut):
    import uvicorn
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

    from alexnet.serving.server import Protocol

    class Transport:
        was_cut = False

        def get_write_buffer_size(self):
            return left.pop(0)

        def abort(self):
            self.was_cut = True

    async def talk():
        protocol = Protocol(uvicorn.Config(None, lifespan="off", log_config=None), ServerState(), {})
        protocol.transport, protocol.flow, protocol.stalled = Transport(), FlowControl(None), 0.01
        protocol.pause_writing()
        while left:
            await asyncio.sleep(0.01)
        return protocol.transport.was_cut

    assert asyncio.run(talk()) == is_cut


def test_a_connection_that_sends_the_rest_of_a_refused_body_or_of_headers_too_slowly_is_closed():
    from alexnet.serving.front import refused
    from alexnet.serving.limits import Refusal

    refusal, head = refused(Refusal(413, "too large")), b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
    assert asyncio.run(left_alone(head + b"1000\r\n\r\nx", refusal)).startswith(b"HTTP/1.1 413")
    assert asyncio.run(left_alone(head + b"0\r\n\r\nGET / HT", refusal)).startswith(b"HTTP/1.1 413")
