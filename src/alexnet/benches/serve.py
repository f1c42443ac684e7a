"""A service under 32 clients, beside decoding and naming the same pictures, and beside one picture after another."""

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from statistics import quantiles

import numpy as np

from alexnet import machine
from alexnet.benches.contest import Contest, Contestant, Notice, typical
from alexnet.benches.data import photograph
from alexnet.benches.findings import Findings, Size
from alexnet.data import decode
from alexnet.evaluation.classifier import Classifier, best, load
from alexnet.weights.box import TINY_IMAGENET

CLIENTS = 32
PICTURES = 8

_photograph = cache(photograph)


@dataclass(frozen=True)
class Rates:
    """What one turn measured; None stands for what the contestant does not measure."""

    images_per_s: float
    p99_ms: float | None = None  # at half that rate; without a service, one picture alone and one batch


def bench(size: Size, notice: Notice) -> Findings:
    """Compares `alexnet serve` with the work itself, and with a service that names one picture after another."""
    work = Contestant("decoding, and predicting in batches", measure_work, True)
    ours = Contestant(f"alexnet serve, {CLIENTS} clients", measure_ours)
    plain = Contestant(f"Starlette, one by one, {CLIENTS} clients", measure_plain)
    contest = Contest([work, ours, plain], size, notice)
    table = contest.rows("serve: {}", "images/s", lambda turn: turn.images_per_s, [ours], [plain, work])
    alone = {"one picture alone and one batch": contest.series(work, lambda turn: turn.p99_ms)}
    name = "serve: {}, 99th percentile at half that rate"
    return Findings(table + contest.rows(name, "ms", lambda turn: turn.p99_ms, [ours], bounds=lambda _: alone))


def measure_work(size: Size) -> Rates:
    """Measures decoding in threads and then predicting, without any service."""
    classifier, files = load(TINY_IMAGENET), [_photograph(i % PICTURES) for i in range(size.predict_batch)]
    with ThreadPoolExecutor(machine.cores()) as threads:

        def name(some: list[bytes]) -> None:
            classifier.probabilities(np.stack(list(threads.map(partial(_read, classifier), some))))

        many, one = (typical(partial(name, some), size.seconds) for some in (files, files[:1]))
    return Rates(len(files) / many, 1e3 * (one + many))


def measure_ours(size: Size) -> Rates:
    """Measures `alexnet serve`: how many pictures a second, and how long they take at half that rate."""
    words = [sys.executable, "-m", "alexnet", "serve", TINY_IMAGENET, "--port", "0", "--drain", "0"]
    with _running(words) as port:
        rate = asyncio.run(_closed(port, size.seconds))
        return Rates(rate, asyncio.run(_open(port, rate / 2, 2 * size.seconds)))


def measure_plain(size: Size) -> Rates:
    """Measures a service of a few lines that names each picture when it comes."""
    with _running([sys.executable, "-c", "from alexnet.benches.serve import serve_plainly; serve_plainly()"]) as port:
        return Rates(asyncio.run(_closed(port, size.seconds)))


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

    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stderr.write(f"serving at http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stderr.flush()
        app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
        uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False)).run([listener])


def _read(classifier: Classifier, data: bytes) -> decode.Pixels:
    return decode.load(data, "picture", classifier.stored_size, classifier.square)


@contextmanager
def _running(words: list[str]) -> Iterator[int]:
    """Runs a service in a process of its own; yields its port."""
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(r"serving .*at http://[\d.]+:(\d+)", line):
                    with ThreadPoolExecutor(1) as reader:
                        reader.submit(process.stderr.read)  # its log, which would fill the pipe
                        try:
                            yield int(found[1])
                        finally:
                            process.terminate()
                    return
            raise RuntimeError("the service did not start")
        finally:
            process.kill()


async def _ask(port: int, requests: "asyncio.Queue[float]", seconds: list[float]) -> None:
    """Sends a picture for each moment of a queue, and notes how long after that moment its answer is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    try:
        while (since := await requests.get()) >= 0:
            picture = _photograph(number % PICTURES)
            number += 1
            writer.write(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the service answers {head[9:12].decode()}")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            assert length is not None
            await reader.readexactly(int(length[1]))
            seconds.append(time.perf_counter() - since)
    finally:
        writer.close()


async def _closed(port: int, seconds: float) -> float:
    """Returns the pictures a second of clients each of which sends the next when it has an answer."""
    counts: list[list[float]] = [[] for _ in range(CLIENTS)]
    requests: asyncio.Queue[float] = asyncio.Queue()
    tasks = [asyncio.create_task(_ask(port, requests, count)) for count in counts]

    async def feed(until: float) -> int:
        before = sum(map(len, counts))
        while time.perf_counter() < until:
            while requests.qsize() < CLIENTS:
                requests.put_nowait(0.0)
            await asyncio.sleep(0.001)
        return sum(map(len, counts)) - before

    await feed(time.perf_counter() + seconds / 2)  # to warm up
    started = time.perf_counter()
    answered = await feed(started + seconds)
    rate = answered / (time.perf_counter() - started)
    await _end(requests, tasks)
    return rate


async def _open(port: int, rate: float, seconds: float) -> float:
    """Returns the 99th percentile, in milliseconds, of pictures that come at a rate, whoever is still waiting."""
    times: list[float] = []
    requests: asyncio.Queue[float] = asyncio.Queue()
    tasks = [asyncio.create_task(_ask(port, requests, times)) for _ in range(4 * CLIENTS)]
    started = time.perf_counter()
    for number in range(max(100, int(rate * seconds))):
        at = started + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        requests.put_nowait(at)
    await _end(requests, tasks)
    return 1e3 * quantiles(times, n=100)[-1]


async def _end(requests: "asyncio.Queue[float]", tasks: "list[asyncio.Task[None]]") -> None:
    for _ in tasks:
        requests.put_nowait(-1.0)
    await asyncio.gather(*tasks)
