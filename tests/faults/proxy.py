"""A link to PostgreSQL that a test may freeze, cut, or let lose an answer.

It speaks enough of PostgreSQL's protocol to know which statement is on its way: messages of a type byte and a length,
statements prepared by name, and the answer that ends each request (ReadyForQuery).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

Wanted = Callable[[str, Sequence[str]], bool]
"""Whether a statement is meant, by its text and those before it in its transaction."""

_SSL_REQUEST: Final = 80877103
_GSS_REQUEST: Final = 80877104
_AWAY: Final = (OSError, asyncio.IncompleteReadError)


class Proxy:
    """Listens on a port of its own and passes everything on to the server of `dsn`, until it is told otherwise."""

    def __init__(self, dsn: str) -> None:
        self._upstream = dsn
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._port = 0
        self.loses: Wanted | None = None
        """The answer to the next such statement is lost: it is done, and then the link is cut."""
        self.holds: Wanted | None = None
        """The answer to the next such statement stays on the way until `deliver`; other links are not touched."""
        self.lost = asyncio.Event()
        """Set when an answer was lost, or is held."""
        self.delivered = asyncio.Event()
        self.is_deaf = False
        """While set, notifications are dropped: everything else works."""

    @property
    def dsn(self) -> str:
        """The address of the database by way of this link."""
        parts = urlsplit(self._upstream)
        return f"postgresql://{parts.username}@127.0.0.1:{self._port}{parts.path}"

    async def open(self) -> None:
        """Begin to listen; on the same port as before, if it did."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut all links, and refuse new ones."""
        if self._server is not None:
            self._server.close()
        self.thaw()
        self.cut()
        await asyncio.gather(*(link.over.wait() for link in tuple(self._links)))

    def freeze(self) -> None:
        """Pass nothing on, in any direction, and tell nobody: a link that is dead without a FIN."""
        self._flows.clear()

    def thaw(self) -> None:
        """Pass on what has waited, and all that comes."""
        self._flows.set()

    def silence(self) -> None:
        """Pass nothing on over the links that are open now, for ever, and tell nobody; new ones work."""
        for link in self._links:
            link.is_silent = True

    def cut(self) -> None:
        """Close every link that is open now."""
        for link in tuple(self._links):
            link.cut()

    def deliver(self) -> None:
        """Let the answer that is held go on its way."""
        self.delivered.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.live(self._upstream)
        finally:
            self._links.discard(link)
            link.over.set()

    async def flow(self) -> None:
        """Wait while the link is frozen."""
        await self._flows.wait()


class _Link:
    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = (reader, writer)
        self._server_writer: asyncio.StreamWriter | None = None
        self._prepared: dict[str, str] = {}
        self._before: list[str] = []
        self._fate: str | None = None
        self.is_silent = False
        self._is_cut = asyncio.Event()
        self.over = asyncio.Event()

    def cut(self) -> None:
        self._is_cut.set()
        for writer in (self._client[1], self._server_writer):
            if writer is not None:
                writer.transport.abort()

    async def live(self, upstream: str) -> None:
        with suppress(*_AWAY):
            await self._proxy.flow()
            first = await self._startup()
            reader, self._server_writer = await _connect(upstream)
            self._server_writer.write(first)
            ways: list[asyncio.Task[Any]] = [
                asyncio.create_task(self._forth(self._client[0], self._server_writer)),
                asyncio.create_task(self._back(reader, self._client[1])),
                asyncio.create_task(self._is_cut.wait()),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        self.cut()

    async def _startup(self) -> bytes:
        reader, writer = self._client
        while True:
            head = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(head) - 4)
            if int.from_bytes(body[:4]) not in {_SSL_REQUEST, _GSS_REQUEST}:
                return head + body
            writer.write(b"N")

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(*_AWAY):
            async for kind, message in _messages(reader):
                await self._flow()
                if (statement := self._statement(kind, message[5:])) is not None:
                    self._judge(statement)
                writer.write(message)
                await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = b""
        with suppress(*_AWAY):
            async for kind, message in _messages(reader):
                await self._flow()
                if kind == b"A" and self._proxy.is_deaf:
                    continue
                if self._fate is None:
                    writer.write(message)
                    await writer.drain()
                    continue
                held += message
                if kind == b"Z":
                    self._proxy.lost.set()
                    if self._fate == "lose":
                        return
                    await self._proxy.delivered.wait()
                    writer.write(held)
                    self._fate, held = None, b""

    async def _flow(self) -> None:
        await self._proxy.flow()
        if self.is_silent:
            await asyncio.Event().wait()

    def _statement(self, kind: bytes, body: bytes) -> str | None:
        if kind == b"P":
            name, query, _ = body.split(b"\0", 2)
            self._prepared[name.decode()] = query.decode()
        elif kind == b"B":
            return self._prepared.get(body.split(b"\0", 2)[1].decode())
        elif kind == b"Q":
            return body[:-1].decode()
        return None

    def _judge(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self._before = []
        if (loses := self._proxy.loses) is not None and loses(statement, self._before):
            self._fate, self._proxy.loses = "lose", None
        elif (holds := self._proxy.holds) is not None and holds(statement, self._before):
            self._fate, self._proxy.holds = "hold", None
        self._before.append(statement)
        del self._before[:-20]


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    while True:
        head = await reader.readexactly(5)
        yield head[:1], head + await reader.readexactly(int.from_bytes(head[1:]) - 4)


async def _connect(dsn: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(dsn)
    options = parse_qs(parts.query)
    host = options.get("host", [parts.hostname or "127.0.0.1"])[0]
    port = int(options.get("port", [parts.port or 5432])[0])
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, port)


@asynccontextmanager
async def link_to(dsn: str) -> AsyncGenerator[Proxy]:
    """A link for the length of the block."""
    proxy = Proxy(dsn)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()


def commits(text: str) -> Wanted:
    """The COMMIT of a transaction that has a statement with this text."""
    return lambda statement, before: statement == "COMMIT;" and any(text in each for each in before)


def says(text: str) -> Wanted:
    """A statement with this text."""
    return lambda statement, _: text in statement
