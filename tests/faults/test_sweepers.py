"""Several processes sweep the same leavings at once: each is swept once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from engine.scheduler import Scheduler
from persistence.ids import new_id
from persistence.moves.claim import claim
from persistence.moves.inputs import Claimer
from tests.engine.harness import PATIENCE_SECONDS, Act, Running, acting, running, step
from tests.faults.invariants import check_runs

_LEFT = """SELECT EXISTS (SELECT FROM approvals WHERE status = 'REQUIRED') OR EXISTS (
    SELECT FROM steps s JOIN workers w ON w.id = s.owner WHERE w.ended_at IS NOT NULL)"""


def scheduler_of(engine: Running) -> Scheduler:
    """Its broom."""
    return engine.engine._scheduler


@pytest.mark.parametrize("sweepers", [2, 5])
async def test_schedulers_that_sweep_at_once_do_everything_once(sweepers: int, dsn: str) -> None:
    act, gated = Act("noop"), Act("gated", risk="L3")
    acts = acting(act, gated)
    async with AsyncExitStack() as engines:
        # Nobody takes anything, or sweeps by itself: what is swept is left as it is.
        quiet = {"sweep_seconds": 3600, "concurrency": 0}
        all_of_them = [
            await engines.enter_async_context(running(dsn, acts, approval_timeout_seconds=0.001, **quiet))
            for _ in range(sweepers)
        ]
        it = all_of_them[0]
        runs = [
            await it.submit(*(step(f"s{n}") for n in range(4)), step("g", "gated"), step("after", after=["s0", "g"]))
            for _ in range(5)
        ]
        # As a process leaves it that dies: steps that it owns, of every run.
        dead = new_id()
        await it.database.execute(
            "INSERT INTO workers (id, host, pid, lease_until) VALUES ($1, 'gone', 1, now() + interval '1 hour')", dead
        )
        taken = 0
        async with it.database.connection() as tx, asyncio.timeout(PATIENCE_SECONDS):
            while taken < 20:  # runs whose submission is just being told of elsewhere may be busy
                taken += len((await claim(tx, Claimer(dead, 100))).claimed)
        await it.database.execute("UPDATE workers SET ended_at = clock_timestamp() WHERE id = $1", dead)

        # What one of them holds the others leave for their next time.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await it.database.fetchval(_LEFT):
                await asyncio.gather(*(scheduler_of(each).sweep() for each in all_of_them for _ in range(3)))

        for run in runs:
            told = Counter(await it.story(run))
            assert [told[f"STEP_RETRYING s{n}"] for n in range(4)] == [1, 1, 1, 1]
            assert told["APPROVAL_EXPIRED g"] == told["STEP_SKIPPED g"] == told["STEP_SKIPPED after"] == 1
            steps = await it.steps(run)
            assert [steps[f"s{n}"]["losses"] for n in range(4)] == [1, 1, 1, 1]
        await check_runs(it.database, *runs)
