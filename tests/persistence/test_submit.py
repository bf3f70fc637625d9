"""A submission in one statement stores what a run and its steps, stored one after the other, come to."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from persistence.audit import ACCEPTED, Action, AuditLine
from persistence.database import Connection
from persistence.ids import new_id
from persistence.moves import begin
from persistence.moves.inputs import Claimer, GatePolicy
from persistence.moves.row import Advance
from persistence.moves.submit import submit
from tests.persistence.stage import Draft, Stage, planned

GATE = GatePolicy(approval_timeout_seconds=60)


def plan(dice: random.Random) -> list[Draft]:
    return [
        Draft(
            after=tuple(sorted(dice.sample(range(place), min(place, dice.choice((0, 0, 1, 2)))))),
            risk=dice.choice((0, 1, 3)),
            gated=dice.random() < 0.2,
            dynamic=dice.random() < 0.3,
        )
        for place in range(dice.choice((1, 1, 2, 5)))
    ]


def submitted(stage: Stage, number: int, intent: str | None = None) -> begin.NewRun:
    line = AuditLine(Action.SUBMIT_WORKFLOW, ACCEPTED, stage.user, "Ada", None, None, "127.0.0.1", "abc", f"r{number}")
    return begin.NewRun(new_id(), stage.user, intent, number % 4, 3, f"key {number}", bytes([number]) * 32, line)


async def at_once(stage: Stage, runs: Sequence[begin.NewRun], steps: Any, claimer: Claimer) -> Advance:
    return await stage.database.alone(lambda connection: submit(connection, runs, steps, claimer=claimer, gate=GATE))


async def one_after_the_other(stage: Stage, runs: Sequence[begin.NewRun], steps: Any, claimer: Claimer) -> Advance:
    async def write(tx: Connection) -> Advance:
        await begin.store_runs(tx, runs)
        return await begin.store_steps(tx, steps, claimer=claimer, gate=GATE)

    return await stage.database.transaction(write)


def told(done: Advance, runs: Sequence[begin.NewRun]) -> list[Any]:
    place = {run.id: number for number, run in enumerate(runs)}
    marks = sorted(mark._replace(run=place[mark.run]) for mark in done.marks)  # type: ignore[arg-type]
    claimed = sorted(step._replace(run=place[step.run]) for step in done.claimed)  # type: ignore[arg-type]
    return [marks, claimed, done.accepted, done.busy]


@pytest.mark.parametrize("seed", range(12))
async def test_it_stores_what_two_statements_do(stage: Stage, seed: int) -> None:
    dice = random.Random(seed)
    plans = [plan(dice) for _ in range(4)]
    slots = dice.choice((0, 1, 3, 100))
    found: list[Any] = []
    for way in (at_once, one_after_the_other):
        worker = await stage.worker()
        runs = [
            replace(submitted(stage, number, "walk"), idempotency_key=f"{way.__name__} {number}")
            for number in range(len(plans))
        ]
        steps = [step for run, drafts in zip(runs, plans, strict=True) for step in planned(run.id, drafts, stage.user)]
        done = await way(stage, runs, steps, Claimer(worker, slots))
        kept = [await stage.recorded(run.id) for run in runs]
        for rows in kept:
            del rows[0]["idempotency_key"]
        found.append((told(done, runs), kept, await lines(stage, [run.id for run in runs])))

    assert found[0] == found[1]


async def lines(stage: Stage, runs: Sequence[UUID]) -> list[tuple[Any, ...]]:
    subjects = [f"run_{run.hex}" for run in runs]
    rows = await stage.database.fetch(
        "SELECT action, outcome, user_id, user_name, detail, address, token, request, times FROM audit_lines"
        " WHERE subject = ANY($1) ORDER BY array_position($1, subject)",
        subjects,
    )
    return [tuple(row) for row in rows]


async def test_its_first_event_says_what_was_asked_for(stage: Stage) -> None:
    run = submitted(stage, 0, 'a "quoted" intent')

    await at_once(stage, [run], planned(run.id, [Draft()], stage.user), Claimer())

    assert (await stage.events(run.id))[0]["metadata"] == {"intent": 'a "quoted" intent'}
    assert (await stage.run(run.id))["intent"] == 'a "quoted" intent'


async def test_a_key_that_was_used_before_stores_nothing_of_the_second(stage: Stage) -> None:
    first, again, other = (submitted(stage, number) for number in (0, 0, 1))
    worker = await stage.worker()
    await at_once(stage, [first], planned(first.id, [Draft()], stage.user), Claimer())

    steps = [step for run in (again, other) for step in planned(run.id, [Draft(), Draft(gated=True)], stage.user)]
    done = await at_once(stage, [again, other], steps, Claimer(worker, 100))
    earlier = await stage.database.transaction(lambda tx: begin.earlier_runs(tx, [again]))

    assert [mark.run for mark in done.marks] == [other.id]
    assert {step.run for step in done.claimed} == {other.id}
    assert earlier == {again.id: begin.StoredRun(first.id, first.input_digest)}
    for table in ("steps", "tool_calls", "approvals", "timeline_events"):
        assert await stage.database.fetchval(f"SELECT count(*) FROM {table} WHERE run_id = $1", again.id) == 0
    assert await lines(stage, [again.id]) == []
    assert [line[4] for line in await lines(stage, [first.id])] == [None, "answered with an earlier run"]


async def test_a_key_twice_in_one_group_stores_the_first(stage: Stage) -> None:
    first, again = submitted(stage, 0), submitted(stage, 0)
    steps = [step for run in (first, again) for step in planned(run.id, [Draft()], stage.user)]

    done = await at_once(stage, [first, again], steps, Claimer())

    assert [mark.run for mark in done.marks] == [min(first.id, again.id)]


async def test_a_worker_whose_lease_is_over_is_given_nothing(stage: Stage) -> None:
    worker = await stage.worker(lease_seconds=-1)
    run = submitted(stage, 0)

    done = await at_once(stage, [run], planned(run.id, [Draft()], stage.user), Claimer(worker, 100))

    assert done.claimed == []
    assert await stage.states(run.id) == ["READY"]
