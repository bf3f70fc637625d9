"""Real processes that are restarted, frozen, ended by their own steps, and cut off from every announcement."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from persistence import ids
from tests.chaos.checker import check
from tests.chaos.nemesis import World
from tests.chaos.trial import Load, more_runs, trial
from tests.databases import _place
from tests.faults.test_database_away import Place, followed, place, submitted, until
from tests.faults.test_upgrades import RELAXED

__all__ = ["place"]


@pytest.fixture
async def folder() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(dir=_place()) as name:
        yield Path(name)


@pytest.fixture
async def observer(place: Place) -> AsyncIterator[Any]:
    """A session past all links."""
    connection = await asyncpg.connect(place.keeper.dsn)
    yield connection
    await connection.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_rolling_restarts_of_everybody_under_load_lose_nothing(folder: Path) -> None:
    async def restart(world: World) -> None:
        await more_runs(world, 3)
        for member in world.fleet.members:
            async with member.busy:
                member.signal(signal.SIGTERM, by="SIGTERM")
                await member.ended()
                await member.start()
                await member.ready()
        await more_runs(world, 2)

    load = Load(servers=2, workers=1, every_seconds=0.5)
    history, is_quiet = await trial(folder, restart, random.Random(1), load, settings={}, cluster=RELAXED)

    found = check(history)
    assert not found, "\n".join(map(str, found))
    assert is_quiet
    assert [ending["status"] for ending in history["endings"] if ending["by"] == "SIGTERM"] == [0] * 3
    # What was going on ended well, or was handed back: nothing had to be missed before somebody went on with it.
    reasons = {each["metadata"]["reason"] for each in history["events"] if each["type"] == "STEP_RETRYING"}
    assert reasons <= {"FAILED", "HANDED_BACK"}


async def step_of(observer: Any, run: str) -> dict[str, Any]:
    row = await observer.fetchrow("SELECT * FROM steps WHERE run_id = $1", ids.parse_as(ids.RUN, run))
    return dict(row)


async def calls_of(observer: Any, run: UUID) -> list[tuple[int, str, str | None]]:
    rows = await observer.fetch(
        "SELECT attempt, status, error_code FROM tool_calls WHERE run_id = $1 ORDER BY attempt", run
    )
    return [tuple(row) for row in rows]


async def test_a_woken_zombies_outcome_is_refused_and_its_call_is_counted_once(place: Place, observer: Any) -> None:
    zombie, crowd = await place.server()
    run = await submitted(crowd, {"key": "s0", "tool": "keyed", "args": {"n": 0, "mode": "slow"}})
    row = ids.parse_as(ids.RUN, run)
    # Its effect has happened, and the tool is about to answer.
    async with asyncio.timeout(30):
        while place.effects() == 0:  # noqa: ASYNC110 - the ledger is a file
            await asyncio.sleep(0.01)
    zombie.signal(signal.SIGSTOP)
    await place.fleet.add("worker", serves=False)
    await until(observer, "SELECT finished_at IS NOT NULL FROM runs WHERE id = $1", row)
    before = await step_of(observer, run)
    told = await observer.fetchval("SELECT last_seq FROM runs WHERE id = $1", row)

    zombie.signal(signal.SIGCONT)
    await until(observer, "SELECT count(*) = 2 FROM workers WHERE pid = $1", zombie.pid)
    again = await submitted(crowd, {"key": "s0", "tool": "keyed", "args": {"n": 1}})
    assert (await followed(again, zombie))[-1] == "WORKFLOW_COMPLETE"

    after = await step_of(observer, run)
    assert after == before
    assert (after["state"], after["attempt"], after["calls"], after["losses"]) == ("SUCCEEDED", 2, 2, 1)
    assert await observer.fetchval("SELECT last_seq FROM runs WHERE id = $1", row) == told
    assert await calls_of(observer, row) == [(1, "FAILED", "WORKER_LOST"), (2, "SUCCEEDED", None)]
    assert place.effects() == 2
    await crowd.api.close()


async def test_a_step_that_ends_every_process_that_runs_it_is_a_dead_letter_after_three(
    place: Place, observer: Any
) -> None:
    server, crowd = await place.server("--no-engine")
    worker = await place.fleet.add("worker", serves=False)
    run = await submitted(crowd, {"key": "s0", "tool": "keyed", "args": {"n": 0, "mode": "die"}})

    for _ in range(3):
        async with asyncio.timeout(60):
            await worker.ended()
        await worker.start()

    story = await followed(run, server)
    assert story[-3:] == ["STEP_FAILED", "STEP_DEAD_LETTERED", "WORKFLOW_FAILED"]
    assert [ending.status for ending in place.fleet.endings] == [7, 7, 7]
    step = await step_of(observer, run)
    assert (step["state"], step["losses"], step["error_code"]) == ("FAILED", 3, "WORKER_LOST")
    assert place.calls() == 3
    await crowd.api.close()


async def test_when_nobody_hears_an_announcement_the_sweep_finds_everything(place: Place) -> None:
    server, crowd = await place.server("--no-engine")
    worker = await place.fleet.add("worker", serves=False)
    await worker.ready()
    server.proxy.is_deaf = worker.proxy.is_deaf = True

    runs = [
        await submitted(
            crowd,
            {"key": "s0", "tool": "keyed", "args": {"n": 0}},
            {"key": "s1", "tool": "keyed", "args": {"n": 1, "mode": "flaky"}, "dependsOn": ["s0"]},
        )
        for _ in range(3)
    ]
    stories = await asyncio.gather(*(followed(run, server) for run in runs))

    assert {story[-1] for story in stories} == {"WORKFLOW_COMPLETE"}
    assert place.effects() == 6
    assert server.proxy.is_deaf
    await crowd.api.close()
