"""The real server while its database is away: it answers in time that it does not know, and goes on by itself."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from persistence.migrate import migrate
from tests.chaos.fleet import Fleet, Member
from tests.chaos.followers import Follower, follow
from tests.chaos.ledger import ask, ledger_at
from tests.chaos.people import Api, Crowd
from tests.databases import THROW_AWAY, _place
from tests.engine.harness import PATIENCE_SECONDS
from tests.faults.keeper import Keeper, kept_postgres
from tests.faults.proxy import Wanted, commits

REQUEST_SECONDS = 5
"""What the fleet's servers are told."""
MARGIN_SECONDS = 2.5


@dataclass
class Place:
    """A PostgreSQL of its own, a ledger, and the processes that a test starts."""

    keeper: Keeper
    fleet: Fleet
    ledger: int
    folder: Path

    async def server(self, *args: str) -> tuple[Member, Crowd]:
        """A server that is ready, and people at it."""
        server = await self.fleet.add("server", serves=True, args=args)
        await server.ready()
        crowd = Crowd(Api([server], random.Random(1)), random.Random(1), self.ledger)
        await crowd.arrive()
        return server, crowd

    def calls(self) -> int:
        """How many calls the ledger knows, whatever became of them."""
        return (self.folder / "ledger").read_text().count('"op": "call"')

    def effects(self) -> int:
        """How many effects the ledger knows."""
        return (self.folder / "ledger").read_text().count('"applied": true')


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(dir=_place()) as name:
        folder = Path(name)
        settings = {**THROW_AWAY, "synchronous_commit": "on"}
        async with kept_postgres(folder / "data", settings) as keeper, ledger_at(folder / "ledger") as port:
            await migrate(keeper.dsn)
            fleet = Fleet(folder, keeper.dsn, port)
            try:
                yield Place(keeper, fleet, port, folder)
            finally:
                await fleet.close()


async def submitted(crowd: Crowd, *steps: dict[str, Any]) -> str:
    """The id of a run that is recorded."""
    given = {"plan": {"steps": list(steps)}, "idempotencyKey": f"key-{random.random()}"}
    line = await crowd.api.insist(
        crowd.admin, "submitWorkflow", {"input": given}, until=time.monotonic() + PATIENCE_SECONDS
    )
    assert line["outcome"] == "ok", line
    return line["answer"]["run"]["id"]


async def followed(run: str, server: Member) -> list[str]:
    """All events of the run, by a subscriber who reconnects."""
    follower = Follower(run)
    async with asyncio.timeout(3 * PATIENCE_SECONDS):
        await follow(follower, [server], random.Random(1))
    assert [line["seq"] for line in follower.received] == list(range(1, len(follower.received) + 1))
    return [line["type"] for line in follower.received]


@asynccontextmanager
async def frozen(server: Member, _keeper: Keeper) -> AsyncGenerator[None]:
    server.proxy.freeze()
    yield
    server.proxy.thaw()


@asynccontextmanager
async def stopped_fast(_server: Member, keeper: Keeper) -> AsyncGenerator[None]:
    await keeper.stop("fast")
    yield
    await keeper.start()


@asynccontextmanager
async def stopped_at_once(_server: Member, keeper: Keeper) -> AsyncGenerator[None]:
    await keeper.stop("immediate")
    yield
    await keeper.start()


@pytest.mark.parametrize("away", [frozen, stopped_fast, stopped_at_once])
async def test_a_server_without_its_database_says_so_in_time_and_goes_on_by_itself(away: Any, place: Place) -> None:
    server, crowd = await place.server()
    pid = server.pid
    run = await submitted(crowd, {"key": "s0", "tool": "keyed", "args": {"n": 0, "mode": "slow"}})
    following = asyncio.create_task(followed(run, server))

    async with away(server, place.keeper):
        lines = await asyncio.gather(
            *(crowd.api.ask(crowd.admin, what, {}) for what in ("approvals", "deadLetters") for _ in range(4))
        )

    assert {(line["outcome"], line.get("code")) for line in lines} == {("unknown", "UNAVAILABLE")}
    assert max(line["ended"] - line["began"] for line in lines) < REQUEST_SECONDS + MARGIN_SECONDS
    again = await submitted(crowd, {"key": "s0", "tool": "keyed", "args": {"n": 1}})
    assert (await followed(again, server))[-1] == "WORKFLOW_COMPLETE"
    assert (await following)[-1] == "WORKFLOW_COMPLETE"
    assert server.pid == pid
    assert place.effects() == 2
    await crowd.api.close()


async def test_terminated_sessions_cost_nobody_anything(place: Place) -> None:
    server, crowd = await place.server()
    runs = [
        await submitted(crowd, *({"key": f"s{n}", "tool": "keyed", "args": {"n": n, "mode": "slow"}} for n in range(5)))
        for _ in range(3)
    ]
    following = [asyncio.create_task(followed(run, server)) for run in runs]
    observer = await asyncpg.connect(place.keeper.dsn)
    for _ in range(5):
        await observer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lifeos%'"
        )
        await asyncio.sleep(0.2)
    await observer.close()

    stories = await asyncio.gather(*following)

    assert [story[-1] for story in stories] == ["WORKFLOW_COMPLETE"] * 3
    assert all("STEP_RETRYING" not in story for story in stories)
    assert place.effects() == 15
    await crowd.api.close()


async def test_a_worker_with_twenty_calls_in_flight_ends_with_status_0_and_others_go_on_at_once(place: Place) -> None:
    server, crowd = await place.server()
    server.proxy.freeze()  # so that it is the worker who takes them
    first = await place.fleet.add("first", serves=False)
    await ask(place.ledger, op="outage", how="hang")
    observer = await asyncpg.connect(place.keeper.dsn)
    await until(observer, "SELECT count(*) = 1 FROM workers WHERE pid = $1 AND ended_at IS NULL", first.pid)
    server.proxy.thaw()
    steps = [{"key": f"s{n}", "tool": "keyed", "args": {"n": n}, "timeoutSeconds": 60} for n in range(20)]
    run = await submitted(crowd, *steps)
    following = asyncio.create_task(followed(run, server))
    await until(observer, "SELECT count(*) = 20 FROM steps WHERE state = 'RUNNING'")
    holders = await observer.fetch(
        "SELECT w.pid, count(*) AS steps FROM steps s JOIN workers w ON w.id = s.owner GROUP BY 1"
    )
    busiest = max(holders, key=lambda row: row["steps"])["pid"]
    stopping = next(each for each in place.fleet.members if each.pid == busiest)
    began = time.monotonic()

    stopping.signal(15, by="SIGTERM")
    await stopping.ended()

    assert time.monotonic() - began < 10
    assert place.fleet.endings[-1].status == 0
    await ask(place.ledger, op="outage", how="")
    if stopping is server:
        await server.start()
    story = await following
    assert story[-1] == "WORKFLOW_COMPLETE"
    reasons = await observer.fetch(
        "SELECT DISTINCT metadata->>'reason' AS reason FROM timeline_events WHERE type = 'STEP_RETRYING'"
    )
    assert [row["reason"] for row in reasons] == ["HANDED_BACK"]
    assert place.effects() == 20
    await observer.close()
    await crowd.api.close()


async def until(observer: Any, question: str, *values: Any) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await observer.fetchval(question, *values):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "statement",
    [commits("CREATE TABLE"), commits("INTO tokens")],
    ids=["while it migrates", "while it makes the administrator"],
)
async def test_a_server_whose_database_goes_away_while_it_starts_waits_for_it(statement: Wanted, place: Place) -> None:
    observer = await asyncpg.connect(place.keeper.dsn)
    await observer.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await observer.close()
    server = await place.fleet.add("server", serves=True, starts=False)
    server.proxy.loses = statement

    await server.start()
    await server.ready()

    assert server.pid, (place.folder / "server.log").read_text()
    assert server.proxy.lost.is_set()
