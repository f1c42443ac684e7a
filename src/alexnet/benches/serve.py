"""A service under 32 clients, beside decoding and naming the same pictures, and beside one picture after another.

All three stand ready for the whole of the bench and take short turns, so that a disturbance meets them alike.
"""

import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import quantiles

import numpy as np

from alexnet import machine
from alexnet.benches.contest import Contest, Contestant, Notice, rows, typical
from alexnet.benches.data import photograph
from alexnet.benches.findings import Findings, Size
from alexnet.data import decode
from alexnet.evaluation.classifier import Classifier, best, load
from alexnet.weights.box import TINY_IMAGENET

CLIENTS = 32
PICTURES = 8
START_S, ANSWER_S = 60.0, 10.0
"""Seconds within which a service has to stand, and to give the answers that are due."""

_photograph = cache(photograph)


@dataclass(frozen=True)
class Rate:
    """Pictures a second, and the processor time of each; None where the system does not tell."""

    images_per_s: float
    processor_ms: float | None


@dataclass(frozen=True)
class Round:
    """What one round measured of the work alone, of our service and of the plain one."""

    work: Rate
    ours: Rate
    plain: Rate
    p99_ms: float  # of our service, at half of its rate
    bound_ms: float  # one picture alone and one batch, without a service


def bench(size: Size, notice: Notice) -> Findings:
    """Compares `alexnet serve` with the work itself, and with a service that names one picture after another."""
    # Threads of all three sleep while they wait: spinning ones make figures of a machine that others use worthless.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    contestant = Contestant("all in turns, for about two minutes", measure, True)
    contest = Contest([contestant], replace(size, rounds=1), notice)
    rounds = [each for turn in contest(contestant) for each in turn]
    work, ours = "decoding, and predicting in batches", f"alexnet serve, {CLIENTS} clients"
    plain = f"Starlette, one by one, {CLIENTS} clients"
    measured = {ours: [x.ours for x in rounds], plain: [x.plain for x in rounds], work: [x.work for x in rounds]}
    rates = {name: [each.images_per_s for each in turns] for name, turns in measured.items()}
    times = {name: [each.processor_ms for each in turns if each.processor_ms] for name, turns in measured.items()}
    table = []
    for name in measured:
        peers = (plain, work) if name == ours else ()
        table += rows(f"serve: {name}", "images/s", rates[name], {peer: rates[peer] for peer in peers})
        beside = {peer: times[peer] for peer in peers}
        table += rows(f"serve: {name}, processor time of a picture", "ms", times[name], beside)
    alone = {"one picture alone and one batch": [each.bound_ms for each in rounds]}
    slowest = [each.p99_ms for each in rounds]
    table += rows(f"serve: {ours}, 99th percentile at half that rate", "ms", slowest, alone)
    return Findings(table)


def measure(size: Size) -> list[Round]:
    """Measures rounds of turns, as many as there is patience for."""
    ours = [sys.executable, "-m", "alexnet", "serve", TINY_IMAGENET, "--port", "0", "--drain", "0"]
    plain = [sys.executable, "-c", "from alexnet.benches.serve import serve_plainly; serve_plainly()"]
    measured, classifier = list[Round](), load(TINY_IMAGENET)
    with ThreadPoolExecutor(machine.cores()) as threads, _running(ours) as served, _running(plain) as plainly:
        started = time.monotonic()
        while len(measured) < 3 * size.rounds and time.monotonic() - started < 2 * size.patience:
            work, bound_ms = _work(classifier, threads, size)
            rate = served.rate(size.seconds)
            p99_ms = served.slowest_ms(rate.images_per_s / 2, 2 * size.seconds)
            measured.append(Round(work, rate, plainly.rate(size.seconds), p99_ms, bound_ms))
    return measured


def _work(classifier: Classifier, threads: ThreadPoolExecutor, size: Size) -> tuple[Rate, float]:
    """Measures decoding in threads and then predicting; also one picture alone and one batch, in milliseconds."""
    files = [_photograph(i % PICTURES) for i in range(size.predict_batch)]
    named = 0

    def name(some: list[bytes]) -> None:
        nonlocal named
        named += len(some)
        classifier.probabilities(np.stack(list(threads.map(partial(_read, classifier), some))))

    before = time.process_time()
    many = typical(partial(name, files), size.seconds)
    processor_ms = 1e3 * (time.process_time() - before) / named
    one = typical(partial(name, files[:1]), size.seconds / 4)
    return Rate(len(files) / many, processor_ms), 1e3 * (one + many)


def serve_plainly() -> None:
    """Serves from a free port as examples on the Web do."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    classifier = load(TINY_IMAGENET)

    async def predict(request: Request) -> Response:
        picture = _read(classifier, await request.body())
        guesses = best(classifier.probabilities(picture[None])[0], classifier.classes, 5)
        return JSONResponse([[each.class_name, each.probability] for each in guesses])

    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # as uvicorn opens it; it answers without delay
        listener.bind(("127.0.0.1", 0))
        sys.stderr.write(f"serving at http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stderr.flush()
        app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
        uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False)).run([listener])


def _read(classifier: Classifier, data: bytes) -> decode.Pixels:
    return decode.load(data, "picture", classifier.stored_size, classifier.square)


@dataclass(frozen=True)
class Running:
    """A service, by its port and the number of its process."""

    port: int
    process: int

    def rate(self, seconds: float) -> Rate:
        """Measures clients each of which sends the next picture when it has an answer."""
        with Clients(self.port, CLIENTS) as clients:
            clients.keep_busy(seconds / 4)  # to warm up
            started, before = time.perf_counter(), self._processor_s()
            answered = clients.keep_busy(seconds)
            processor_s, seconds = self._processor_s() - before, time.perf_counter() - started
            clients.finish()
        if not answered:
            raise RuntimeError(f"a service names nothing in {seconds:.1f} s")
        return Rate(answered / seconds, 1e3 * processor_s / answered or None)

    def slowest_ms(self, rate: float, seconds: float) -> float:
        """Returns the 99th percentile of pictures that come at a rate, whoever is still waiting."""
        with Clients(self.port, 4 * CLIENTS) as clients:
            started = time.perf_counter()
            for number in range(max(100, int(rate * seconds))):
                if time.perf_counter() > started + 3 * seconds:
                    break  # something else has the processor, and the figure is lost
                while not clients.can_send or time.perf_counter() < started + number / rate:
                    clients.receive(max(0.0, started + number / rate - time.perf_counter()))
                clients.send(started + number / rate)
            clients.finish()
        return 1e3 * quantiles(clients.seconds, n=100)[-1]

    def _processor_s(self) -> float:
        """Returns the processor time that it has taken; always 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _running(words: list[str]) -> Iterator[Running]:
    """Runs a service in a process of its own, and kills it in the end."""
    plain = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    with (
        tempfile.TemporaryDirectory() as folder,
        (place := Path(folder, "log")).open("wb") as log,
        subprocess.Popen(words, stderr=log, stdout=log, env=plain) as process,
    ):
        try:
            until = time.monotonic() + START_S
            while time.monotonic() < until and process.poll() is None:
                if ready := re.search(rb"serving .*at http://[\d.]+:(\d+)\n", place.read_bytes()):
                    yield Running(int(ready[1]), process.pid)
                    return
                time.sleep(0.05)
            lines = place.read_text(errors="replace").splitlines() or ["it says nothing"]
            raise RuntimeError(f"a service did not start within {START_S:g} s: {lines[-1]}")
        finally:
            process.kill()


class Clients:
    """Connections, each with one picture on its way at a time, in one thread that takes little from the service."""

    def __init__(self, port: int, most: int) -> None:
        self.seconds = list[float]()
        self._port, self._most, self._count = port, most, 0
        self._free, self._since = list[socket.socket](), dict[socket.socket, float]()
        self._answers = defaultdict[socket.socket, bytes](bytes)  # as far as they have come
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> "Clients":
        """Returns the clients, of which none is connected."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends all connections."""
        for each in (*self._free, *self._since):
            each.close()
        self._selector.close()

    @property
    def can_send(self) -> bool:
        """Whether one more picture can be on its way."""
        return len(self._since) < self._most

    def send(self, since: float) -> None:
        """Sends the next picture, which counts from a moment."""
        picture, client = _photograph(self._count % PICTURES), self._free.pop() if self._free else self._connect()
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(picture)
        client.sendall(head + picture)
        self._since[client], self._count = since, self._count + 1

    def receive(self, seconds: float) -> None:
        """Waits for so many seconds for answers, and takes those that are there."""
        for client in [key.fileobj for key, _ in self._selector.select(seconds)]:
            assert isinstance(client, socket.socket)
            if client in self._free:  # the service ends a connection that was idle
                self._selector.unregister(client)
                self._free.remove(client)
                client.close()
            else:
                self._answers[client] += (part := client.recv(1 << 16))
                if _is_whole(self._answers[client]) or not part:
                    _check(self._answers.pop(client))
                    self.seconds.append(time.perf_counter() - self._since.pop(client))
                    self._free.append(client)

    def keep_busy(self, seconds: float) -> int:
        """Has each client send the next picture when it has an answer, until one has come at least.

        Returns how many answers came.
        """
        until, before = time.perf_counter() + seconds, len(self.seconds)
        while (now := time.perf_counter()) < until or (len(self.seconds) == before and now < until + ANSWER_S):
            while self.can_send:
                self.send(now)
            self.receive(max(0.01, until - now))
        return len(self.seconds) - before

    def finish(self) -> None:
        """Waits for the answers that are due, for at most `ANSWER_S`."""
        until = time.perf_counter() + ANSWER_S
        while self._since and (now := time.perf_counter()) < until:
            self.receive(until - now)

    def _connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._port), ANSWER_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)  # takes a picture whole
        self._selector.register(client, selectors.EVENT_READ)
        return client


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return length is not None and len(body) == int(length[1])


def _check(answer: bytes) -> None:
    """Raises RuntimeError where an answer is a refusal, or none."""
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"a service answers {answer[9:12].decode() or 'nothing'}")
