"""Runs moved by the statements of `persistence.moves` alone, without an engine: what tests of them start from.

The order of the calls in a transaction, locks first, is the engine's; so are the pure rules about what a rescue and a
redrive do, which are called here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from engine.rounds import redriving
from engine.scheduler import rescue
from engine.verbs.retry import coming_back
from persistence import users, workers
from persistence.audit import ACCEPTED, Action, AuditLine
from persistence.database import Connection, Database, DatabaseSettings
from persistence.ids import new_id
from persistence.moves import begin
from persistence.moves.approve import Asker, Grant, approve, approve_as_proposed
from persistence.moves.cancel import cancel
from persistence.moves.claim import Entry, claim, enter
from persistence.moves.decide import ApprovalFacts, DecidedStep, decide, expire, find_approval
from persistence.moves.directives import Directive
from persistence.moves.inputs import NO_EXPIRY, NOBODY, Claimer, GatePolicy, Note, Outcome, Resolution
from persistence.moves.locks import lock_free_runs, lock_runs
from persistence.moves.redrive import redrive
from persistence.moves.references import FreedStep, freed_references
from persistence.moves.rescue import lost_steps, runs_of
from persistence.moves.rounds.begin import store_elaborate
from persistence.moves.rounds.conclude import conclude, share_places
from persistence.moves.rounds.facts import elaborate_runs
from persistence.moves.rounds.redrive import Target, directed_steps
from persistence.moves.rounds.redrive import redrive as redrive_directed
from persistence.moves.rounds.turn import Child, Verdict, turn
from persistence.moves.row import Advance, ClaimedStep
from persistence.moves.settle import advance, advance_free
from persistence.scope import Reach, Scope
from persistence.states import (
    ApprovalKind,
    ApprovalStatus,
    EventType,
    InDoubtResolution,
    Role,
    SkipReason,
    StepState,
    ToolCallStatus,
)
from persistence.steering import LinkedStep
from tests.lending import LastingDatabase

UNFIT = '{"unfit": true}'
"""A result that no step which refers to it can be called with."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A step of a plan: its place is its place in the list, `after` are places before it."""

    after: tuple[int, ...] = ()
    risk: int = 0
    gated: bool = False
    idempotent: bool = True
    dynamic: bool = False
    max_attempts: int | None = 3

    @property
    def asks(self) -> bool:
        return self.gated or self.risk == 3


def planned(run: UUID, drafts: Sequence[Draft], by: UUID) -> list[begin.NewStep]:
    """The drafts as a submission would store them."""
    dependents = [
        tuple(other for other, each in enumerate(drafts) if place in each.after) for place in range(len(drafts))
    ]
    feeding = {place for each in drafts if each.dynamic and each.after for place in each.after}
    steps: list[begin.NewStep] = []
    for place, draft in enumerate(drafts):
        dynamic = draft.dynamic and bool(draft.after)
        args = json.dumps({"step": place})
        steps.append(
            begin.NewStep(
                run=run,
                submitted_by=by,
                position=place,
                key=f"s{place}",
                name=f"Step {place}",
                tool="toy",
                risk=draft.risk,
                gated=draft.asks,
                gate_reason="it is dangerous" if draft.asks else None,
                idempotent=draft.idempotent,
                dynamic=dynamic,
                feeds=place in feeding,
                args=args,
                resolved_args=None if dynamic else args,
                digest=digest(args) if not dynamic and (draft.asks or not draft.idempotent) else None,
                depends_on=draft.after,
                dependents=dependents[place],
                needs=draft.after if dynamic else (),
                max_attempts=draft.max_attempts,
                timeout_seconds=5,
            )
        )
    return steps


def digest(args: str) -> str:
    """What an approval is bound to."""
    return hashlib.sha256(args.encode()).hexdigest()


def outcome(step: ClaimedStep, owner: UUID, enters: StepState, **more: Any) -> Outcome:
    """What becomes of a claimed step, with the end of its call that belongs to it."""
    calls = {
        StepState.SUCCEEDED: ToolCallStatus.SUCCEEDED,
        StepState.FAILED: ToolCallStatus.FAILED,
        StepState.READY: ToolCallStatus.FAILED,
        StepState.BLOCKED: ToolCallStatus.IN_DOUBT,
    }
    facts: dict[str, Any] = {"call": calls[enters]}
    if enters is StepState.SUCCEEDED:
        facts["result"] = '{"ok": true}'
    else:
        facts |= {"error_code": "TOOL_RAISED", "error_message": "it did not work"}
    if enters is StepState.READY:
        facts["reason"] = "FAILED"
    return Outcome(
        run=step.run,
        position=step.position,
        attempt=step.attempt,
        leaves=StepState.RUNNING,
        enters=enters,
        owner=owner,
        **(facts | more),
    )


def succeeded(step: ClaimedStep, owner: UUID, **more: Any) -> Outcome:
    return outcome(step, owner, StepState.SUCCEEDED, **more)


def failed(step: ClaimedStep, owner: UUID, **more: Any) -> Outcome:
    return outcome(step, owner, StepState.FAILED, **more)


@dataclass(frozen=True, slots=True)
class Stage:
    """A database with people in it, and the verbs on runs, each in one transaction."""

    database: Database
    user: UUID
    other: UUID

    async def worker(self, *, lease_seconds: float = 3600) -> UUID:
        """A process that owns steps: its row, without a life sign."""
        worker = new_id()
        await self.database.execute(
            "INSERT INTO workers (id, host, pid, lease_until)"
            " VALUES ($1, 'here', 1, clock_timestamp() + $2 * interval '1 second')",
            worker,
            float(lease_seconds),
        )
        return worker

    async def submit(
        self, *drafts: Draft, claimer: Claimer = NOBODY, gate: GatePolicy = NO_EXPIRY, run: UUID | None = None
    ) -> tuple[UUID, Advance]:
        """A new run with these steps."""
        run = run or new_id()

        async def write(tx: Connection) -> Advance:
            await begin.store_runs(tx, [begin.NewRun(run, self.user, None, 0, 3)])
            return await begin.store_steps(tx, planned(run, drafts, self.user), claimer=claimer, gate=gate)

        return run, await self.database.transaction(write)

    async def begun(self, *drafts: Draft, **more: Any) -> UUID:
        """The id of a new run with these steps."""
        return (await self.submit(*drafts, **more))[0]

    async def elaborate(self, *drafts: Draft, directives: Sequence[Directive]) -> UUID:
        """The id of a new run with these steps, all PENDING, and what its plan says of them beyond."""
        run = new_id()

        async def write(tx: Connection) -> None:
            await begin.store_runs(tx, [begin.NewRun(run, self.user, None, 0, 3)])
            await store_elaborate(tx, run, planned(run, drafts, self.user), directives, None)
            await conclude(tx, (await elaborate_runs(tx, [run])).values(), judged=False)

        await self.database.transaction(write)
        return run

    async def turn(
        self, run: UUID, *outcomes: Outcome, verdicts: Sequence[Verdict] = (), children: Sequence[Child] = ()
    ) -> None:
        """The outcomes, then what follows in another round, in one transaction with the run's state."""

        async def write(tx: Connection) -> None:
            await lock_runs(tx, [run])
            facts = await elaborate_runs(tx, [run])
            await turn(tx, outcomes=outcomes)
            await turn(tx, verdicts=verdicts, children=children)
            await share_places(tx, facts.values())
            await conclude(tx, facts.values(), judged=any(each.state is StepState.BLOCKED for each in children))

        await self.database.transaction(write)

    async def expand(self, run: UUID, position: int, children: int, *, draft: Draft | None = None) -> None:
        """Give a PENDING step with a list so many children, which follow all other steps."""
        first, draft = len(await self.steps(run)), draft or Draft()
        [step] = planned(run, [draft], self.user)
        rows = [
            Child(
                replace(step, position=first + index, key=f"s{position}[{index}]", name=f"Step {position} [{index}]"),
                parent=position,
                index=index,
                state=StepState.BLOCKED if draft.asks else StepState.READY,
                tolerated=False,
            )
            for index in range(children)
        ]
        items = json.dumps(list(range(children)))
        expanded = Verdict(run, position, StepState.RUNNING, items=items, children=children)
        await self.turn(run, verdicts=[expanded], children=rows)

    async def redrive_elaborate(self, run: UUID, position: int) -> int:
        """Send a dead letter of an elaborate run back; how many went: none when it is none."""

        async def write(tx: Connection) -> int:
            await lock_runs(tx, [run])
            facts, steps = await elaborate_runs(tx, [run]), await directed_steps(tx, run)
            targets = redriving.failed_children(steps[position], steps) if steps[position].lists else [steps[position]]
            going = {each.position for each in targets}
            reopened = redriving.parents_coming_back(going, steps)
            back = redriving.coming_back(reopened | {each.position for each in targets if each.parent is None}, steps)
            after = going | reopened | back
            done = await redrive_directed(
                tx,
                run,
                [Target(place) for place in sorted(going)],
                reopened=sorted(reopened),
                back=[(place, redriving.waits_for(steps[place], steps, after)) for place in sorted(back)],
                recounted=[],
                reason=None,
                by="a test",
                gate=NO_EXPIRY,
            )
            await conclude(tx, facts.values(), judged=True)
            return done

        return await self.database.transaction(write)

    async def queued(self, intent: str = "do something") -> UUID:
        """A new run without steps, to be planned."""
        run = new_id()
        await self.database.transaction(lambda tx: begin.store_runs(tx, [begin.NewRun(run, self.user, intent, 0, 3)]))
        return run

    async def claim(self, worker: UUID, *, slots: int = 100) -> list[ClaimedStep]:
        """What is due, taken by this worker, in the order of places."""
        async with self.database.connection() as connection:
            done = await claim(connection, Claimer(worker, slots))
        return sorted(done.claimed, key=lambda step: (step.run, step.position))

    async def enter(self, step: ClaimedStep, worker: UUID, *, again: bool = False) -> bool:
        """Whether this call may be made."""
        async with self.database.connection() as connection:
            return bool(await enter(connection, [Entry(step, worker, again=again)]))

    async def settle(
        self, *outcomes: Outcome, claimer: Claimer = NOBODY, gate: GatePolicy = NO_EXPIRY, notes: Sequence[Note] = ()
    ) -> Advance:
        """These outcomes, in one transaction."""

        async def write(tx: Connection) -> Advance:
            await lock_runs(tx, (each.run for each in outcomes))
            return await settle(tx, outcomes, claimer=claimer, gate=gate, notes=notes)

        return await self.database.transaction(write)

    async def settle_free(self, *outcomes: Outcome, claimer: Claimer = NOBODY, gate: GatePolicy = NO_EXPIRY) -> Advance:
        """These outcomes, in one statement, over the runs that nobody holds; none may free a step with references."""
        async with self.database.connection() as connection:
            return await advance_free(connection, outcomes, claimer=claimer, gate=gate)

    async def decide(
        self, approval: UUID, status: ApprovalStatus, *, by: UUID | None = None, edited: str | None = None
    ) -> Advance | None:
        """Approve or reject; None when it was no longer open."""

        async def write(tx: Connection) -> Advance | None:
            await lock_runs(tx, [await run_of(tx, approval)])
            return await decide_locked(tx, approval, status, by=by or self.user, edited=edited)

        return await self.database.transaction(write)

    async def approve(
        self, approval: UUID, *, by: UUID | None = None, edited: str | None = None, claimer: Claimer = NOBODY
    ) -> Advance | None:
        """Approve and begin the step in one commit; None when the run is held, or it was no longer open."""
        async with self.database.connection() as connection:
            if edited is None:
                return await self.approve_as_proposed(connection, approval, by=by, claimer=claimer)
            facts = await find_approval(connection, Scope(self.user, Reach.ALL), approval)
            assert facts is not None
            return await self.approve_as(connection, facts, by=by, edited=edited, claimer=claimer)

    async def approve_as(
        self,
        connection: Connection,
        facts: ApprovalFacts,
        *,
        by: UUID | None = None,
        edited: str | None = None,
        claimer: Claimer = NOBODY,
    ) -> Advance | None:
        """The same, for who has read these facts before."""
        grant = Grant(by or self.user, None, edited, None if edited is None else digest(edited))
        step = DecidedStep(facts.id, facts.run, facts.position, facts.attempt, facts.name)
        line = AuditLine(Action.DECIDE_APPROVAL, ACCEPTED, subject=f"{facts.id}")
        said = note(step, EventType.APPROVAL_APPROVED)
        return await approve(connection, facts, grant, note=said, line=line, claimer=claimer)

    async def approve_as_proposed(
        self,
        connection: Connection,
        approval: UUID,
        *,
        by: UUID | None = None,
        reach: Reach = Reach.ALL,
        may_own: bool = True,
        may_others: bool = True,
        seen: str | None = None,
        claimer: Claimer = NOBODY,
    ) -> Advance | None:
        """The same without having read anything."""
        asker = Asker(Scope(by or self.user, reach), may_own, may_others)
        said = note(DecidedStep(approval, approval, 0, 0, ""), EventType.APPROVAL_APPROVED)
        return await approve_as_proposed(
            connection,
            approval,
            asker,
            seen=seen,
            reason=None,
            words=said.message,
            metadata=said.metadata,
            line=AuditLine(Action.DECIDE_APPROVAL, ACCEPTED, subject=f"{approval}"),
            claimer=claimer,
        )

    async def resolve(self, approval: UUID, resolution: InDoubtResolution, *, result: str = "{}") -> Advance | None:
        """Say of a call in doubt whether it happened; None when that was said before."""

        async def write(tx: Connection) -> Advance | None:
            await lock_runs(tx, [await run_of(tx, approval)])
            abandoned = resolution is InDoubtResolution.ABANDON
            decided = await decide(
                tx,
                approval,
                kind=ApprovalKind.IN_DOUBT,
                status=ApprovalStatus.REJECTED if abandoned else ApprovalStatus.APPROVED,
                by=self.user,
                resolution=resolution,
            )
            if decided is None:
                return None
            facts: dict[InDoubtResolution, dict[str, Any]] = {
                InDoubtResolution.HAPPENED: {
                    "enters": StepState.SUCCEEDED,
                    "call": ToolCallStatus.SUCCEEDED,
                    "result": result,
                },
                InDoubtResolution.DID_NOT_HAPPEN: {
                    "enters": StepState.READY,
                    "call": ToolCallStatus.FAILED,
                    "uncounted": True,
                },
                InDoubtResolution.ABANDON: {"enters": StepState.SKIPPED, "reason": SkipReason.ABANDONED},
            }
            kind = EventType.APPROVAL_REJECTED if abandoned else EventType.APPROVAL_APPROVED
            return await settle(tx, [leaving_blocked(decided, **facts[resolution])], notes=[note(decided, kind)])

        return await self.database.transaction(write)

    async def expire(self, *runs: UUID) -> Advance:
        """Expire what is overdue in these runs, those that are busy left out."""

        async def write(tx: Connection) -> Advance:
            free = await lock_free_runs(tx, runs)
            return await expire_locked(tx, free)

        return await self.database.transaction(write)

    async def cancel(self, run: UUID) -> Advance | None:
        """Cancel a run; None when it is over."""

        async def write(tx: Connection) -> Advance | None:
            await lock_runs(tx, [run])
            return await cancel_locked(tx, run)

        return await self.database.transaction(write)

    async def redrive(self, run: UUID, position: int, *, gate: GatePolicy = NO_EXPIRY) -> Advance | None:
        """Send a dead letter back; None when it is none."""

        async def write(tx: Connection) -> Advance | None:
            await lock_runs(tx, [run])
            return await redrive_locked(tx, run, position, gate=gate)

        return await self.database.transaction(write)

    async def bury(self, *dead: UUID) -> Advance:
        """Declare these workers dead and take what they own, as a sweep does."""
        async with self.database.connection() as connection:
            await workers.end(connection, dead)
        return await self.rescue(*dead)

    async def rescue(self, *dead: UUID) -> Advance:
        """Take from dead workers what they own, those of busy runs left out."""

        async def write(tx: Connection) -> Advance:
            free = await lock_free_runs(tx, await runs_of(tx, dead, at_most=1000))
            lost = await lost_steps(tx, dead, free)
            return await advance(tx, [rescue(step) for step in lost]) if lost else Advance()

        return await self.database.transaction(write)

    async def run(self, run: UUID) -> dict[str, Any]:
        """The run's row."""
        row = await self.database.fetchrow("SELECT * FROM runs WHERE id = $1", run)
        assert row is not None
        return dict(row)

    async def steps(self, run: UUID) -> list[dict[str, Any]]:
        """The run's steps by place."""
        rows = await self.database.fetch("SELECT * FROM steps WHERE run_id = $1 ORDER BY position", run)
        return [dict(row) for row in rows]

    async def states(self, run: UUID) -> list[str]:
        """The states of the run's steps by place."""
        return [step["state"] for step in await self.steps(run)]

    async def approvals(self, run: UUID, *, status: str | None = None) -> list[dict[str, Any]]:
        """The run's approvals, by place and age."""
        rows = await self.database.fetch(
            "SELECT * FROM approvals WHERE run_id = $1 AND status = coalesce($2, status)"
            " ORDER BY position, created_at, id",
            run,
            status,
        )
        return [dict(row) for row in rows]

    async def calls(self, run: UUID) -> list[dict[str, Any]]:
        """The run's tool calls, by place and attempt."""
        rows = await self.database.fetch("SELECT * FROM tool_calls WHERE run_id = $1 ORDER BY position, attempt", run)
        return [dict(row) for row in rows]

    async def events(self, run: UUID) -> list[dict[str, Any]]:
        """The run's events in order, their metadata read."""
        rows = await self.database.fetch("SELECT * FROM timeline_events WHERE run_id = $1 ORDER BY seq", run)
        return [dict(row) | {"metadata": json.loads(row["metadata"])} for row in rows]

    async def types(self, run: UUID, *, after: int = 0) -> list[str]:
        """The types of the run's events after `after`."""
        return [event["type"] for event in await self.events(run) if event["seq"] > after]

    async def recorded(self, run: UUID) -> list[Any]:
        """All that is kept about a run, without what differs between any two: ids and times."""
        approvals = await self.approvals(run)
        places = {each["id"]: place for place, each in enumerate(approvals)}

        def plain(row: dict[str, Any]) -> dict[str, Any]:
            return {
                name: value is not None
                if name.endswith(("_at", "_by")) or name in {"owner", "run_id", "id"}
                else places.get(value, value)
                if isinstance(value, UUID)
                else value
                for name, value in row.items()
            }

        events = await self.events(run)
        times = [event["created_at"] for event in events]
        assert times == sorted(times)
        for event in events:
            event["metadata"].pop("expiresAt", None)
        rows = [await self.run(run), *await self.steps(run), *approvals, *await self.calls(run), *events]
        return [plain(row) for row in rows]


@asynccontextmanager
async def staged(dsn: str, *, connections: int = 8, **settings: Any) -> AsyncGenerator[Stage]:
    """A stage over this database, open for the length of the block."""
    database = LastingDatabase(DatabaseSettings(dsn=dsn, connections=connections, **settings))
    await database.open()
    try:
        yield await stage_over(database)
    finally:
        await database.close()


async def stage_over(database: Database) -> Stage:
    """A stage with two new people in it."""

    async def write(tx: Connection) -> list[UUID]:
        return [
            await users.create_user(tx, name=f"person-{new_id().hex}", roles=[Role.ADMIN], token=users.new_token())
            for _ in range(2)
        ]

    return Stage(database, *await database.transaction(write))


# The verbs inside a transaction that holds the run's lock


async def settle(
    tx: Connection,
    outcomes: Sequence[Outcome],
    *,
    claimer: Claimer = NOBODY,
    gate: GatePolicy = NO_EXPIRY,
    notes: Sequence[Note] = (),
) -> Advance:
    freed = await freed_references(tx, outcomes)
    results = {(each.run, each.position): each.result for each in outcomes}
    found = [resolution(step, results) for step in freed]
    return await advance(tx, outcomes, resolutions=found, claimer=claimer, gate=gate, notes=notes)


async def decide_locked(
    tx: Connection, approval: UUID, status: ApprovalStatus, *, by: UUID, edited: str | None = None
) -> Advance | None:
    decided = await decide(
        tx,
        approval,
        kind=ApprovalKind.EXECUTE,
        status=status,
        by=by,
        edited_args=edited,
        edited_digest=None if edited is None else digest(edited),
    )
    if decided is None:
        return None
    approved = status is ApprovalStatus.APPROVED
    left = leaving_blocked(
        decided,
        enters=StepState.READY if approved else StepState.SKIPPED,
        reason=None if approved else SkipReason.REJECTED,
    )
    kind = EventType.APPROVAL_APPROVED if approved else EventType.APPROVAL_REJECTED
    return await advance(tx, [left], notes=[note(decided, kind)])


async def expire_locked(tx: Connection, runs: Sequence[UUID]) -> Advance:
    expired = await expire(tx, runs) if runs else []
    if not expired:
        return Advance()
    left = [leaving_blocked(each, enters=StepState.SKIPPED, reason=SkipReason.APPROVAL_EXPIRED) for each in expired]
    return await advance(tx, left, notes=[note(each, EventType.APPROVAL_EXPIRED) for each in expired])


async def cancel_locked(tx: Connection, run: UUID) -> Advance | None:
    done = await cancel(tx, run, reason=None, by="a test")
    return done if done.marks else None


async def redrive_locked(tx: Connection, run: UUID, position: int, *, gate: GatePolicy = NO_EXPIRY) -> Advance | None:
    rows = await tx.fetch(
        "SELECT position, key, state, skip_reason, depends_on, dependents FROM steps WHERE run_id = $1", run
    )
    places = {row[0]: LinkedStep(row[1], StepState(row[2]), row[3], tuple(row[4]), tuple(row[5])) for row in rows}
    lacking = await tx.fetchval(
        "SELECT dynamic AND resolved_args IS NULL FROM steps WHERE run_id = $1 AND position = $2", run, position
    )
    args = json.dumps({"step": position, "again": True}) if lacking else None
    done = await redrive(
        tx,
        run,
        position,
        back=coming_back(position, places),
        args=args,
        digest=None if args is None else digest(args),
        reason=None,
        by="a test",
        gate=gate,
    )
    return done if done.marks else None


def resolution(step: FreedStep, results: Mapping[tuple[UUID, int], str | None]) -> Resolution:
    """The arguments of a step with references: what it refers to. UNFIT fits nothing."""
    known: dict[str, Any] = json.loads(step.known)
    for place, key in step.pending.items():
        known[key] = json.loads(results[step.run, place] or "null")
    if any(value == json.loads(UNFIT) for value in known.values()):
        return Resolution(step.run, step.position, None, None, "ARGS_UNFIT", "they do not fit")
    args = json.dumps({"step": step.position, "refers": known}, sort_keys=True)
    return Resolution(step.run, step.position, args, digest(args))


def leaving_blocked(step: DecidedStep, **facts: Any) -> Outcome:
    """The outcome of a BLOCKED step whose approval has just been decided."""
    return Outcome(run=step.run, position=step.position, attempt=step.attempt, leaves=StepState.BLOCKED, **facts)


def note(step: DecidedStep, kind: EventType) -> Note:
    """The event of a decision."""
    return Note(step.run, kind, step.position, step.approval, f"{kind} of {step.name}", "{}")


async def run_of(tx: Connection, approval: UUID) -> UUID:
    """The run that an approval belongs to."""
    return await tx.fetchval("SELECT run_id FROM approvals WHERE id = $1", approval)
