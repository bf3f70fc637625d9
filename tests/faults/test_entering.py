"""A call that must not be repeated is noted before it is made; a rescue and the note never miss each other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from engine.scheduler import rescue
from persistence import workers
from persistence.moves.claim import Entry, enter
from persistence.moves.locks import lock_free_runs
from persistence.moves.rescue import lost_steps
from persistence.moves.row import ClaimedStep
from persistence.moves.settle import advance
from tests.faults.invariants import check_runs
from tests.faults.locks import deadlocks, transaction, waiting
from tests.persistence.stage import Draft, Stage


async def test_a_process_declared_dead_does_not_enter_what_is_being_rescued_as_never_entered(stage: Stage) -> None:
    zombie, heir = await stage.worker(), await stage.worker()
    run = await stage.begun(Draft(idempotent=False))
    (step,) = await stage.claim(zombie)
    async with stage.database.connection() as connection:
        await workers.end(connection, [zombie])

    async with transaction(stage) as sweeper:
        await lock_free_runs(sweeper, [run])
        lost = await lost_steps(sweeper, [zombie], [run])
        entering = asyncio.create_task(stage.enter(step, zombie))
        await waiting(stage, or_done=entering)
        await advance(sweeper, [rescue(each) for each in lost])

    assert [each.entered for each in lost] == [False]
    assert not await entering
    assert await stage.states(run) == ["READY"]
    (again,) = await stage.claim(heir)
    assert await stage.enter(again, heir)
    await check_runs(stage.database, run)


async def test_a_rescue_waits_for_the_note_of_a_call_and_finds_it_in_doubt(stage: Stage) -> None:
    zombie = await stage.worker()
    run = await stage.begun(Draft(idempotent=False))
    (step,) = await stage.claim(zombie)
    async with stage.database.connection() as connection:
        await workers.end(connection, [zombie])

    async with transaction(stage) as entering:
        assert await enter(entering, [Entry(step, zombie)])
        rescuing = asyncio.create_task(stage.rescue(zombie))
        await waiting(stage, or_done=rescuing)

    assert (await rescuing).accepted == {0}
    assert await stage.states(run) == ["BLOCKED"]
    assert [call["status"] for call in await stage.calls(run)] == ["IN_DOUBT"]


async def test_a_note_waits_for_nobody_elses_run(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(idempotent=False))
    (step,) = await stage.claim(worker)

    async with transaction(stage) as other:
        await lock_free_runs(other, [run])
        async with asyncio.timeout(5):
            assert await stage.enter(step, worker)


async def note(stage: Stage, steps: Sequence[ClaimedStep], worker: UUID) -> None:
    async with stage.database.connection() as connection:
        await enter(connection, [Entry(step, worker) for step in steps])


async def test_many_notes_and_rescues_of_the_same_steps_never_deadlock(stage: Stage) -> None:
    for _ in range(10):
        zombie = await stage.worker()
        runs = [await stage.begun(*[Draft(idempotent=False)] * 5) for _ in range(4)]
        steps = await stage.claim(zombie)
        async with stage.database.connection() as connection:
            await workers.end(connection, [zombie])

        await asyncio.gather(
            note(stage, steps, zombie),
            note(stage, steps[::-1], zombie),
            stage.rescue(zombie),
            note(stage, steps[::-1], zombie),
            stage.rescue(zombie),
        )
        found = await check_runs(stage.database, *runs)
        for whole in found.values():
            for made, after in zip(whole.calls, whole.steps, strict=True):
                assert (made["entered_at"] is not None) == (after["state"] == "BLOCKED")
    assert await deadlocks(stage) == 0
