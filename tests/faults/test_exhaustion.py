"""A server of which too much is asked at once: connections all taken, and clients that go without a word."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.chaos.documents import TIMELINE
from tests.chaos.fleet import ADMIN_TOKEN, Member
from tests.engine.harness import PATIENCE_SECONDS
from tests.faults.test_database_away import MARGIN_SECONDS, REQUEST_SECONDS, Place, place, submitted

__all__ = ["place"]

BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


async def test_an_exhausted_pool_is_a_clear_answer_in_time_and_costs_no_lease(place: Place) -> None:
    server, crowd = await place.server()
    holder = await asyncpg.connect(place.keeper.dsn)
    workers = "SELECT array_agg(id) FROM workers WHERE ended_at IS NULL AND lease_until > clock_timestamp()"
    before = await holder.fetchval(workers)

    async with holder.transaction():
        # Whatever is asked waits here, and holds its connection: far more is asked than there are connections.
        await holder.execute("LOCK TABLE approvals")
        lines = await asyncio.gather(*(crowd.api.ask(crowd.admin, "approvals", {}) for _ in range(60)))
        # What needs no connection of the pool has an answer meanwhile.
        async with httpx.AsyncClient(timeout=5) as http:
            assert (await http.get(f"{server.url}/healthz")).status_code == 200

    assert {(line["outcome"], line["code"]) for line in lines} == {("unknown", "UNAVAILABLE")}
    assert max(line["ended"] - line["began"] for line in lines) < REQUEST_SECONDS + MARGIN_SECONDS
    run = await submitted(crowd, {"key": "s0", "tool": "keyed", "args": {"n": 0}})
    assert run
    assert await holder.fetchval(workers) == before
    await holder.close()
    await crowd.api.close()


def open_files(server: Member) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def memory_bytes(server: Member) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def followers_of(server: Member) -> int:
    """Subscriptions to timelines, as the server counts them."""
    async with httpx.AsyncClient(timeout=10, headers=BEARER) as http:
        text = (await http.get(f"{server.url}/metrics")).text
    found = re.search(r"^lifeos_timeline_followers (\S+)", text, re.MULTILINE)
    assert found is not None
    return round(float(found[1]))


async def socket_to(server: Member, **options: Any) -> ClientConnection:
    return await connect(
        f"ws{server.url.removeprefix('http')}/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        compression=None,
        open_timeout=30,
        **options,
    )


async def leave(server: Member, run: str, dice: random.Random) -> None:
    """Come, say more or less, and be gone without a word: the machine was switched off."""
    socket = await socket_to(server)
    how = dice.choice(["silent", "signed in", "subscribed", "followed", "followed"])
    if how != "silent":
        hello = {"type": "connection_init", "payload": {"authorization": f"Bearer {ADMIN_TOKEN}"}}
        await socket.send(orjson.dumps(hello).decode())
        await socket.recv()
    if how in {"subscribed", "followed"}:
        for number in range(3):
            asked = {"query": TIMELINE, "variables": {"run": run, "after": None}}
            await socket.send(orjson.dumps({"type": "subscribe", "id": str(number), "payload": asked}).decode())
    if how == "followed":
        await socket.recv()
    socket.transport.abort()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_thousand_clients_that_go_without_a_word_leave_nothing_behind(place: Place) -> None:
    server, crowd = await place.server()
    dice = random.Random(1)
    # It waits for a person, so whoever follows it would do so for ever.
    run = await submitted(crowd, {"key": "s0", "tool": "gated", "args": {"n": 0}})
    observer = await asyncpg.connect(place.keeper.dsn)
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lifeos%'"

    async def many(number: int) -> None:
        for _ in range(number // 25):
            await asyncio.gather(*(leave(server, run, dice) for _ in range(25)))
        async with asyncio.timeout(3 * PATIENCE_SECONDS):
            while await followers_of(server) or open_files(server) > files + 5:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    files = open_files(server) + 40  # the pool's connections are made when they are first needed
    await many(100)
    files, memory = open_files(server), memory_bytes(server)

    await many(1000)

    assert memory_bytes(server) - memory < 16 * 1024 * 1024
    assert await observer.fetchval(sessions) <= 20
    line = await crowd.api.ask(crowd.admin, "approvals", {})
    assert line["outcome"] == "ok"
    await observer.close()
    await crowd.api.close()


LARGE: str = "subscription($run: ID!) { timeline(runId: $run) { seq step { key args } } }"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_readers_that_take_nothing_are_dropped_and_hold_little_meanwhile(place: Place) -> None:
    server, crowd = await place.server()
    text = "x" * 4000
    steps = [{"key": f"s{n}", "tool": "keyed", "args": {"n": n, "take": text}} for n in range(300)]
    # One waits for a person, so that nobody's subscription ends by itself.
    run = await submitted(crowd, *steps, {"key": "gated", "tool": "gated", "args": {"n": 300}})
    events = 3 * len(steps)
    await _read(server, run, events)
    before = memory_bytes(server)

    stuck = [await _follow(server, run) for _ in range(40)]
    async with asyncio.timeout(3 * PATIENCE_SECONDS):
        while await followers_of(server) < len(stuck):  # noqa: ASYNC110 - the server counts them
            await asyncio.sleep(0.05)
    # Others are served meanwhile, from the first event to the newest.
    await _read(server, run, events)

    # What was not taken by them, 3.6 MB each, is held nowhere.
    assert memory_bytes(server) - before < 48 * 1024 * 1024
    async with asyncio.timeout(120):
        while await followers_of(server):  # noqa: ASYNC110 - the server counts them
            await asyncio.sleep(0.5)
    for each in stuck:
        each.transport.abort()
    await crowd.api.close()


async def _follow(server: Member, run: str) -> ClientConnection:
    """A subscriber with a small mailbox, which nobody empties."""
    mailbox = socket.socket()
    mailbox.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    mailbox.setblocking(False)  # noqa: FBT003 - its own
    await asyncio.get_running_loop().sock_connect(mailbox, ("127.0.0.1", server.port))
    client = await socket_to(server, sock=mailbox, max_queue=1, ping_interval=None)
    hello = {"type": "connection_init", "payload": {"authorization": f"Bearer {ADMIN_TOKEN}"}}
    await client.send(orjson.dumps(hello).decode())
    await client.recv()
    asked = {"query": LARGE, "variables": {"run": run}}
    await client.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": asked}).decode())
    return client


async def _read(server: Member, run: str, events: int) -> None:
    client = await _follow(server, run)
    async with asyncio.timeout(5 * PATIENCE_SECONDS):
        for seq in range(1, events + 1):
            message = orjson.loads(await client.recv())
            assert message["payload"]["data"]["timeline"]["seq"] == seq, message
    await client.close()
