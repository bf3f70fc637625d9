"""Answers that come before all of a request has: who sends first and reads later still gets them."""

import asyncio
import socket as sockets
import time
from collections.abc import AsyncIterator

import pytest

from schema.edge.http import HttpSettings
from schema.edge.http.parting import Parting
from tests.schema.serving import Server, log, serving

__all__ = ["log"]
pytestmark = pytest.mark.usefixtures("log")

SIGNED_IN = "Authorization: Bearer ada\r\n"
JSON = "Content-Type: application/json\r\n"
LARGE = 3_000_000


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


def connected(server: Server) -> sockets.socket:
    host, port = server.url.removeprefix("http://").split(":")
    connection = sockets.socket()
    connection.settimeout(30)
    # Little of it waits on this side, so that a connection that is closed before all is sent is an error here.
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 16_384)
    connection.connect((host, int(port)))
    return connection


def send(connection: sockets.socket, data: bytes) -> None:
    for at in range(0, len(data), 65_536):
        connection.sendall(data[at : at + 65_536])


def exchange(server: Server, *parts: bytes) -> bytes:
    """All that is answered, read only once everything is sent; an error if the connection is reset before."""
    with connected(server) as connection:
        for part in parts:
            send(connection, part)
        said = b""
        while not is_whole(said):
            more = connection.recv(65_536)
            if not more:
                break
            said += more
        return said


def is_whole(said: bytes) -> bool:
    head, _, body = said.partition(b"\r\n\r\n")
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    return length is not None and len(body) >= int(length.split(b":")[1])


async def status_of(server: Server, *parts: bytes) -> int:
    said = await asyncio.to_thread(exchange, server, *parts)
    return int(said.split(b" ", 2)[1])


def post(headers: str, *, length: int | None = LARGE, start: str = "POST /graphql") -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"{start} HTTP/1.1\r\nHost: x\r\n{headers}{size}\r\n\r\n".encode()


def chunked(length: int) -> bytes:
    return b"".join(b"ffff\r\n" + b" " * 0xFFFF + b"\r\n" for _ in range(length // 0xFFFF)) + b"0\r\n\r\n"


EARLY = {
    "too long": (413, post(SIGNED_IN + JSON)),
    "too long, without a token": (413, post(JSON)),
    "too long, for an event stream": (413, post(SIGNED_IN + JSON + "Accept: text/event-stream\r\n")),
    "without a token": (401, post(JSON, length=2_000_000)),
    "with a wrong token": (401, post("Authorization: Bearer eve\r\n" + JSON, length=2_000_000)),
    "of another type": (415, post(SIGNED_IN + "Content-Type: text/plain\r\n")),
    "compressed": (415, post(SIGNED_IN + JSON + "Content-Encoding: gzip\r\n")),
    "by another method": (405, post(SIGNED_IN + JSON, start="PUT /graphql")),
    "by GET": (200, post(SIGNED_IN, start="GET /graphql?query={hello}")),
    "to nowhere": (404, post(SIGNED_IN + JSON, start="POST /nowhere")),
    "to a page": (405, post(SIGNED_IN + JSON, start="POST /")),
}


@pytest.mark.parametrize("ends", [False, True], ids=["goes on", "ends with it"])
@pytest.mark.parametrize("case", EARLY)
async def test_who_sends_all_before_they_read_gets_the_answer(server: Server, case: str, *, ends: bool):
    status, head = EARLY[case]
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    if ends:
        head = head.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")

    assert await status_of(server, head, b" " * length) == status
    assert (await server.post("{hello}")).json() == {"data": {"hello": "world"}}


async def test_a_body_without_a_length_that_is_too_long_gets_its_answer(server: Server):
    assert await status_of(server, post(SIGNED_IN + JSON, length=None), chunked(LARGE)) == 413


async def test_a_server_that_stops_says_so_to_who_is_sending(server: Server):
    server.stopping.append(True)

    assert await status_of(server, post(SIGNED_IN + JSON, length=2_000_000), b" " * 2_000_000) == 503


async def test_without_its_directory_of_users_it_says_so_to_who_is_sending(server: Server):
    server.users.is_away = True

    assert await status_of(server, post(SIGNED_IN + JSON, length=2_000_000), b" " * 2_000_000) == 503


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (431, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * LARGE),
        (400, b"GET / HTTP/1.1\r\nHost: x\r\n: " + b"\r\n" * (LARGE // 2)),
        (400, b"\x16\x03\x01" + b"x" * LARGE),
        (400, b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n" + b"x" * LARGE),
    ],
    ids=["a long head", "no header", "no HTTP", "no chunks"],
)
async def test_what_is_no_request_is_answered_so_too(server: Server, status: int, sent: bytes):
    assert await status_of(server, sent) == status


async def test_a_message_that_is_too_long_is_refused_before_all_of_it_came():
    upgrade = (
        "GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )

    def talk() -> bytes:
        with connected(server) as connection:
            send(connection, upgrade.encode())
            while not connection.recv(65_536).endswith(b"\r\n\r\n"):
                pass
            send(connection, b"\x81\xff" + LARGE.to_bytes(8, "big") + bytes(4) + b" " * LARGE)
            return connection.recv(65_536)

    async with serving(ws_max_size=256 * 1024) as server:
        said = await asyncio.to_thread(talk)

    # A close frame, the length of what it says, and its code.
    assert said[:1] + said[2:4] == b"\x88" + (1009).to_bytes(2, "big")


# ── what of it stays open, and for how long ──


async def test_a_short_body_that_came_with_its_head_leaves_the_connection_open(server: Server):
    refused = post(JSON, length=19) + b'{"query":"{hello}"}'
    allowed = post(SIGNED_IN + JSON, length=19) + b'{"query":"{hello}"}'

    def both() -> bytes:
        with connected(server) as connection:
            said = b""
            for request in (refused, allowed):
                connection.sendall(request)
                answer = b""
                while not is_whole(answer):
                    answer += connection.recv(65_536)
                said += answer
            return said

    said = await asyncio.to_thread(both)

    assert b"401 Unauthorized" in said
    assert b'{"data":{"hello":"world"}}' in said


async def drained_seconds(server: Server, *, pause: float, head: bytes, part: bytes = b" ") -> float:
    """How long the connection stays open for a client that goes on sending, a part after each pause."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    begun = time.monotonic()
    writer.write(head)
    reading = asyncio.create_task(reader.read())
    try:
        while not (await asyncio.wait({reading}, timeout=pause))[0]:
            writer.write(part)
    finally:
        writer.close()
    assert (await asyncio.gather(reading, return_exceptions=True))[0] is not None
    return time.monotonic() - begun


async def test_who_never_stops_sending_is_not_listened_to_for_ever():
    async with serving(HttpSettings(drain_seconds=0.5)) as server:
        assert 0.4 < await drained_seconds(server, pause=0.05, head=post(JSON, length=10**9)) < 15


async def test_who_sends_without_end_is_cut_off():
    async with serving(HttpSettings(drain_bytes=1_000_000, drain_seconds=60)) as server:
        seconds = await drained_seconds(server, pause=0.001, head=post(JSON, length=10**10), part=b" " * 100_000)

    assert seconds < 30


async def test_who_waits_to_be_asked_for_a_body_is_not_asked_for_one_that_is_refused(server: Server):
    said = await asyncio.to_thread(exchange, server, post(JSON + "Expect: 100-continue\r\n"))

    assert said.startswith(b"HTTP/1.1 413")


async def test_what_is_no_request_is_not_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Parting, "seconds", 0.5)
    async with serving() as server:
        # The answer's end is the end of what this side says; what still comes is heard until the time is over.
        assert await drained_seconds(server, pause=0.05, head=b"\x16\x03\x01\r\n\r\n") < 15
        with connected(server) as connection:
            connection.sendall(b"\x16\x03\x01\r\n\r\n")
            await asyncio.sleep(0.2)
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(sending_on(connection), 20)


async def sending_on(connection: sockets.socket) -> None:
    while True:
        connection.sendall(b" ")
        await asyncio.sleep(0.05)
