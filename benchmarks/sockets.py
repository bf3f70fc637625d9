"""Subscribers: one that looks at every event, and many that only count, all over graphql-transport-ws."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.processes import TOKEN

TIMELINE: Final = "subscription($run:ID!){timeline(runId:$run){seq type message createdAt stepId}}"
INIT: Final = orjson.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {TOKEN}"}})


def subscribe_message(query: str, variables: dict[str, Any]) -> bytes:
    """The message that starts a subscription."""
    return orjson.dumps({"id": "1", "type": "subscribe", "payload": {"query": query, "variables": variables}})


@asynccontextmanager
async def subscribed(host: str, port: int, query: str, variables: dict[str, Any]) -> AsyncGenerator[ClientConnection]:
    """A socket on which a subscription runs; its messages are the reader's."""
    protocol = Subprotocol("graphql-transport-ws")
    async with connect(f"ws://{host}:{port}/graphql", subprotocols=[protocol], compression=None) as socket:
        await socket.send(INIT.decode())
        answer = await socket.recv()
        if b"connection_ack" not in _bytes(answer):
            raise RuntimeError(f"not acknowledged: {answer!r}")
        await socket.send(subscribe_message(query, variables).decode())
        yield socket


async def timeline(host: str, port: int, run: str, *, until: int) -> list[tuple[int, float]]:
    """Each event's seq, and when (by the machine's clock of the day) it was here; up to that seq."""
    seen: list[tuple[int, float]] = []
    async with subscribed(host, port, TIMELINE, {"run": run}) as socket:
        async for message in socket:
            now = time.time()
            frame = orjson.loads(message)
            if frame["type"] != "next" or "errors" in frame["payload"]:
                raise RuntimeError(f"not an event: {message!r}")
            seq = frame["payload"]["data"]["timeline"]["seq"]
            seen.append((seq, now))
            if seq >= until:
                return seen
    raise RuntimeError("the server closed the socket")


def _bytes(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


class Counter(asyncio.Protocol):
    """A socket that reads frame heads and keeps the last message: as cheap as a client in Python can be.

    `hello` are the messages that it sends once the socket is open, each after an answer to the one before.
    """

    def __init__(self, handshake: bytes, hello: list[bytes], crowd: Crowd) -> None:
        self._head = handshake
        self._hello = list(hello)
        self._crowd = crowd
        self._buffer = b""
        self._open = False
        self._transport: asyncio.Transport | None = None
        self.last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a socket."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._transport.write(self._head)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """It is the crowd's matter whether that was meant."""
        self._crowd.lost += 1

    def data_received(self, data: bytes) -> None:
        """Count whole messages."""
        buffer = self._buffer + data if self._buffer else data
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            if b" 101 " not in buffer[:end]:
                raise RuntimeError(buffer[:end].decode(errors="replace"))
            self._open = True
            buffer = buffer[end + 4 :]
            self._go_on()
        at = 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1] & 127, at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < start + size:
                break
            opcode = buffer[at] & 15
            if opcode == 9:
                self._send(buffer[start : start + size], opcode=10)
            elif opcode == 1:
                self._take(buffer[start : start + size])
            at = start + size
        self._buffer = buffer[at:]

    def close(self) -> None:
        """Go, without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, message: bytes) -> None:
        if self._hello:
            self._go_on()
            return
        self.last = message
        self._crowd.count()

    def _go_on(self) -> None:
        if self._hello:
            self._send(self._hello.pop(0))
        if not self._hello:
            self._crowd.ready()

    def _send(self, payload: bytes, *, opcode: int = 1) -> None:
        assert self._transport is not None
        size = len(payload)
        length = bytes([128 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        # The mask of zeros leaves the payload as it is.
        self._transport.write(bytes([128 | opcode]) + length + bytes(4) + payload)


class Crowd:
    """Many sockets that get the same."""

    def __init__(self, host: str, port: int, *, path: str, protocol: str | None, hello: list[bytes]) -> None:
        self._address = host, port
        handshake = _handshake(host, port, path, protocol)
        self._make = lambda: Counter(handshake, hello, self)
        self._members: list[Counter] = []
        self._ready = 0
        self._got = 0
        self._wanted = 0
        self._all = asyncio.Event()
        self.last_at = 0.0
        self.lost = 0

    async def open(self, size: int) -> None:
        """Connect them all, some at a time, and wait until each has said its hello."""
        loop = asyncio.get_running_loop()
        while len(self._members) < size:
            for _ in range(min(20, size - len(self._members))):
                _, member = await loop.create_connection(self._make, *self._address)
                self._members.append(member)
            async with asyncio.timeout(60):
                while self._ready < len(self._members) and not self.lost:  # noqa: ASYNC110 - either may end it
                    await asyncio.sleep(0.002)
            if self.lost:
                raise RuntimeError("the server closed a socket")

    async def get(self, messages: int) -> float:
        """When (by the clock of the day) everybody has got so many more messages."""
        self._wanted = messages * len(self._members)
        if self._got < self._wanted:
            self._all.clear()
            async with asyncio.timeout(60):
                await self._all.wait()
        self._got -= self._wanted
        return self.last_at

    @property
    def sample(self) -> bytes:
        """The last message of one of them."""
        return self._members[0].last

    def close(self) -> None:
        """Disconnect them all."""
        for member in self._members:
            member.close()

    def ready(self) -> None:
        """One more has said its hello."""
        self._ready += 1

    def count(self) -> None:
        """One more message has come."""
        self._got += 1
        if self._got == self._wanted:
            self.last_at = time.time()
            self._all.set()


def _handshake(host: str, port: int, path: str, protocol: str | None) -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    asked = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{asked}\r\n"
    ).encode()
