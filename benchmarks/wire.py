"""A client that costs little: HTTP/1.1 kept alive, bodies encoded before, answers read as they come.

On two cores every microsecond of the load is taken from the server; the usual clients take more than the server does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from benchmarks.processes import TOKEN


@dataclass(slots=True)
class Answer:
    """One answer, and when (by the machine's monotonic clock) its request was sent and it was here."""

    sent: float
    received: float
    status: int
    body: bytes

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.received - self.sent


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._length = -1
        self._head = 0
        self._answer: asyncio.Future[Answer] | None = None
        self._sent = 0.0
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._length < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.index(b"content-length:") + 15
            stop = head.find(b"\r\n", at)
            self._length = int(head[at : stop if stop >= 0 else None])
            self._head = end + 4
        if len(self._buffer) >= self._head + self._length:
            whole, self._buffer, self._length = self._buffer, b"", -1
            assert self._answer is not None
            answer, self._answer = self._answer, None
            answer.set_result(Answer(self._sent, time.monotonic(), int(whole[9:12]), whole[self._head :]))

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._sent = time.monotonic()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Wire:
    """Connections to one server; each carries one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._connections: list[_Connection] = []

    async def open(self, connections: int = 1) -> None:
        """Connect."""
        for _ in range(connections):
            self._connections.append(await self._connected())

    def close(self) -> None:
        """Disconnect."""
        for connection in self._connections:
            connection.close()

    async def ask(self, body: bytes) -> Answer:
        """One operation; raises what the server did not answer with 200."""
        await self._reopen()
        answer = await self._connections[0].ask(self.request(body))
        if answer.status != 200:
            raise RuntimeError(f"HTTP {answer.status}: {answer.body[:500]!r}")
        return answer

    async def flood(self, requests: Sequence[bytes]) -> list[Answer]:
        """All of these requests, each sent as soon as a connection is free; in the order in which they were begun."""
        await self._reopen()
        answers: list[Answer] = []
        waiting = iter(requests)

        async def drive(connection: _Connection) -> None:
            for request in waiting:
                answers.append(await connection.ask(request))  # noqa: PERF401 - another connection's may come between

        await asyncio.gather(*map(drive, self._connections))
        bad = next((each for each in answers if each.status != 200), None)
        if bad is not None:
            raise RuntimeError(f"HTTP {bad.status}: {bad.body[:500]!r}")
        return answers

    async def _connected(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        return connection

    async def _reopen(self) -> None:
        """The server closes what has been silent for some seconds."""
        for place, connection in enumerate(self._connections):
            if not connection.is_open:
                self._connections[place] = await self._connected()

    def request(self, body: bytes) -> bytes:
        """The whole of a request."""
        return (
            f"POST /graphql HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
