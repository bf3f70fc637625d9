"""Two who want the same run: one holds it, the other is seen waiting; then exactly one wins, and the other learns."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from engine.scheduler import rescue
from persistence import workers
from persistence.database import Connection, Unavailable
from persistence.moves import begin, planning
from persistence.moves.cancel import cancel
from persistence.moves.claim import Entry, claim, enter
from persistence.moves.inputs import Claimer, Outcome
from persistence.moves.rescue import close_orphaned_calls, lost_steps
from persistence.moves.row import Advance, ClaimedStep
from persistence.moves.settle import advance
from persistence.states import ApprovalStatus, InDoubtResolution, StepState, ToolCallStatus
from tests.faults.invariants import check_runs
from tests.faults.locks import deadlocks, holding, transaction, waiting
from tests.persistence.stage import (
    Draft,
    Stage,
    cancel_locked,
    decide_locked,
    expire_locked,
    failed,
    outcome,
    redrive_locked,
    settle,
    staged,
    succeeded,
)

APPROVED, REJECTED = ApprovalStatus.APPROVED, ApprovalStatus.REJECTED


async def staged_race(
    stage: Stage,
    run: UUID,
    first: Callable[[Connection], Awaitable[Any]],
    second: Callable[[], Awaitable[Any]],
) -> tuple[Any, Any]:
    """What both got: the second one came while the first held the run, and was seen waiting for it."""
    async with holding(stage, run) as tx:
        won = await first(tx)
        late = asyncio.create_task(_awaited(second()))
        await waiting(stage)
        assert not late.done()
    return won, await late


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


async def asked(stage: Stage) -> tuple[UUID, UUID]:
    run = await stage.begun(Draft(gated=True))
    return run, (await stage.approvals(run))[0]["id"]


@pytest.mark.parametrize(("first", "second"), [(APPROVED, REJECTED), (REJECTED, APPROVED), (APPROVED, APPROVED)])
async def test_of_two_decisions_the_first_stands(stage: Stage, first: ApprovalStatus, second: ApprovalStatus) -> None:
    run, approval = await asked(stage)

    won, lost = await staged_race(
        stage,
        run,
        lambda tx: decide_locked(tx, approval, first, by=stage.user),
        lambda: stage.decide(approval, second, by=stage.other),
    )

    assert won.marks
    assert lost is None
    (decided,) = await stage.approvals(run)
    assert (decided["status"], decided["decided_by"]) == (first, stage.user)
    await check_runs(stage.database, run)


async def test_a_decision_after_the_expiry_learns_that_time_was_first(stage: Stage) -> None:
    run, approval = await asked(stage)
    await stage.database.execute("UPDATE approvals SET expires_at = created_at")

    won, lost = await staged_race(
        stage, run, lambda tx: expire_locked(tx, [run]), lambda: stage.decide(approval, APPROVED)
    )

    assert won.marks
    assert lost is None
    assert await stage.states(run) == ["SKIPPED"]
    await check_runs(stage.database, run)


async def test_an_expiry_passes_over_a_run_that_is_being_decided_and_finds_nothing_later(stage: Stage) -> None:
    run, approval = await asked(stage)
    await stage.database.execute("UPDATE approvals SET expires_at = clock_timestamp() + interval '1 hour'")

    async with holding(stage, run) as tx:
        assert await decide_locked(tx, approval, APPROVED, by=stage.user) is not None
        assert (await stage.expire(run)).marks == []

    await stage.database.execute("UPDATE approvals SET expires_at = decided_at")
    assert (await stage.expire(run)).marks == []
    assert await stage.states(run) == ["READY"]


async def test_a_decision_that_comes_too_late_is_refused_before_any_sweep(stage: Stage) -> None:
    run, approval = await asked(stage)
    await stage.database.execute("UPDATE approvals SET expires_at = clock_timestamp()")

    assert await stage.decide(approval, APPROVED) is None

    assert await stage.states(run) == ["BLOCKED"]
    assert (await stage.expire(run)).accepted == {0}


async def test_a_decision_after_a_cancellation_is_refused(stage: Stage) -> None:
    run, approval = await asked(stage)

    won, lost = await staged_race(
        stage, run, lambda tx: cancel_locked(tx, run), lambda: stage.decide(approval, APPROVED)
    )

    assert won.marks
    assert lost is None
    assert [each["status"] for each in await stage.approvals(run)] == ["CANCELLED"]
    await check_runs(stage.database, run)


async def test_a_cancellation_after_a_decision_cancels_what_was_approved(stage: Stage) -> None:
    run, approval = await asked(stage)

    won, late = await staged_race(
        stage, run, lambda tx: decide_locked(tx, approval, APPROVED, by=stage.user), lambda: stage.cancel(run)
    )

    assert won.marks
    assert late.marks
    assert await stage.states(run) == ["CANCELLED"]
    assert [each["status"] for each in await stage.approvals(run)] == ["APPROVED"]
    assert await stage.calls(run) == []
    await check_runs(stage.database, run)


async def test_an_outcome_after_a_cancellation_stands_on_its_call_only(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(), Draft(after=(0,)))
    (step,) = await stage.claim(worker)

    won, lost = await staged_race(
        stage,
        run,
        lambda tx: cancel_locked(tx, run),
        lambda: stage.settle(succeeded(step, worker), claimer=Claimer(worker, 5)),
    )

    assert won.marks
    assert (lost.accepted, lost.marks, lost.claimed) == (set(), [], [])
    assert await stage.states(run) == ["CANCELLED", "CANCELLED"]
    assert [call["status"] for call in await stage.calls(run)] == ["SUCCEEDED"]
    assert (await stage.types(run))[-1] == "WORKFLOW_CANCELLED"
    await check_runs(stage.database, run)


async def test_a_cancellation_after_the_last_outcome_finds_the_run_over(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft())
    (step,) = await stage.claim(worker)

    won, lost = await staged_race(
        stage, run, lambda tx: settle(tx, [succeeded(step, worker)]), lambda: stage.cancel(run)
    )

    assert won.accepted == {0}
    assert lost is None
    assert (await stage.run(run))["state"] == "COMPLETED"


async def test_an_outcome_that_comes_after_the_rescue_moves_nothing(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft())
    (step,) = await stage.claim(worker)

    async def rescued(tx: Connection) -> Advance:
        await workers.end(tx, [worker])
        return await advance(tx, [rescue(each) for each in await lost_steps(tx, [worker], [run])])

    won, lost = await staged_race(stage, run, rescued, lambda: stage.settle(succeeded(step, worker)))

    assert won.accepted == {0}
    assert lost.accepted == set()
    assert await stage.states(run) == ["READY"]
    (call,) = await stage.calls(run)
    assert (call["status"], call["error_code"], call["result"]) == ("FAILED", "WORKER_LOST", '{"ok": true}')
    await check_runs(stage.database, run)


async def test_a_rescue_passes_over_a_run_whose_outcome_is_being_written(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft())
    (step,) = await stage.claim(worker)

    async with holding(stage, run) as tx:
        assert (await settle(tx, [succeeded(step, worker)])).accepted == {0}
        assert (await stage.bury(worker)).accepted == set()

    assert (await stage.rescue(worker)).accepted == set()
    assert await stage.states(run) == ["SUCCEEDED"]


async def test_a_claim_passes_over_a_run_that_is_being_cancelled(stage: Stage) -> None:
    worker = await stage.worker()
    run, other = await stage.begun(Draft()), await stage.begun(Draft())

    async with holding(stage, run) as tx:
        await cancel(tx, run, reason=None, by="")
        assert [step.run for step in await stage.claim(worker)] == [other]

    assert await stage.claim(worker) == []
    assert await stage.states(run) == ["CANCELLED"]


async def test_a_cancellation_waits_for_a_claim_and_knows_whose_call_it_left(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft())

    async with transaction(stage) as tx:
        await claim(tx, Claimer(worker, 5))
        late = asyncio.create_task(stage.cancel(run))
        await waiting(stage)

    assert await late is not None
    (step,) = await stage.steps(run)
    assert (step["state"], step["left_by"], step["attempt"]) == ("CANCELLED", worker, 1)
    await check_runs(stage.database, run)


async def test_of_two_redrives_one_brings_the_dead_letter_back(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(), Draft(after=(0,)))
    (step,) = await stage.claim(worker)
    await stage.settle(failed(step, worker))

    won, lost = await staged_race(stage, run, lambda tx: redrive_locked(tx, run, 0), lambda: stage.redrive(run, 0))

    assert won.marks
    assert lost is None
    assert [step["execution"] for step in await stage.steps(run)] == [2, 1]
    await check_runs(stage.database, run)


async def test_of_two_sweepers_one_rescues_each_step(stage: Stage) -> None:
    dead = await stage.worker()
    runs = [await stage.begun(Draft(), Draft()) for _ in range(5)]
    assert len(await stage.claim(dead)) == 10

    done = await asyncio.gather(*(stage.bury(dead) for _ in range(4)))
    done.append(await stage.rescue(dead))

    assert sum(len(each.accepted) for each in done) == 10
    await check_runs(stage.database, *runs)


@pytest.mark.timeout(300)
async def test_of_twenty_rivals_exactly_one_decides_each_of_500_approvals(stage: Stage) -> None:
    runs = [await stage.begun(*[Draft(gated=True)] * 5) for _ in range(100)]
    approvals = [each["id"] for run in runs for each in await stage.approvals(run)]
    assert len(approvals) == 500

    async def rival(number: int) -> list[tuple[UUID, ApprovalStatus]]:
        """All of them; those of which it was told that its decision counts."""
        dice = random.Random(number)
        won: list[tuple[UUID, ApprovalStatus]] = []
        for approval in approvals:
            status = dice.choice([APPROVED, REJECTED])
            # As the engine does: in one commit, and where somebody is in the way, by taking turns.
            at_once = await stage.approve(approval) if status is APPROVED else None
            if at_once is not None or await stage.decide(approval, status) is not None:
                won.append((approval, status))
        return won

    won = dict(each for found in await asyncio.gather(*(rival(number) for number in range(20))) for each in found)

    written = {each["id"]: each["status"] for run in runs for each in await stage.approvals(run)}
    assert won == written
    told = [event for run in runs for event in await stage.events(run)]
    events = Counter(
        event["approval_id"] for event in told if event["type"] in {"APPROVAL_APPROVED", "APPROVAL_REJECTED"}
    )
    assert events == dict.fromkeys(approvals, 1)
    await check_runs(stage.database, *runs)


async def test_one_key_makes_one_run_however_many_submit_it_at_once(stage: Stage) -> None:
    async def submit() -> UUID:
        run = begin.NewRun(
            UUID(int=random.getrandbits(128)), stage.user, "do it", 0, 3, idempotency_key="k", input_digest=b"d"
        )
        stored = await stage.database.transaction(lambda tx: begin.store_runs(tx, [run]))
        return stored[run.id].id

    named = await asyncio.gather(*(submit() for _ in range(50)))

    assert len(set(named)) == 1
    assert await stage.database.fetchval("SELECT count(*) FROM runs") == 1


async def test_of_twenty_redrives_of_one_dead_letter_one_brings_it_back(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(), Draft(after=(0,)))
    (step,) = await stage.claim(worker)
    await stage.settle(failed(step, worker))

    done = await asyncio.gather(*(stage.redrive(run, 0) for _ in range(20)))

    assert sum(each is not None for each in done) == 1
    assert (await stage.types(run)).count("STEP_REDRIVEN") == 2
    await check_runs(stage.database, run)


async def test_two_planners_never_plan_one_run(stage: Stage) -> None:
    planners = [await stage.worker() for _ in range(8)]
    runs = {await stage.queued() for _ in range(40)}

    async def plan(worker: UUID) -> list[UUID]:
        found: list[UUID] = []
        while len(found) < 40:
            async with stage.database.connection() as connection:
                claimed = await planning.claim_planning(connection, worker, at_most=3)
            assert len(claimed) <= 3
            if not claimed:
                break
            found += [run.id for run in claimed]
        return found

    claimed = [run for found in await asyncio.gather(*(plan(worker) for worker in planners)) for run in found]

    assert sorted(claimed) == sorted(runs)


# Everything at once


class Crowd:
    """One of many who move overlapping sets of runs at random, and mind no loss."""

    def __init__(self, stage: Stage, runs: list[UUID], seed: int) -> None:
        self.stage, self.runs, self.dice = stage, runs, random.Random(seed)
        self.worker: UUID
        self.mine: list[ClaimedStep] = []

    async def go(self, moves: int) -> None:
        self.worker = await self.stage.worker()
        kinds = [self.claim, self.claim, self.settle, self.settle, self.settle, self.decide, self.expire, self.late]
        for _ in range(moves):
            await self.dice.choice([*kinds, self.cancel, self.redrive, self.die, self.sweep, self.enter])()

    def some(self) -> list[UUID]:
        return self.dice.sample(self.runs, self.dice.randint(1, 4))

    async def claim(self) -> None:
        self.mine += await self.stage.claim(self.worker, slots=self.dice.randint(1, 8))

    async def settle(self) -> None:
        steps = [self.mine.pop(self.dice.randrange(len(self.mine))) for _ in range(min(4, len(self.mine)))]
        enters = {step: self.dice.choice([*[StepState.SUCCEEDED] * 4, StepState.FAILED]) for step in steps}
        self.dice.shuffle(steps)
        if steps:
            told = [outcome(step, self.worker, enters[step]) for step in steps]
            claimer = Claimer(self.worker, self.dice.randint(0, 4))
            if self.dice.random() < 0.5 and not any(step.feeds for step in steps):
                # In one statement over what is free; the rest waits for its turn.
                done = await self.stage.settle_free(*told, claimer=claimer)
                self.mine += done.claimed
                told = [each for each in told if each.run in done.busy]
            if told:
                self.mine += (await self.stage.settle(*told, claimer=claimer)).claimed

    async def late(self) -> None:
        """Say again what was said, of anybody's steps, in any order."""
        rows = await self.stage.database.fetch(
            "SELECT run_id, position, attempt FROM tool_calls"
            " WHERE run_id = ANY($1::uuid[]) AND status <> 'STARTED' ORDER BY random() LIMIT 5",
            self.some(),
        )
        told = [
            Outcome(
                row["run_id"],
                row["position"],
                row["attempt"],
                StepState.RUNNING,
                StepState.READY,
                self.stage.user,
                call=ToolCallStatus.FAILED,
                error_message=f"late word {self.dice.random()}",
            )
            for row in rows
        ]
        if told:
            assert not (await self.stage.settle(*told)).accepted

    async def decide(self) -> None:
        for run in self.some():
            for each in await self.stage.approvals(run, status="REQUIRED"):
                if each["kind"] == "EXECUTE":
                    await self.stage.decide(each["id"], self.dice.choice([APPROVED, APPROVED, REJECTED]))
                else:
                    await self.stage.resolve(each["id"], self.dice.choice(list(InDoubtResolution)))

    async def expire(self) -> None:
        await self.stage.expire(*self.some())

    async def cancel(self) -> None:
        if self.dice.random() < 0.05:
            await self.stage.cancel(self.dice.choice(self.runs))

    async def redrive(self) -> None:
        run = self.dice.choice(self.runs)
        for place, state in enumerate(await self.stage.states(run)):
            if state == "FAILED":
                await self.stage.redrive(run, place)

    async def enter(self) -> None:
        async with self.stage.database.connection() as connection:
            steps = self.dice.sample(self.mine, min(len(self.mine), 5))
            await enter(connection, [Entry(step, self.worker, again=True) for step in steps])

    async def sweep(self) -> None:
        async with self.stage.database.connection() as connection:
            dead = await workers.end_expired(connection)
            await close_orphaned_calls(connection)
        if dead:
            await self.stage.rescue(*dead)

    async def die(self) -> None:
        if self.dice.random() < 0.3:
            dead, self.worker = self.worker, await self.stage.worker()
            self.mine = []
            await self.stage.bury(dead)


async def test_a_crowd_over_the_same_runs_never_deadlocks_and_breaks_nothing(stage: Stage) -> None:
    plan = [
        Draft(),
        Draft(idempotent=False),
        Draft(after=(0,)),
        Draft(after=(0, 1), gated=True),
        Draft(after=(2,), risk=3, idempotent=False),
        Draft(after=(3, 4), dynamic=True),
        Draft(after=(2,)),
    ]
    runs: list[UUID] = []

    async with asyncio.timeout(100):
        for crowd in range(4):
            # New runs join those that are still moving.
            runs += [await stage.begun(*plan) for _ in range(6)]
            await asyncio.gather(*(Crowd(stage, runs, seed).go(40) for seed in range(crowd * 8, crowd * 8 + 8)))

    await check_runs(stage.database, *runs)
    assert await deadlocks(stage) == 0


async def test_a_run_that_is_held_too_long_is_an_error_and_not_a_hang(dsn: str) -> None:
    async with staged(dsn, lock_seconds=0.1) as stage:
        run = await stage.begun(Draft())
        async with holding(stage, run):
            with pytest.raises(Unavailable, match="lock timeout"):
                await stage.cancel(run)
        assert await stage.cancel(run) is not None
