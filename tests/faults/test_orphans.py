"""Calls that a cancelled run left behind, when their process dies before it says how they ended."""

from __future__ import annotations

import asyncio

from persistence import workers
from persistence.moves.rescue import close_orphaned_calls
from tests.faults.invariants import check_runs
from tests.faults.locks import transaction
from tests.persistence.stage import Draft, Stage, succeeded


async def close(stage: Stage) -> int:
    async with stage.database.connection() as connection, asyncio.timeout(5):
        return await close_orphaned_calls(connection)


async def test_a_left_call_is_closed_by_what_is_known_of_it_once_its_process_is_dead(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(), Draft(idempotent=False), Draft(idempotent=False))
    again, entered, untouched = await stage.claim(worker)
    assert await stage.enter(entered, worker)
    await stage.cancel(run)

    assert await close(stage) == 0
    async with stage.database.connection() as connection:
        await workers.end(connection, [worker])
    assert await close(stage) == 3
    assert await close(stage) == 0

    calls = {call["position"]: call["status"] for call in await stage.calls(run)}
    assert calls == {again.position: "FAILED", entered.position: "IN_DOUBT", untouched.position: "FAILED"}
    assert [step["left_by"] for step in await stage.steps(run)] == [None] * 3
    assert not await stage.enter(untouched, worker)
    await check_runs(stage.database, run)


async def test_a_call_that_said_how_it_ended_is_no_orphan(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft())
    (step,) = await stage.claim(worker)
    await stage.cancel(run)

    await stage.settle(succeeded(step, worker))
    async with stage.database.connection() as connection:
        await workers.end(connection, [worker])
    await close(stage)

    assert [call["status"] for call in await stage.calls(run)] == ["SUCCEEDED"]
    assert [each["left_by"] for each in await stage.steps(run)] == [None]


async def test_closing_waits_for_nobody_and_comes_back_for_what_was_busy(stage: Stage) -> None:
    worker = await stage.worker()
    first, second = await stage.begun(Draft()), await stage.begun(Draft())
    await stage.claim(worker)
    for run in (first, second):
        await stage.cancel(run)
    async with stage.database.connection() as connection:
        await workers.end(connection, [worker])

    async with transaction(stage) as tx:
        # A late word about the second one is just being written.
        await tx.execute("SELECT FROM tool_calls WHERE run_id = $1 FOR NO KEY UPDATE", second)
        assert await close(stage) == 1

    assert [call["status"] for call in await stage.calls(first)] == ["FAILED"]
    assert [call["status"] for call in await stage.calls(second)] == ["STARTED"]
    assert await close(stage) == 1


async def test_once_a_left_call_has_said_how_it_ended_nothing_waits_for_its_process_any_more(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(), Draft())
    said, silent = await stage.claim(worker)
    await stage.cancel(run)
    await stage.settle(succeeded(said, worker))

    assert await close(stage) == 0

    # The process lives, and may do so for months.
    assert [step["left_by"] for step in await stage.steps(run)] == [None, worker]
    calls = {call["position"]: call["status"] for call in await stage.calls(run)}
    assert calls == {said.position: "SUCCEEDED", silent.position: "STARTED"}
    await check_runs(stage.database, run)
