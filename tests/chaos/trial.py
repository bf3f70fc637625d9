"""One trial: real processes, people and subscribers, something that disturbs them, and all that was seen of it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from tests.chaos.fleet import fleet
from tests.chaos.followers import Follower, follow
from tests.chaos.history import History, collect
from tests.chaos.ledger import ledger_at
from tests.chaos.nemesis import World, heal, keep_alive
from tests.chaos.people import Api, Crowd
from tests.faults.keeper import kept_postgres

QUIET_SECONDS: Final = 60.0
"""How long after the last fault everything may take to be done (I23)."""

DURABLE: Final = {"fsync": "on", "io_method": "sync", "max_connections": "120"}

Disturb = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Load:
    """How much is at work, and how hard."""

    servers: int = 2
    workers: int = 2
    every_seconds: float = 1.2
    """Between one submitter's submissions."""


async def trial(
    folder: Path,
    disturb: Disturb,
    dice: random.Random,
    load: Load,
    *,
    settings: Mapping[str, str],
    cluster: Mapping[str, str] = DURABLE,
) -> tuple[History, bool]:
    """Everything that was seen, and whether all of it was done in time after `disturb` had returned.

    The history is kept in the folder too.
    """
    async with (
        kept_postgres(folder / "database", cluster) as keeper,
        ledger_at(folder / "ledger.jsonl") as port,
        fleet(folder, keeper.dsn, port, servers=load.servers, workers=load.workers, settings=settings) as members,
    ):
        api = Api(members.members, dice)
        crowd = Crowd(api, dice, port)
        world = World(members, keeper, crowd, port)
        followers: list[Follower] = []
        await crowd.arrive()
        deciding = [asyncio.create_task(crowd.decide_on(who)) for who in crowd.deciders]
        following = asyncio.create_task(_follow_all(crowd, world, followers, dice))
        work = [asyncio.create_task(crowd.submit_on(who, every_seconds=load.every_seconds)) for who in crowd.submitters]
        work += [asyncio.create_task(crowd.cancel_on()), asyncio.create_task(crowd.retry_on())]
        alive = asyncio.create_task(keep_alive(world))
        try:
            await disturb(world)
            await heal(world)
            crowd.submits = False
            await asyncio.gather(*work)
            is_quiet = await _quiet(keeper.dsn)
        finally:
            for task in (*work, *deciding, following):
                task.cancel()
            await asyncio.gather(*work, *deciding, following, return_exceptions=True)
            alive.cancel()
            with suppress(asyncio.CancelledError):
                await alive
            await api.close()
        history = await collect(
            keeper.dsn,
            folder / "ledger.jsonl",
            people=api.log,
            followers=[each.written() for each in followers],
            faults=world.log,
            endings=[],
            logs={},
        )
    history["endings"] = [dataclasses.asdict(each) for each in members.endings]
    history["logs"] = {each.name: (folder / f"{each.name}.log").read_text(errors="replace") for each in members.members}
    (folder / "history.json").write_text(json.dumps(history))
    return history, is_quiet


async def more_runs(world: World, number: int, *, seconds: float = 90) -> None:
    """Wait until so many more submissions were acknowledged: for what disturbs a trial at certain moments of it."""
    wanted = len(world.crowd.runs) + number
    async with asyncio.timeout(seconds):
        while len(world.crowd.runs) < wanted:  # noqa: ASYNC110 - the crowd tells nobody
            await asyncio.sleep(0.05)


async def _follow_all(crowd: Crowd, world: World, followers: list[Follower], dice: random.Random) -> None:
    async with asyncio.TaskGroup() as group:
        while True:
            run = await crowd.follow.get()
            follower = Follower(run)
            followers.append(follower)
            group.create_task(follow(follower, world.fleet.members, dice))


async def _quiet(dsn: str) -> bool:
    """Wait until every run has ended, for as long as that may take."""
    until = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        with suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(dsn)
            try:
                open_runs = await connection.fetchval("SELECT count(*) FROM runs WHERE finished_at IS NULL")
            finally:
                await connection.close()
            if open_runs == 0:
                await asyncio.sleep(2)  # for what is still on its way to subscribers
                return True
        await asyncio.sleep(0.5)
    return False


def summary(history: Mapping[str, Any]) -> dict[str, int]:
    """How much of everything there was."""
    return {
        "runs": len(history["runs"]),
        "steps": len(history["steps"]),
        "events": len(history["events"]),
        "ledger_lines": len(history["ledger"]),
        "requests": len(history["people"]),
        "subscribers": len(history["followers"]),
        "events_received": sum(len(each["received"]) for each in history["followers"]),
        "faults": len(history["faults"]),
    }
