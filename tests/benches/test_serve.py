"""The bench of the service, against one that answers at once."""

import asyncio

from alexnet.benches import serve


async def answer(reader, writer):
    while head := await reader.readline():
        while (line := await reader.readline()) != b"\r\n":
            head = line
        await reader.readexactly(int(head.split()[1]))
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    writer.close()


async def measured(monkeypatch):
    monkeypatch.setattr(serve, "_photograph", lambda seed: bytes(1000))
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    rate, slowest = await serve._closed(port, 0.2), await serve._open(port, 500.0, 0.2)
    server.close()
    return rate, slowest


def test_clients_ask_at_once_and_at_half_the_rate(monkeypatch):
    rate, slowest = asyncio.run(measured(monkeypatch))
    assert 100 < rate <= 32 / 0.01  # 32 clients, each of which waits 10 ms
    assert slowest >= 10
