"""What `/metrics` says of a process as it is: who is connected, and whether the loop gives way."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from engine.lag import LoopLag
from engine.tools import tool
from tests.engine.harness import Registry, running, step
from tests.security.house import ADMIN, House, house

RESET = struct.pack("ii", 1, 0)
"""Linger for no time: closing resets the connection."""

CROWD = 300


@pytest.fixture
async def home(dsn: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(dsn, tmp_path, max_sockets_per_user=CROWD) as opened:
        yield opened


async def gauge(home: House, name: str) -> float:
    text = (await home.http.get("/metrics", headers={"Authorization": f"Bearer {ADMIN}"})).text
    (value,) = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(value)


async def becomes(home: House, name: str, value: float) -> None:
    async with asyncio.timeout(60):
        while await gauge(home, name) != value:  # noqa: ASYNC110 - a gauge tells nobody
            await asyncio.sleep(0.05)


def stream_request(run: str) -> bytes:
    query = "subscription($r: ID!) {timeline(runId: $r) {type}}"
    body = json.dumps({"query": query, "variables": {"r": run}}).encode()
    return (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nAccept: text/event-stream\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


SOCKET_REQUEST = (
    f"GET /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
).encode()


async def connected(home: House, request: bytes) -> socket.socket:
    """A connection that has sent this, and been answered."""
    loop = asyncio.get_running_loop()
    address = urlsplit(home.url)
    client = socket.socket()
    client.setblocking(False)  # noqa: FBT003 - as it is called
    await loop.sock_connect(client, (address.hostname, address.port))
    await loop.sock_sendall(client, request)
    assert b"HTTP/1.1 " in await loop.sock_recv(client, 100)
    return client


@pytest.mark.parametrize("kind", ["streams", "sockets"])
async def test_a_crowd_that_is_reset_at_once_leaves_nothing_open(home: House, kind: str) -> None:
    run = await home.submit(ADMIN, {"key": "a", "tool": "pay", "args": {"amount": 1}})
    request = stream_request(run) if kind == "streams" else SOCKET_REQUEST
    assert await gauge(home, f"lifeos_{kind}_open") == 0

    async with asyncio.timeout(60):
        crowd = await asyncio.gather(*(connected(home, request) for _ in range(CROWD)))
    await becomes(home, f"lifeos_{kind}_open", CROWD)
    if kind == "streams":
        await becomes(home, "lifeos_timeline_followers", CROWD)
    for client in crowd:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()

    await becomes(home, f"lifeos_{kind}_open", 0)
    await becomes(home, "lifeos_timeline_followers", 0)
    # There is room for as many again.
    async with asyncio.timeout(60):
        crowd = await asyncio.gather(*(connected(home, request) for _ in range(CROWD)))
    await becomes(home, f"lifeos_{kind}_open", CROWD)
    for client in crowd:
        client.close()
    await becomes(home, f"lifeos_{kind}_open", 0)


async def test_followers_of_approvals_are_counted(home: House) -> None:
    async with home.socket(ADMIN) as opened:
        payload = {"query": "subscription {approvals {status}}"}
        await opened.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        await becomes(home, "lifeos_approvals_followers", 1)
        await becomes(home, "lifeos_sockets_open", 1)
    await becomes(home, "lifeos_approvals_followers", 0)
    await becomes(home, "lifeos_sockets_open", 0)


@tool(risk="L0")
async def hogs(seconds: float) -> None:
    """Never gives way."""
    time.sleep(seconds)  # noqa: ASYNC251 - what this is about


@tool(risk="L0")
def sleeps(seconds: float) -> None:
    """Waits in a thread."""
    time.sleep(seconds)


@pytest.fixture
async def lag() -> AsyncIterator[LoopLag]:
    watching = LoopLag()
    watching.open()
    yield watching
    await watching.close()


async def test_a_tool_that_holds_up_the_loop_is_named_while_it_does_and_afterwards(dsn: str, lag: LoopLag) -> None:
    async with running(dsn, Registry.of(hogs, sleeps)) as it:
        with capture_logs() as log:
            await it.finished(await it.submit(step("a", "hogs", args={"seconds": 1.5})))
            async with asyncio.timeout(10):
                while not any(entry["event"] == "loop_was_blocked" and "tool" in entry for entry in log):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    told = [entry for entry in log if entry.get("tool") == "hogs"]
    assert [entry["event"] for entry in told] == ["loop_is_blocked", "loop_was_blocked"]
    during, after = told
    assert 0.25 <= during["seconds"] < 1.5
    assert after["seconds"] >= 1.3
    assert during["where"].endswith(" hogs")
    assert __file__ in during["where"]
    assert lag.worst_seconds >= 1.3


async def test_a_plain_function_does_not_hold_up_the_loop(dsn: str, lag: LoopLag) -> None:
    async with running(dsn, Registry.of(hogs, sleeps)) as it:
        with capture_logs() as log:
            await it.finished(await it.submit(step("a", "sleeps", args={"seconds": 0.8})))

    assert not [entry for entry in log if entry.get("tool") == "sleeps"]


async def test_the_lag_is_forgotten_after_a_minute() -> None:
    lag = LoopLag()
    now = time.monotonic()

    for age, seconds in ((70, 9.0), (50, 3.0), (40, 1.0), (30, 2.0), (10, 0.5)):
        lag._note(now - age, seconds)

    assert lag.worst_seconds == 3.0
    assert [seconds for _, seconds in lag._lags] == [3.0, 2.0, 0.5]


async def test_the_longest_hold_up_is_a_gauge(home: House) -> None:
    await asyncio.sleep(0.15)
    time.sleep(0.6)  # noqa: ASYNC251 - the server's loop is this one

    async with asyncio.timeout(10):
        while not await gauge(home, "lifeos_loop_lag_seconds") >= 0.4:  # noqa: ASYNC110 - a gauge tells nobody
            await asyncio.sleep(0.05)
