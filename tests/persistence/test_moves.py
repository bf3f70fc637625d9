"""Every legal move of the tables in `persistence.states` is made, by the real statements; no illegal one can be."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from persistence.moves import begin
from persistence.moves.decide import decide
from persistence.moves.directives import Directive
from persistence.moves.inputs import NO_EXPIRY, Claimer, Note, Outcome
from persistence.moves.locks import lock_runs
from persistence.moves.planning import ClaimedRun, claim_planning, fail_planning, hold_planning, release_planning
from persistence.moves.redrive import redrive
from persistence.moves.rounds.turn import Verdict
from persistence.moves.table import RUN_MOVES, STEP_MOVES
from persistence.states import (
    ApprovalKind,
    ApprovalStatus,
    EventType,
    InDoubtResolution,
    RunState,
    SkipReason,
    StepState,
    ToolCallStatus,
)
from tests.faults.invariants import STARTS, check_runs
from tests.persistence.stage import UNFIT, Draft, Stage, failed, outcome, planned, settle, succeeded

PENDING, READY, RUNNING, BLOCKED = StepState.PENDING, StepState.READY, StepState.RUNNING, StepState.BLOCKED
SUCCEEDED, FAILED, SKIPPED, CANCELLED = StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.CANCELLED

STEP = 0
"""The place of the step that a scene is about."""


class Scene:
    """A run brought to where its step 0 stands in one state, and what leads from there to another."""

    def __init__(self, stage: Stage, worker: UUID) -> None:
        self.stage = stage
        self.worker = worker
        self.run: UUID

    async def begin(self, *drafts: Draft) -> None:
        self.run = await self.stage.begun(*drafts)

    async def claimed(self, place: int = STEP) -> Any:
        """The step at this place, owned by the worker."""
        claimed = {step.position: step for step in await self.stage.claim(self.worker)}
        return claimed[place]

    async def approval(self) -> UUID:
        return (await self.stage.approvals(self.run, status="REQUIRED"))[0]["id"]

    # Where it stands

    async def pending(self, **more: Any) -> Any:
        await self.begin(Draft(after=(1,), **more), Draft())
        return await self.claimed(1)

    async def ready(self) -> None:
        await self.begin(Draft())

    async def running(self, **more: Any) -> Any:
        await self.begin(Draft(**more))
        return await self.claimed()

    async def blocked(self) -> None:
        await self.begin(Draft(gated=True))

    async def doubtful(self) -> None:
        step = await self.running(idempotent=False)
        await self.stage.settle(outcome(step, self.worker, BLOCKED))

    async def dead(self) -> None:
        step = await self.running()
        await self.stage.settle(failed(step, self.worker))

    async def gated_dead(self) -> None:
        await self.blocked()
        await self.decides(ApprovalStatus.APPROVED)
        await self.stage.settle(failed(await self.claimed(), self.worker))

    async def skipped(self) -> None:
        before = await self.pending()
        await self.stage.settle(failed(before, self.worker))

    async def succeeded(self) -> None:
        step = await self.running()
        await self.stage.settle(succeeded(step, self.worker))

    async def cancelled(self) -> None:
        await self.running()
        await self.cancels()

    # Where a step of an elaborate run stands

    async def unjudged(self, **directive: Any) -> None:
        """It waits for nothing, and nobody has looked at what its plan says of it."""
        self.run = await self.stage.elaborate(Draft(), directives=[Directive(STEP, **directive)])

    async def listed(self) -> None:
        await self.unjudged(for_each="list")

    async def expanded(self) -> Any:
        """A parent of two, and its children as they are claimed."""
        await self.listed()
        await self.expands()
        return await self.stage.claim(self.worker)

    async def failed_parent(self) -> None:
        await self.ends(await self.expanded(), FAILED)

    # How it leaves

    async def ruled(self, enters: StepState, **more: Any) -> None:
        """What its condition or its list leads to."""
        await self.stage.turn(self.run, verdicts=[Verdict(self.run, STEP, enters, **more)])

    async def expands(self) -> None:
        await self.stage.expand(self.run, STEP, 2)

    async def ends(self, children: Any, enters: StepState) -> None:
        """The children end, one of them like the parent, and the parent with them."""
        one, two = children
        error = {"error_code": "ITEMS_FAILED", "error_message": "one failed"}
        await self.stage.turn(
            self.run,
            succeeded(one, self.worker),
            outcome(two, self.worker, enters),
            verdicts=[
                Verdict(
                    self.run,
                    STEP,
                    enters,
                    leaves=RUNNING,
                    **({"result": "[]"} if enters is SUCCEEDED else error),  # pyright: ignore[reportArgumentType]
                )
            ],
        )

    async def sent_back(self) -> None:
        assert await self.stage.redrive_elaborate(self.run, STEP) == 1

    async def settles(self, step: Any, enters: StepState, **more: Any) -> None:
        await self.stage.settle(outcome(step, self.worker, enters, **more))

    async def decides(self, status: ApprovalStatus) -> None:
        await self.stage.decide(await self.approval(), status)

    async def resolves(self, resolution: InDoubtResolution) -> None:
        await self.stage.resolve(await self.approval(), resolution)

    async def expires(self) -> None:
        await self.stage.database.execute("UPDATE approvals SET expires_at = created_at")
        await self.stage.expire(self.run)

    async def cancels(self) -> None:
        await self.stage.cancel(self.run)

    async def redrives(self, place: int = STEP) -> None:
        await self.stage.redrive(self.run, place)


Way = tuple[StepState, StepState, str, Callable[[Scene], Awaitable[Any]], Callable[[Scene, Any], Awaitable[Any]]]

WAYS: list[Way] = [
    (PENDING, READY, "all before it succeeded", Scene.pending, lambda it, step: it.settles(step, SUCCEEDED)),
    (
        PENDING,
        BLOCKED,
        "all before it succeeded, and it is gated",
        lambda it: it.pending(gated=True),
        lambda it, step: it.settles(step, SUCCEEDED),
    ),
    (PENDING, SKIPPED, "one before it failed", Scene.pending, lambda it, step: it.settles(step, FAILED)),
    (
        PENDING,
        FAILED,
        "its references lead nowhere",
        lambda it: it.pending(dynamic=True),
        lambda it, step: it.settles(step, SUCCEEDED, result=UNFIT),
    ),
    (PENDING, CANCELLED, "the run was cancelled", Scene.pending, lambda it, _: it.cancels()),
    (BLOCKED, READY, "approved", Scene.blocked, lambda it, _: it.decides(ApprovalStatus.APPROVED)),
    (BLOCKED, SKIPPED, "rejected", Scene.blocked, lambda it, _: it.decides(ApprovalStatus.REJECTED)),
    (BLOCKED, SKIPPED, "expired", Scene.blocked, lambda it, _: it.expires()),
    (BLOCKED, SUCCEEDED, "it happened", Scene.doubtful, lambda it, _: it.resolves(InDoubtResolution.HAPPENED)),
    (BLOCKED, READY, "it did not", Scene.doubtful, lambda it, _: it.resolves(InDoubtResolution.DID_NOT_HAPPEN)),
    (BLOCKED, SKIPPED, "abandoned", Scene.doubtful, lambda it, _: it.resolves(InDoubtResolution.ABANDON)),
    (BLOCKED, CANCELLED, "the run was cancelled", Scene.blocked, lambda it, _: it.cancels()),
    (BLOCKED, CANCELLED, "cancelled in doubt", Scene.doubtful, lambda it, _: it.cancels()),
    (READY, RUNNING, "claimed", Scene.ready, lambda it, _: it.claimed()),
    (READY, CANCELLED, "the run was cancelled", Scene.ready, lambda it, _: it.cancels()),
    (RUNNING, SUCCEEDED, "it succeeded", Scene.running, lambda it, step: it.settles(step, SUCCEEDED)),
    (RUNNING, FAILED, "it failed for good", Scene.running, lambda it, step: it.settles(step, FAILED)),
    (RUNNING, READY, "it is tried again", Scene.running, lambda it, step: it.settles(step, READY)),
    (
        RUNNING,
        READY,
        "it was handed back",
        Scene.running,
        lambda it, step: it.settles(step, READY, reason="HANDED_BACK", uncounted=True),
    ),
    (RUNNING, READY, "its process died", Scene.running, lambda it, _: it.stage.bury(it.worker)),
    (
        RUNNING,
        BLOCKED,
        "nobody knows whether it happened",
        lambda it: it.running(idempotent=False),
        lambda it, step: it.settles(step, BLOCKED),
    ),
    (RUNNING, CANCELLED, "the run was cancelled", Scene.running, lambda it, _: it.cancels()),
    (FAILED, READY, "redriven", Scene.dead, lambda it, _: it.redrives()),
    (
        FAILED,
        BLOCKED,
        "redriven, and gated",
        Scene.gated_dead,
        lambda it, _: it.redrives(),
    ),
    (SKIPPED, PENDING, "what it waited for was redriven", Scene.skipped, lambda it, _: it.redrives(1)),
    (PENDING, READY, "its condition holds", Scene.unjudged, lambda it, _: it.ruled(READY)),
    (
        PENDING,
        SKIPPED,
        "its condition does not hold",
        Scene.unjudged,
        lambda it, _: it.ruled(SKIPPED, reason=SkipReason.CONDITION_FALSE),
    ),
    (
        PENDING,
        FAILED,
        "its list is none",
        Scene.listed,
        lambda it, _: it.ruled(FAILED, error_code="NOT_A_LIST", error_message="null"),
    ),
    (PENDING, RUNNING, "its list is expanded", Scene.listed, lambda it, _: it.expands()),
    (PENDING, SUCCEEDED, "its list is empty", Scene.listed, lambda it, _: it.ruled(SUCCEEDED, result="[]")),
    (RUNNING, SUCCEEDED, "its children have ended", Scene.expanded, lambda it, them: it.ends(them, SUCCEEDED)),
    (RUNNING, FAILED, "one of its children failed", Scene.expanded, lambda it, them: it.ends(them, FAILED)),
    (RUNNING, CANCELLED, "cancelled with its children", Scene.expanded, lambda it, _: it.cancels()),
    (
        FAILED,
        RUNNING,
        "the last of its failed children was redriven",
        Scene.failed_parent,
        lambda it, _: it.sent_back(),
    ),
]
"""A way for each move of the table: what brings a step there, and what then moves it."""


def test_there_is_a_way_for_every_legal_move_and_for_no_other() -> None:
    assert {(leaves, enters) for leaves, enters, *_ in WAYS} == {
        (leaves, enters) for leaves, targets in STEP_MOVES.items() for enters in targets
    }


@pytest.fixture
async def scene(stage: Stage) -> Scene:
    return Scene(stage, await stage.worker())


@pytest.mark.parametrize(
    ("leaves", "enters", "stand", "leave"),
    [
        pytest.param(leaves, enters, stand, leave, id=f"{leaves}-{enters}: {why}")
        for leaves, enters, why, stand, leave in WAYS
    ],
)
async def test_each_legal_move_is_made_with_exactly_one_event(
    scene: Scene,
    leaves: StepState,
    enters: StepState,
    stand: Callable[[Scene], Awaitable[Any]],
    leave: Callable[[Scene, Any], Awaitable[Any]],
) -> None:
    given = await stand(scene)
    assert (await scene.stage.states(scene.run))[STEP] == leaves
    before = len(await scene.stage.events(scene.run))

    await leave(scene, given)

    assert (await scene.stage.states(scene.run))[STEP] == enters
    moves = {str(kind) for kind in STARTS} | {"STEP_REDRIVEN"}
    told = [
        event["type"]
        for event in (await scene.stage.events(scene.run))[before:]
        if event["position"] == STEP and event["type"] in moves
    ]
    expected = "STEP_REDRIVEN" if leaves in {FAILED, SKIPPED} else None
    assert len(told) == 1
    assert told[0] == expected or STARTS[EventType(told[0])] is enters
    await check_runs(scene.stage.database, scene.run)


# Nothing else is ever accepted

STANDS: dict[StepState, Callable[[Scene], Awaitable[Any]]] = {
    PENDING: Scene.pending,
    READY: Scene.ready,
    RUNNING: Scene.running,
    BLOCKED: Scene.blocked,
    SUCCEEDED: Scene.succeeded,
    FAILED: Scene.dead,
    SKIPPED: Scene.skipped,
    CANCELLED: Scene.cancelled,
}


@pytest.mark.parametrize("stands", StepState)
async def test_an_outcome_that_leaves_another_state_changes_nothing(scene: Scene, stands: StepState) -> None:
    await STANDS[stands](scene)
    before = (await check_runs(scene.stage.database, scene.run))[scene.run].settled
    step = (await scene.stage.steps(scene.run))[STEP]

    # For each state that it does not stand in, everything that a statement could say of it, from anybody.
    wrong = [
        Outcome(
            scene.run,
            STEP,
            attempt,
            leaves,
            enters,
            owner=owner,
            reason=SkipReason.REJECTED if enters is SKIPPED else "FAILED" if enters is READY else None,
            error_code="X",
            error_message="x",
        )
        for leaves in (RUNNING, BLOCKED)
        for enters in STEP_MOVES[leaves] - {CANCELLED}
        for attempt in {step["attempt"], step["attempt"] + 1, step["attempt"] - 1}
        for owner in {scene.worker, scene.stage.user, None}
        if not (stands is leaves and attempt == step["attempt"] and owner == step["owner"])
    ]
    done = await scene.stage.settle(*wrong, claimer=Claimer(scene.worker, 10))

    assert len(wrong) >= 40
    assert (done.accepted, done.marks, done.claimed) == (set(), [], [])
    assert (await check_runs(scene.stage.database, scene.run))[scene.run].settled == before


@pytest.mark.parametrize("stands", [state for state in StepState if state is not BLOCKED])
async def test_what_is_not_blocked_can_not_be_decided(scene: Scene, stands: StepState) -> None:
    await STANDS[stands](scene)
    before = (await check_runs(scene.stage.database, scene.run))[scene.run].settled

    assert await scene.stage.approvals(scene.run, status="REQUIRED") == []
    done = await scene.stage.expire(scene.run)

    assert done.marks == []
    assert (await check_runs(scene.stage.database, scene.run))[scene.run].settled == before


@pytest.mark.parametrize("stands", [state for state in StepState if state is not FAILED])
async def test_what_is_no_dead_letter_can_not_be_redriven(scene: Scene, stands: StepState) -> None:
    await STANDS[stands](scene)
    before = (await check_runs(scene.stage.database, scene.run))[scene.run].settled

    done = await scene.stage.database.transaction(
        lambda tx: redrive(
            tx, scene.run, STEP, back=[(0, 1), (1, 0)], args=None, digest=None, reason=None, by="", gate=NO_EXPIRY
        )
    )

    assert done.marks == []
    assert (await check_runs(scene.stage.database, scene.run))[scene.run].settled == before


@pytest.mark.parametrize("stands", [state for state in StepState if state is not READY])
async def test_what_is_not_ready_can_not_be_claimed(scene: Scene, stands: StepState) -> None:
    await STANDS[stands](scene)
    thief = await scene.stage.worker()

    claimed = await scene.stage.claim(thief)

    assert [step for step in claimed if step.position == STEP] == []


async def test_a_late_word_is_kept_on_its_call_and_nowhere_else(scene: Scene) -> None:
    step = await scene.running()
    await scene.stage.bury(scene.worker)
    before = (await check_runs(scene.stage.database, scene.run))[scene.run].settled

    late = succeeded(step, scene.worker, result='{"late": true}')
    done = [await scene.stage.settle(late) for _ in range(3)]

    assert [each.accepted for each in done] == [set()] * 3
    whole = (await check_runs(scene.stage.database, scene.run))[scene.run]
    assert whole.settled == before
    (call,) = await scene.stage.calls(scene.run)
    assert (call["status"], call["error_code"]) == ("FAILED", "WORKER_LOST")
    assert json.loads(call["result"]) == {"late": True}


async def test_a_late_error_is_added_to_what_its_call_says_once(scene: Scene) -> None:
    step = await scene.running()
    await scene.stage.bury(scene.worker)

    for _ in range(3):
        await scene.stage.settle(outcome(step, scene.worker, READY, error_message="the link broke"))

    (call,) = await scene.stage.calls(scene.run)
    assert call["error_message"] == "the process that ran it died Later: the link broke"


async def test_a_late_word_about_a_doubt_that_was_resolved_changes_nothing_of_its_call(scene: Scene) -> None:
    await scene.doubtful()
    await scene.resolves(InDoubtResolution.DID_NOT_HAPPEN)
    (before,) = await scene.stage.calls(scene.run)

    told = Outcome(scene.run, STEP, 1, BLOCKED, SUCCEEDED, call=ToolCallStatus.SUCCEEDED, result="{}")
    done = await scene.stage.settle(told)

    (after,) = await scene.stage.calls(scene.run)
    assert done.accepted == set()
    assert (
        (after["status"], after["error_code"]) == (before["status"], before["error_code"]) == ("FAILED", "TOOL_RAISED")
    )


async def test_a_decision_has_one_time(scene: Scene) -> None:
    await scene.blocked()
    approval = await scene.approval()
    await scene.stage.database.execute(
        "UPDATE approvals SET expires_at = clock_timestamp() + interval '1 hour' WHERE id = $1", approval
    )

    await scene.decides(ApprovalStatus.APPROVED)

    (decided,) = await scene.stage.approvals(scene.run)
    assert decided["decided_at"] == decided["moved_at"] < decided["expires_at"]


async def test_after_a_failure_and_a_skip_at_once_the_failure_is_the_reason(stage: Stage) -> None:
    worker = await stage.worker()
    run = await stage.begun(Draft(), Draft(gated=True), Draft(after=(0, 1)), Draft(after=(1,)), Draft(after=(2, 3)))
    (step,) = await stage.claim(worker)
    (approval,) = await stage.approvals(run)
    rejected = Outcome(run, 1, 0, BLOCKED, SKIPPED, reason=SkipReason.REJECTED)

    async def write(tx: Any) -> None:
        await lock_runs(tx, [run])
        await decide(tx, approval["id"], kind=ApprovalKind.EXECUTE, status=ApprovalStatus.REJECTED, by=stage.user)
        kind = EventType.APPROVAL_REJECTED
        await settle(tx, [failed(step, worker), rejected], notes=[Note(run, kind, 1, approval["id"], "no", "{}")])

    await stage.database.transaction(write)

    assert [each["skip_reason"] for each in await stage.steps(run)] == [
        None,
        "REJECTED",
        "DEPENDENCY_FAILED",
        "DEPENDENCY_SKIPPED",
        "DEPENDENCY_FAILED",
    ]
    await check_runs(stage.database, run)


async def test_an_outcome_that_comes_twice_at_once_settles_once(scene: Scene) -> None:
    await scene.begin(Draft(), Draft(after=(0,), dynamic=True, gated=True))
    step = await scene.claimed()

    told = succeeded(step, scene.worker, result='{"n": 1}')
    done = await scene.stage.settle(told, told)

    assert len(done.accepted) == 1
    after = (await scene.stage.steps(scene.run))[1]
    assert after["state"] == BLOCKED
    assert json.loads(after["resolved_args"]) == {"step": 1, "refers": {"s0": {"n": 1}}}
    await check_runs(scene.stage.database, scene.run)


# Runs


async def planning(stage: Stage, worker: UUID) -> ClaimedRun:
    await stage.queued()
    async with stage.database.connection() as connection:
        (run,) = await claim_planning(connection, worker, at_most=5)
    return run


async def test_a_queued_run_is_planned_by_one_worker_and_begins(stage: Stage) -> None:
    worker, other = await stage.worker(), await stage.worker()
    run = await planning(stage, worker)
    async with stage.database.connection() as connection:
        assert await claim_planning(connection, other, at_most=5) == []

    async def write(tx: Any) -> bool:
        held = await hold_planning(tx, run, worker, risk=1)
        await begin.store_steps(tx, planned(run.id, [Draft()], stage.user))
        return held

    assert await stage.database.transaction(write)
    assert (await stage.run(run.id))["state"] == "EXECUTING"
    assert await stage.types(run.id) == ["WORKFLOW_STARTED", "WORKFLOW_PLANNED", "STEP_READY"]
    await check_runs(stage.database, run.id)


async def test_a_run_whose_steps_all_ask_waits_from_the_start(stage: Stage) -> None:
    worker = await stage.worker()
    run = await planning(stage, worker)

    await stage.database.transaction(lambda tx: begin.store_steps(tx, planned(run.id, [Draft(risk=3)], stage.user)))

    assert (await stage.run(run.id))["state"] == "WAITING_APPROVAL"
    assert await stage.types(run.id) == [
        "WORKFLOW_STARTED",
        "WORKFLOW_PLANNED",
        "STEP_BLOCKED",
        "APPROVAL_REQUIRED",
        "WORKFLOW_WAITING_APPROVAL",
    ]


async def test_a_run_that_can_not_be_planned_fails_once(stage: Stage) -> None:
    worker = await stage.worker()
    run = await planning(stage, worker)

    seqs = [
        await stage.database.transaction(
            lambda tx: fail_planning(tx, run, worker, code="UNPLANNABLE_INTENT", message="no tool does that")
        )
        for _ in range(2)
    ]

    assert seqs == [2, None]
    row = await stage.run(run.id)
    assert (row["state"], row["outcome"], row["error_code"]) == ("FAILED", "FAILED", "UNPLANNABLE_INTENT")
    assert await stage.types(run.id) == ["WORKFLOW_STARTED", "WORKFLOW_FAILED"]


async def test_a_rescued_plan_is_refused_and_the_next_planner_has_its_way(stage: Stage) -> None:
    first, second = await stage.worker(), await stage.worker()
    run = await planning(stage, first)
    async with stage.database.connection() as connection:
        assert await release_planning(connection, [first]) == [run.id]
        (again,) = await claim_planning(connection, second, at_most=5)

        assert not await hold_planning(connection, run, first, risk=0)
        assert not await hold_planning(connection, again, first, risk=0)
        assert not await hold_planning(connection, run, second, risk=0)
        assert await hold_planning(connection, again, second, risk=0)
        assert await fail_planning(connection, run, first, code="X", message="x") is None


async def test_a_worker_whose_lease_is_over_plans_nothing(stage: Stage) -> None:
    await stage.queued()
    over = await stage.worker(lease_seconds=-1)

    async with stage.database.connection() as connection:
        assert await claim_planning(connection, over, at_most=5) == []


@pytest.mark.parametrize("state", ["QUEUED", "PLANNING"])
async def test_a_run_without_steps_is_cancelled_and_its_planner_refused(stage: Stage, state: str) -> None:
    worker = await stage.worker()
    if state == "PLANNING":
        claimed = await planning(stage, worker)
        run = claimed.id
    else:
        run = await stage.queued()
        claimed = ClaimedRun(run, "", 3, stage.user, 1)

    assert await stage.cancel(run) is not None

    row = await stage.run(run)
    assert (row["state"], row["outcome"], row["planner"]) == ("CANCELLED", "CANCELLED", None)
    async with stage.database.connection() as connection:
        assert not await hold_planning(connection, claimed, worker, risk=0)
    await check_runs(stage.database, run)


RUN_WAYS: dict[tuple[RunState, RunState], str] = {
    (RunState.QUEUED, RunState.PLANNING): "test_a_queued_run_is_planned_by_one_worker_and_begins",
    (RunState.QUEUED, RunState.CANCELLED): "test_a_run_without_steps_is_cancelled_and_its_planner_refused",
    (RunState.PLANNING, RunState.QUEUED): "test_a_rescued_plan_is_refused_and_the_next_planner_has_its_way",
    (RunState.PLANNING, RunState.EXECUTING): "test_a_queued_run_is_planned_by_one_worker_and_begins",
    (RunState.PLANNING, RunState.WAITING_APPROVAL): "test_a_run_whose_steps_all_ask_waits_from_the_start",
    (RunState.PLANNING, RunState.FAILED): "test_a_run_that_can_not_be_planned_fails_once",
    (RunState.PLANNING, RunState.CANCELLED): "test_a_run_without_steps_is_cancelled_and_its_planner_refused",
    **{
        (leaves, enters): "test_each_move_of_a_run_with_steps_is_made_and_has_its_event"
        for leaves in (RunState.EXECUTING, RunState.WAITING_APPROVAL, RunState.FAILED)
        for enters in RUN_MOVES[leaves]
    },
}


def test_there_is_a_test_for_every_move_of_a_run() -> None:
    assert set(RUN_WAYS) == {(leaves, enters) for leaves, targets in RUN_MOVES.items() for enters in targets}
    assert set(RUN_WAYS.values()) <= set(globals())


TOLD = {
    RunState.EXECUTING: "WORKFLOW_RESUMED",
    RunState.WAITING_APPROVAL: "WORKFLOW_WAITING_APPROVAL",
    RunState.COMPLETED: "WORKFLOW_COMPLETE",
    RunState.FAILED: "WORKFLOW_FAILED",
    RunState.CANCELLED: "WORKFLOW_CANCELLED",
}


async def _waiting_and_failed(it: Scene) -> None:
    """A dead letter, and another step that waits for a person."""
    await it.begin(Draft(), Draft(gated=True))
    await it.stage.settle(failed(await it.claimed(), it.worker))


async def _gated_after(it: Scene) -> Any:
    await it.begin(Draft(), Draft(gated=True))
    return await it.claimed()


RUN_SCENES: list[
    tuple[RunState, RunState, Callable[[Scene], Awaitable[Any]], Callable[[Scene, Any], Awaitable[Any]]]
] = [
    (RunState.EXECUTING, RunState.WAITING_APPROVAL, _gated_after, lambda it, step: it.settles(step, SUCCEEDED)),
    (RunState.EXECUTING, RunState.COMPLETED, Scene.running, lambda it, step: it.settles(step, SUCCEEDED)),
    (RunState.EXECUTING, RunState.FAILED, Scene.running, lambda it, step: it.settles(step, FAILED)),
    (RunState.EXECUTING, RunState.CANCELLED, Scene.running, lambda it, _: it.cancels()),
    (RunState.WAITING_APPROVAL, RunState.EXECUTING, Scene.blocked, lambda it, _: it.decides(ApprovalStatus.APPROVED)),
    (RunState.WAITING_APPROVAL, RunState.COMPLETED, Scene.blocked, lambda it, _: it.decides(ApprovalStatus.REJECTED)),
    (
        RunState.WAITING_APPROVAL,
        RunState.FAILED,
        _waiting_and_failed,
        lambda it, _: it.decides(ApprovalStatus.REJECTED),
    ),
    (RunState.WAITING_APPROVAL, RunState.CANCELLED, Scene.blocked, lambda it, _: it.cancels()),
    (RunState.FAILED, RunState.EXECUTING, Scene.dead, lambda it, _: it.redrives()),
    (RunState.FAILED, RunState.WAITING_APPROVAL, Scene.gated_dead, lambda it, _: it.redrives()),
]


@pytest.mark.parametrize(
    ("leaves", "enters", "stand", "leave"),
    [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in RUN_SCENES],
)
async def test_each_move_of_a_run_with_steps_is_made_and_has_its_event(
    scene: Scene,
    leaves: RunState,
    enters: RunState,
    stand: Callable[[Scene], Awaitable[Any]],
    leave: Callable[[Scene, Any], Awaitable[Any]],
) -> None:
    given = await stand(scene)
    assert (await scene.stage.run(scene.run))["state"] == leaves
    before = len(await scene.stage.events(scene.run))

    await leave(scene, given)

    row = await scene.stage.run(scene.run)
    assert row["state"] == enters
    told = [kind for kind in await scene.stage.types(scene.run, after=before) if kind in set(TOLD.values())]
    redriven_and_gated = leaves is RunState.FAILED and enters is RunState.WAITING_APPROVAL
    assert told == [*(["WORKFLOW_RESUMED"] if redriven_and_gated else []), TOLD[enters]]
    await check_runs(scene.stage.database, scene.run)


def test_every_move_of_a_run_with_steps_has_its_scene() -> None:
    assert {(leaves, enters) for leaves, enters, *_ in RUN_SCENES} == {
        (leaves, enters) for (leaves, enters), name in RUN_WAYS.items() if "with_steps" in name
    }
