"""The narrow statement for successes, and the function for a lone one, do exactly what the wide one does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest

from persistence.moves.inputs import Claimer, GatePolicy, Outcome
from persistence.moves.locks import lock_runs
from persistence.moves.row import Advance, ClaimedStep
from persistence.moves.succeed import is_success, succeed
from persistence.states import ApprovalStatus
from tests.persistence.stage import Draft, Stage, failed, succeeded

RUNS = 3
GATE = GatePolicy(approval_timeout_seconds=60)


async def by_the_narrow(stage: Stage, outcomes: Sequence[Outcome], claimer: Claimer) -> Advance:
    async with stage.database.connection() as connection:
        return await succeed(connection, outcomes, claimer=claimer, gate=GATE)


async def by_the_wide(stage: Stage, outcomes: Sequence[Outcome], claimer: Claimer) -> Advance:
    return await stage.settle_free(*outcomes, claimer=claimer, gate=GATE)


def plan(dice: random.Random) -> list[Draft]:
    """Some steps, each after some of those before it, some of them to be approved."""
    return [
        Draft(
            after=tuple(sorted(dice.sample(range(place), min(place, dice.choice((0, 1, 1, 2, 3)))))),
            risk=dice.choice((0, 1, 3)),
            gated=dice.random() < 0.1,
        )
        for place in range(dice.randint(1, 8))
    ]


async def played(stage: Stage, seed: int, *, narrow: bool, alone: bool) -> tuple[list[list[Any]], list[Any]]:
    """What is recorded after a game in which every choice follows from the seed; and what its moves gave back."""
    dice = random.Random(seed)
    settle = by_the_narrow if narrow else by_the_wide
    worker = await stage.worker()
    runs = [await stage.begun(*plan(dice), gate=GATE) for _ in range(RUNS)]
    names = {run: f"run {place}" for place, run in enumerate(runs)}
    running: list[ClaimedStep] = []
    told: list[Any] = []
    while True:
        running += await stage.claim(worker, slots=dice.choice((0, 100)))
        open_ones = [each for run in runs for each in await stage.approvals(run, status="REQUIRED")]
        if open_ones and (dice.random() < 0.3 or not running):
            decided = dice.choice(open_ones)["id"]
            status = dice.choice((ApprovalStatus.APPROVED, ApprovalStatus.REJECTED))
            if narrow and status is ApprovalStatus.APPROVED:
                assert await stage.approve(decided)
            else:
                await stage.decide(decided, status)
            continue
        if not running:
            if all([(await stage.run(run))["finished_at"] for run in runs]):
                return [await stage.recorded(run) for run in runs], told
            continue
        running.sort(key=lambda step: (names[step.run], step.position))
        ending = dice.sample(running, 1 if alone else dice.randint(1, len(running)))
        if dice.random() < 0.1:
            await stage.settle(failed(ending[0], worker))
        outcomes = [succeeded(each, worker) for each in ending]
        if dice.random() < 0.2:
            nobodys = outcomes[0]._replace(attempt=outcomes[0].attempt + 1)
            if alone:
                told.append(await settle(stage, [nobodys], Claimer(worker, 1)))
            else:
                outcomes.append(nobodys)
        done = await settle(stage, outcomes, Claimer(worker, dice.randint(0, 3)))
        told.append(
            (
                sorted((names[step.run], *step[1:-1]) for step in done.claimed),
                sorted((names[mark.run], *mark[1:]) for mark in done.marks),
                done.accepted,
                done.busy,
            )
        )
        ended = {(each.run, each.position) for each in ending}
        running = [each for each in running if (each.run, each.position) not in ended] + done.claimed


@pytest.mark.parametrize("alone", [False, True], ids=["in groups", "alone"])
@pytest.mark.parametrize("seed", range(20))
async def test_it_does_what_the_wide_statement_does(stage: Stage, seed: int, alone: bool) -> None:  # noqa: FBT001
    rows, told = await played(stage, seed, narrow=True, alone=alone)
    rows_of_the_wide, told_of_the_wide = await played(stage, seed, narrow=False, alone=alone)
    for mine, other in zip(told, told_of_the_wide, strict=True):
        assert mine == other
    for mine, other in zip(chain(*rows), chain(*rows_of_the_wide), strict=True):
        assert mine == other


async def test_it_leaves_out_the_runs_that_somebody_holds(stage: Stage) -> None:
    worker = await stage.worker()
    held, free = await stage.begun(Draft(), Draft((0,))), await stage.begun(Draft(), Draft((0,)))
    outcomes = [succeeded(step, worker) for step in await stage.claim(worker)]
    async with stage.database.connection() as connection, connection.transaction():
        await lock_runs(connection, [held])
        done = await by_the_narrow(stage, outcomes, Claimer(worker, 2))
    assert done.busy == {held}
    assert [step.run for step in done.claimed] == [free]
    assert await stage.states(held) == ["RUNNING", "PENDING"]
    assert await stage.states(free) == ["SUCCEEDED", "RUNNING"]


async def test_a_worker_whose_lease_is_over_is_given_nothing(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(), Draft((0,)))
    [step] = await stage.claim(worker)
    await stage.database.execute("UPDATE workers SET lease_until = clock_timestamp() WHERE id = $1", worker)
    done = await by_the_narrow(stage, [succeeded(step, worker)], Claimer(worker, 2))
    assert done.claimed == []
    assert await stage.states(run) == ["SUCCEEDED", "READY"]


async def test_a_late_word_of_an_attempt_that_was_taken_over_is_kept_and_moves_nothing(stage: Stage) -> None:
    worker, other = await stage.worker(), await stage.worker()
    run = await stage.begun(Draft())
    [late] = await stage.claim(worker)
    await stage.bury(worker)
    await stage.database.execute("UPDATE steps SET due_at = clock_timestamp() WHERE run_id = $1", run)
    [again] = await stage.claim(other)
    done = await by_the_narrow(stage, [succeeded(late, worker, result='"late"')], Claimer(worker, 1))
    assert done == Advance()
    assert [call["result"] for call in await stage.calls(run)] == ['"late"', None]
    await by_the_narrow(stage, [succeeded(again, other)], Claimer(other, 1))
    assert (await stage.run(run))["outcome"] == "CLEAN"


async def test_what_it_is_for(stage: Stage) -> None:
    worker = await stage.worker()
    await stage.begun(Draft())
    [step] = await stage.claim(worker)
    assert is_success(succeeded(step, worker))
    assert not is_success(failed(step, worker))
    assert not is_success(succeeded(step, worker, call=None))


async def test_a_clock_that_was_set_back_keeps_no_step_waiting(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(), Draft((0,)))
    [step] = await stage.claim(worker)
    await stage.database.execute("UPDATE runs SET moved_at = now() + interval '1 hour' WHERE id = $1", run)

    await by_the_narrow(stage, [succeeded(step, worker)], Claimer(worker, 0))

    assert len(await stage.claim(worker)) == 1
