"""Ten times as many pictures as the service can name.

`ALEXNET_OVERLOAD_S=600 pytest tests/serving/test_overload.py -s` before a release; it prints a line every ten seconds.
"""

import asyncio
import os
import re
import sys
import time
from collections import Counter

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from running import Service

SECONDS = float(os.environ.get("ALEXNET_OVERLOAD_S", "3"))
CLIENTS, TIMES = 400, 10


class Load:
    """Clients that send a picture at each moment of a plan, whoever still waits."""

    def __init__(self, port, picture):
        self.port = port
        head = b"POST /predict?top=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(picture)
        self.request = head + picture
        self.answers, self.lost, self.plan = Counter(), [], asyncio.Queue()

    async def client(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while await self.plan.get():
            try:
                writer.write(self.request)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
                body = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
                code = int(head[9:12])
                assert (b'"guesses"' in body) == (code == 200)
                assert code == 200 or b"retry-after: 1" in head
                self.answers[code] += 1
            except (OSError, EOFError, TimeoutError) as error:
                self.lost.append(error)
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()

    async def at(self, rate, seconds, clients, each_second=lambda second: None):
        """Sends so many pictures a second; returns how many were sent a second, which may be fewer."""
        tasks = [asyncio.create_task(self.client()) for _ in range(clients)]
        started, second, before = time.perf_counter(), 0, self.answers.total()
        while (now := time.perf_counter() - started) < seconds:
            missing = int(now * rate) - (self.answers.total() - before) - self.plan.qsize()
            for _ in range(min(missing, clients - self.plan.qsize())):
                self.plan.put_nowait(True)
            if now >= second:
                each_second(second)
                second += 1
            await asyncio.sleep(0.005)
        for _ in tasks:
            self.plan.put_nowait(False)
        await asyncio.gather(*tasks)
        return (self.answers.total() - before) / (time.perf_counter() - started)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_ten_times_overload_gives_only_answers_and_refusals_in_flat_memory():
    from alexnet.benches.data import photograph

    service, memory = Service("tiny-imagenet", "--drain", 0, "--deadline", 1.5), []

    async def overload():
        load = Load(service.port, photograph(0))
        capacity = await load.at(10_000, min(10, SECONDS), 32)
        assert {*load.answers} == {200}
        load.answers.clear()

        def note(second):
            memory.append(service.megabytes())
            if second % 10 == 0:
                print(f"{second:4d} s  {memory[-1]:6.0f} MB  {dict(load.answers)}  lost {len(load.lost)}", flush=True)

        sent = await load.at(TIMES * capacity, SECONDS, CLIENTS, note)
        print(f"capacity {capacity:.0f}/s, sent {sent:.0f}/s, named {load.answers[200] / SECONDS:.0f}/s")
        return load

    load = asyncio.run(overload())
    warm = memory[len(memory) // 10 :]
    print(f"memory {min(warm):.0f} to {max(warm):.0f} MB")
    assert {*load.answers} <= {200, 429, 503}
    assert load.answers[200]
    assert load.answers[429]
    assert not load.lost
    assert max(warm) - min(warm) < 50
    assert service.end() == 0
    codes = Counter(int(code) for code in re.findall(r'"path": "/predict", "code": (\d+)', "".join(service.log)))
    assert sum(codes[code] for code in load.answers) == codes.total()  # nobody was gone, nothing broke
