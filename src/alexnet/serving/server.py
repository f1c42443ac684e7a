"""The process: its socket, its signals, and connections that do not hang."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from alexnet.errors import UsageError
from alexnet.serving.front import LOG, Access
from alexnet.serving.limits import BODY_SECONDS, Limits
from alexnet.serving.service import Service
from alexnet.serving.tokens import read_token

HEADER_BYTES = 65_536
CONNECTIONS = 1_000
LINGER = 0.5
"""Seconds for which connections stay open in the end, for requests that clients were about to send."""

STALLED = 60.0
"""Seconds after which a connection ends whose client takes nothing of its answer."""

SHORTEST = 16
"""Characters of the shortest token that a service takes for its own."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def access(host: str, file: Path | None, no_token: bool, origins: Sequence[str]) -> Access:
    """Returns who may ask: those with the token of a file, or else this machine alone unless `no_token` says all.

    Raises:
        UsageError: The address needs one, the file cannot be read or holds none, or others than its owner may read it.
    """
    if file is None:
        if host not in LOOPBACK and not no_token:
            raise UsageError(f"others can reach `host={host}`: give a `token_file`, or say `no_token`")
        return Access(None, tuple(origins), is_local=not no_token)
    token = read_token(file)
    if os.name == "posix" and file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        raise UsageError(f"others may read {file}, which holds the token: chmod 600 {file}")
    if len(token) < SHORTEST:
        raise UsageError(f"{file} holds no token: write {SHORTEST} or more letters and digits into it, in one line")
    return Access(token, tuple(origins))


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket at an address, which no other program has; it does not take connections yet.

    Raises:
        UsageError: There is no such address here, or another program has it.
    """
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = places[0]
        with contextlib.ExitStack() as failing:
            # Only with its protocol: else asyncio leaves Nagle's algorithm on, which keeps answers back for 40 ms.
            listener = failing.enter_context(socket.socket(family, kind, protocol))
            if os.name == "posix":  # on Windows it would give one port to two programs
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            failing.pop_all()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{host} cannot be served from at port {port} ({why}): choose another `port`") from error
    return listener


def address(listener: socket.socket) -> str:
    """Returns the address of a socket, such as http://127.0.0.1:8000."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Signals:
    """SIGTERM and SIGINT, from before the networks are loaded: then they end the program, later the service.

    SIGTERM lets it answer for as long as `drain` says, so that whoever sends it requests can learn that it leaves.
    """

    def __init__(self) -> None:
        self.leave: Callable[[bool], None] | None = None

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Handles the signals until the block is left."""
        try:
            before = {number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # not in the main thread
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.leave is not None:
            self.leave(number == signal.SIGTERM)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise SystemExit(0)


class Server(uvicorn.Server):
    """Takes connections until it is told to leave; then answers for a while, and finishes what runs."""

    def __init__(self, config: uvicorn.Config, service: Service, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._announce = service, announce
        self._leave_at: float | None = None

    def leave(self, drains: bool) -> None:
        """Has the service say that it is not ready, and end, after its drain time or now."""
        self._service.is_leaving = True
        at = time.monotonic() + (self._service.limits.drain if drains else 0)
        self._leave_at = at if self._leave_at is None else min(at, self._leave_at)

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        """Leaves signals alone: they are handled already."""
        return contextlib.nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Opens the socket; then the networks are proven."""
        await super().startup(sockets)
        self._proving = asyncio.create_task(self._prove())

    async def on_tick(self, counter: int) -> bool:
        """Returns whether to stop, ten times a second."""
        is_over = self._leave_at is not None and time.monotonic() >= self._leave_at
        return await super().on_tick(counter) or is_over or self._service.failure is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes the connections that already wait, then no more, and finishes what has come."""
        self._service.is_leaving = True
        for listener in sockets or []:
            await self._take_waiting(listener)
        await super().shutdown(sockets)

    async def _take_waiting(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            loop.remove_reader(listener.fileno())
        except NotImplementedError:  # Windows' loop takes connections as they come
            return
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = listener.accept()
                await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return Protocol(self.config, self.server_state, {})

    async def _prove(self) -> None:
        await self._service.prove()
        if self._service.is_proven:
            self._announce()


class Protocol(HttpToolsProtocol):
    """Closes a connection whose headers do not come, in time and short enough, or whose answer nobody takes."""

    patience, stalled = Limits.header, STALLED
    _timer: asyncio.TimerHandle | None = None
    _head = 0  # bytes of headers that are not complete
    _is_refused = False  # what still comes is the body of a request that is answered
    _is_leaving = False
    _stalling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for the headers of the first request."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._stop()
        self._watch(0)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Waits for the client to take what is sent to it, but not for ever."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Goes on sending to a client that takes it."""
        self._watch(0)
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Refuses headers that do not end."""
        had_begun = self._awaits_headers
        super().data_received(data)
        if had_begun and self._awaits_headers:
            self._head += len(data)
            if self._head > HEADER_BYTES:
                self.send_400_response("The headers are too long.")

    def on_message_begin(self) -> None:
        """Waits for the headers of a further request."""
        super().on_message_begin()
        if not self._awaits_headers:
            self._await_headers()

    def on_headers_complete(self) -> None:
        """Begins to answer; the last time where the service ends, which the answer says."""
        self._stop()
        super().on_headers_complete()
        if self._is_leaving:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Closes a connection that goes on sending what was refused."""
        super().on_response_complete()
        self._watch(self.transport.get_write_buffer_size())
        if self.cycle.more_body and not self.transport.is_closing():
            self._await_headers()
            self._is_refused = True

    def shutdown(self) -> None:
        """Closes the connection: after the answer that is due, or when no request comes that may be on its way."""
        self._is_leaving = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER, self._close_idle)
        else:
            super().shutdown()

    def _close_idle(self) -> None:
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and not self._head:  # headers that have begun to come have their own time
            self.transport.close()

    @property
    def _awaits_headers(self) -> bool:
        return self._timer is not None and not self._is_refused

    def _await_headers(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(self.patience, self.transport.close)

    def _watch(self, unsent: int) -> None:
        """Ends the connection when `STALLED` seconds from here its client has taken none of so many bytes."""
        if self._stalling is not None:
            self._stalling.cancel()
        self._stalling = self.loop.call_later(self.stalled, self._end_stalled, unsent) if unsent else None

    def _end_stalled(self, before: int) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent >= before:
            self.transport.abort()
        else:
            self._watch(unsent)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._head, self._is_refused = None, 0, False


def run(
    app: ASGIApp, service: Service, listener: socket.socket, signals: Signals, announce: Callable[[], None]
) -> None:
    """Serves until a signal ends it.

    Raises:
        CheckpointError: A network does not answer as its file records; or whatever else its proof raises.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    Protocol.patience = service.limits.header
    config = uvicorn.Config(
        app,
        http=Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(service.limits.deadline + BODY_SECONDS),
    )
    server = Server(config, service, announce)
    signals.leave = server.leave
    try:
        server.run([listener])
    finally:
        LOG.removeHandler(handler)
        listener.close()
    if service.failure is not None:
        raise service.failure
