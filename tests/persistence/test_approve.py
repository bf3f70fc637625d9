"""An approval in one commit does what a decision and a claim do one after the other, or nothing at all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from persistence.moves.decide import find_approval
from persistence.moves.inputs import NOBODY, Claimer
from persistence.moves.locks import lock_runs
from persistence.scope import Reach, Scope
from persistence.states import ApprovalStatus
from tests.persistence.stage import Draft, Stage, digest, failed

EDITED = '{"to": "somebody else"}'


async def open_one(stage: Stage, run: UUID) -> UUID:
    [approval] = await stage.approvals(run, status="REQUIRED")
    return approval["id"]


async def everything(stage: Stage, run: UUID) -> list[Any]:
    lines = await stage.database.fetch("SELECT * FROM audit_lines ORDER BY id")
    return [await stage.recorded(run), [dict(line) for line in lines]]


async def asked(stage: Stage, case: str) -> UUID:
    """A run that waits for a person, alone or beside a step that goes on, or for the second time."""
    worker = await stage.worker()
    run = await stage.begun(Draft(gated=True), *[Draft()] * (case == "beside others"), Draft((0,)))
    if case == "once more":
        await stage.approve(await open_one(stage, run))
        [step] = await stage.claim(worker)
        await stage.settle(failed(step, worker))
        await stage.redrive(run, 0)
    return run


@pytest.mark.parametrize("edited", [None, EDITED], ids=["as proposed", "edited"])
@pytest.mark.parametrize("case", ["alone", "beside others", "once more"])
async def test_it_does_what_a_decision_and_a_claim_do(stage: Stage, case: str, edited: str | None) -> None:
    mine, other = await asked(stage, case), await asked(stage, case)
    worker = await stage.worker()

    done = await stage.approve(await open_one(stage, mine), edited=edited, claimer=Claimer(worker, 1))
    await stage.decide(await open_one(stage, other), ApprovalStatus.APPROVED, edited=edited)
    await stage.database.execute("UPDATE steps SET due_at = '2001-01-01' WHERE due_at IS NOT NULL AND gated")
    [claimed] = await stage.claim(worker, slots=1)

    assert done is not None
    assert [step._replace(run=other, digest=None) for step in done.claimed] == [claimed._replace(digest=None)]
    assert done.claimed[0].digest == claimed.digest == digest(edited or claimed.args)
    [mark] = done.marks
    assert mark.judged
    assert mark.ready == (case == "beside others")
    assert await stage.recorded(mine) == await stage.recorded(other)


async def test_without_a_slot_the_step_waits_for_a_worker(stage: Stage) -> None:
    run = await asked(stage, "alone")

    done = await stage.approve(await open_one(stage, run), claimer=NOBODY)

    assert done is not None
    assert done.claimed == []
    assert done.marks[0].ready == 1
    assert await stage.states(run) == ["READY", "PENDING"]
    assert (await stage.approvals(run))[0]["spent_at"] is None


async def test_a_worker_whose_lease_is_over_is_given_nothing(stage: Stage) -> None:
    run = await asked(stage, "alone")
    worker = await stage.worker(lease_seconds=-1)

    done = await stage.approve(await open_one(stage, run), claimer=Claimer(worker, 1))

    assert done is not None
    assert done.claimed == []
    assert await stage.states(run) == ["READY", "PENDING"]


async def test_the_audit_log_has_it(stage: Stage) -> None:
    run = await asked(stage, "alone")
    approval = await open_one(stage, run)

    await stage.approve(approval)

    [line] = await stage.database.fetch("SELECT action, outcome, user_id, subject FROM audit_lines")
    assert tuple(line) == ("DECIDE_APPROVAL", "ACCEPTED", stage.user, f"{approval}")


async def test_a_run_that_somebody_holds_is_left_alone(stage: Stage) -> None:
    run = await asked(stage, "alone")
    approval = await open_one(stage, run)
    before = await everything(stage, run)

    async with stage.database.connection() as connection, connection.transaction():
        await lock_runs(connection, [run])
        assert await stage.approve(approval) is None

    assert await everything(stage, run) == before


@pytest.mark.parametrize(
    "why", ["expires_at = clock_timestamp()", "status = 'CANCELLED'", "kind = 'IN_DOUBT'", "digest = 'another'"]
)
async def test_what_is_not_open_for_what_was_seen_is_left_alone(stage: Stage, why: str) -> None:
    run = await asked(stage, "alone")
    approval = await open_one(stage, run)
    async with stage.database.connection() as connection:
        facts = await find_approval(connection, Scope(stage.user, Reach.ALL), approval)
        assert facts is not None
        await connection.execute(f"UPDATE approvals SET {why} WHERE id = $1", approval)
        before = await everything(stage, run)

        assert await stage.approve_as(connection, facts, claimer=Claimer(await stage.worker(), 1)) is None

    assert await everything(stage, run) == before


async def test_a_clock_that_was_set_back_keeps_no_step_waiting(stage: Stage) -> None:
    run = await asked(stage, "alone")
    await stage.database.execute("UPDATE runs SET moved_at = now() + interval '1 hour' WHERE id = $1", run)

    assert await stage.approve(await open_one(stage, run)) is not None

    assert len(await stage.claim(await stage.worker())) == 1


@pytest.mark.parametrize(
    "who",
    [
        {"may_own": False},
        {"mine": False, "may_others": False},
        {"mine": False, "reach": Reach.OWN},
        {"seen": "another digest"},
    ],
    ids=["not their own", "not others'", "not in their scope", "not what they saw"],
)
async def test_who_may_not_approves_nothing(stage: Stage, who: dict[str, Any]) -> None:
    run = await asked(stage, "alone")
    approval, before = await open_one(stage, run), await everything(stage, run)
    by = stage.user if who.pop("mine", True) else stage.other

    async with stage.database.connection() as connection:
        assert await stage.approve_as_proposed(connection, approval, by=by, **who) is None

    assert await everything(stage, run) == before


@pytest.mark.parametrize(
    "who", [{"may_others": False, "reach": Reach.OWN}, {"mine": False, "may_own": False, "reach": Reach.ASKED}]
)
async def test_who_may_approves_what_they_saw(stage: Stage, who: dict[str, Any]) -> None:
    run = await asked(stage, "alone")
    approval = await open_one(stage, run)
    [facts] = await stage.approvals(run)
    by = stage.user if who.pop("mine", True) else stage.other

    async with stage.database.connection() as connection:
        done = await stage.approve_as_proposed(connection, approval, by=by, seen=facts["digest"], **who)

    assert done is not None
    [event] = [event for event in await stage.events(run) if event["type"] == "APPROVAL_APPROVED"]
    assert event["message"].endswith("Step 0")
    assert (await stage.approvals(run))[0]["decided_by"] == by
