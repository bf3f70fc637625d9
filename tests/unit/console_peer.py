"""A server that says what the test tells it to, byte for byte: for what no well-behaved server does on demand."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from console.settings import Address

TOKEN = "a-token"
HANG_UP = b""


@dataclass
class HttpPeer:
    """Gives its answers in order, the last one for ever, and keeps what it was sent."""

    address: Address
    answers: list[bytes]
    headers: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
            )
            self.headers.append(head)
            self.requests.append(json.loads(await reader.readexactly(length)))
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
        finally:
            writer.close()


def answer(body: Any, *, status: str = "200 OK", more: str = "") -> bytes:
    """An HTTP answer with a JSON body."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{more}Connection: close\r\n\r\n"
    return head.encode() + content


def failure(code: str, message: str, **extensions: Any) -> dict[str, Any]:
    """A GraphQL answer that is an error."""
    return {"errors": [{"message": message, "extensions": {"code": code, **extensions}}]}


@asynccontextmanager
async def http_peer(*answers: bytes, port: int = 0) -> AsyncIterator[HttpPeer]:
    """An HTTP server with these answers."""
    peer = HttpPeer(Address("", TOKEN), list(answers))
    async with await asyncio.start_server(peer.serve, "127.0.0.1", port) as server:
        peer.address = Address(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", TOKEN)
        yield peer


Script = Callable[["Talk"], Awaitable[None]]


@dataclass
class Talk:
    """One socket of the peer."""

    socket: ServerConnection
    subscribed: dict[str, Any] = field(default_factory=dict)

    async def hear(self) -> dict[str, Any]:
        return json.loads(await self.socket.recv())

    async def tell(self, kind: str, **more: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **more}))

    async def open(self) -> None:
        """Let the client in, and take its subscription."""
        init = await self.hear()
        assert init == {"type": "connection_init", "payload": {"authorization": f"Bearer {TOKEN}"}}
        await self.tell("connection_ack")
        self.subscribed = await self.hear()

    async def send_events(self, *seqs: int) -> None:
        for seq in seqs:
            await self.tell("next", id=self.subscribed["id"], payload={"data": {"timeline": event(seq)}})

    async def complete(self) -> None:
        await self.tell("complete", id=self.subscribed["id"])

    async def vanish(self) -> None:
        """End the connection without a word, as a killed process does: 1006 at the other end."""
        self.socket.transport.abort()

    @property
    def after(self) -> str | None:
        return self.subscribed["payload"]["variables"]["after"]


def event(seq: int) -> dict[str, Any]:
    """The event of that number."""
    return {
        "cursor": f"cursor-{seq}",
        "seq": seq,
        "type": "STEP_READY",
        "message": f"event {seq}",
        "metadata": {},
        "createdAt": "2025-01-02T03:04:05Z",
        "runId": "run_1",
        "stepId": None,
        "approvalId": None,
    }


@dataclass
class SocketPeer:
    address: Address
    scripts: list[Script]
    talks: list[Talk] = field(default_factory=list)

    async def serve(self, socket: ServerConnection) -> None:
        talk = Talk(socket)
        self.talks.append(talk)
        await self.scripts.pop(0)(talk)

    @property
    def cursors(self) -> list[str | None]:
        """From where each subscription started."""
        return [talk.after for talk in self.talks if talk.subscribed]


@asynccontextmanager
async def socket_peer(*scripts: Script, port: int = 0) -> AsyncIterator[SocketPeer]:
    """A WebSocket server that follows one script for each connection, in order."""
    peer = SocketPeer(Address("", TOKEN), list(scripts))
    async with serve(peer.serve, "127.0.0.1", port, subprotocols=["graphql-transport-ws"]) as server:  # pyright: ignore[reportArgumentType]
        peer.address = Address(f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", TOKEN)
        yield peer
