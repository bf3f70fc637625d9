"""Rows for tests, written by the moves that write them in the product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from persistence.database import Database
from persistence.ids import new_id
from persistence.moves.begin import NewRun, NewStep, store_runs, store_steps
from persistence.moves.cancel import cancel
from persistence.moves.claim import claim
from persistence.moves.decide import decide
from persistence.moves.inputs import Claimer, GatePolicy, Outcome
from persistence.moves.locks import lock_runs
from persistence.moves.row import Advance
from persistence.moves.settle import advance
from persistence.states import ApprovalKind, ApprovalStatus, Risk, Role, SkipReason, StepState, ToolCallStatus


@dataclass
class Person:
    id: UUID
    name: str
    roles: list[Role]


@dataclass
class Told:
    """A step of a story: what it waits for by key, and what is not as usual."""

    key: str
    after: tuple[str, ...] = ()
    tool: str = "note"
    name: str | None = None
    risk: Risk = Risk.L0
    args: Mapping[str, Any] = field(default_factory=dict)
    max_attempts: int | None = 3


class Stories:
    """Tells what happened to runs, against a real database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.worker: UUID | None = None

    async def person(self, name: str, *roles: Role) -> Person:
        person = Person(new_id(), name, list(roles) or [Role.SUBMITTER])
        await self.database.execute(
            "INSERT INTO users (id, name, roles) VALUES ($1, $2, $3)", person.id, name, list(map(str, person.roles))
        )
        return person

    async def run(
        self,
        by: Person,
        steps: Sequence[Told] = (Told("only"),),
        *,
        intent: str | None = None,
        approval_seconds: float = 3600,
    ) -> UUID:
        """A run with these steps, what waits for nothing READY or BLOCKED."""
        [run] = await self.runs(by, 1, steps, intent=intent, approval_seconds=approval_seconds)
        return run

    async def runs(
        self,
        by: Person,
        many: int,
        steps: Sequence[Told],
        *,
        intent: str | None = None,
        approval_seconds: float = 3600,
    ) -> list[UUID]:
        """So many such runs, all at once."""
        runs = [new_id() for _ in range(many)]
        risk = max((step.risk for step in steps), default=Risk.L0)

        async def work(tx: Any) -> None:
            await store_runs(tx, [NewRun(run, by.id, intent, risk, Risk.L3) for run in runs])
            stored = [each for run in runs for each in self._stored(by, run, steps)]
            await store_steps(tx, stored, gate=GatePolicy(approval_seconds))

        await self.database.transaction(work)
        return runs

    def _stored(self, by: Person, run: UUID, steps: Sequence[Told]) -> list[NewStep]:
        place = {step.key: at for at, step in enumerate(steps)}
        return [
            NewStep(
                run=run,
                submitted_by=by.id,
                position=at,
                key=step.key,
                name=step.name or step.key,
                tool=step.tool,
                risk=step.risk,
                gated=step.risk is Risk.L3,
                gate_reason="It is high-risk" if step.risk is Risk.L3 else None,
                idempotent=step.risk is not Risk.L3,
                dynamic=False,
                feeds=False,
                args=orjson.dumps(step.args).decode(),
                resolved_args=None,
                digest=f"{at:064x}",
                depends_on=tuple(place[key] for key in step.after),
                dependents=tuple(at for at, other in enumerate(steps) if step.key in other.after),
                needs=(),
                max_attempts=step.max_attempts,
                timeout_seconds=60,
            )
            for at, step in enumerate(steps)
        ]

    async def intent(self, by: Person, intent: str) -> UUID:
        """A run that is only recorded."""
        run = new_id()
        await self.database.transaction(lambda tx: store_runs(tx, [NewRun(run, by.id, intent, Risk.L0, Risk.L3)]))
        return run

    async def claim(self, slots: int = 10_000) -> Advance:
        """Everything that is due starts."""
        if self.worker is None:
            self.worker = new_id()
            await self.database.execute(
                "INSERT INTO workers (id, host, pid, lease_until) VALUES ($1, 'h', 1, now() + interval '1 hour')",
                self.worker,
            )
        claimer = Claimer(self.worker, slots)
        async with self.database.connection() as connection:
            return await claim(connection, claimer)

    async def settle(
        self, run: UUID, position: int, enters: StepState = StepState.SUCCEEDED, *, result: Any = None, **outcome: Any
    ) -> None:
        """A running step ends so."""
        attempt = await self.database.fetchval(
            "SELECT attempt FROM steps WHERE run_id = $1 AND position = $2", run, position
        )
        call = {
            StepState.SUCCEEDED: ToolCallStatus.SUCCEEDED,
            StepState.BLOCKED: ToolCallStatus.IN_DOUBT,
        }.get(enters, ToolCallStatus.FAILED)
        given = Outcome(
            run,
            position,
            attempt,
            StepState.RUNNING,
            enters,
            owner=self.worker,
            call=call,
            result=orjson.dumps(result).decode() if enters is StepState.SUCCEEDED else None,
            **outcome,
        )
        assert (await self._advance(given)).accepted == {0}

    async def fail_all(self) -> None:
        """Every running step fails for good."""
        running = await self.database.fetch(
            "SELECT run_id, position, attempt FROM steps WHERE state = 'RUNNING' ORDER BY run_id, position"
        )
        await self._advance(
            *(
                Outcome(
                    run,
                    position,
                    attempt,
                    StepState.RUNNING,
                    StepState.FAILED,
                    owner=self.worker,
                    call=ToolCallStatus.FAILED,
                    error_code="TOOL_FAILED",
                    error_message="It broke",
                )
                for run, position, attempt in running
            )
        )

    async def fail(self, run: UUID, position: int) -> None:
        await self.settle(run, position, StepState.FAILED, error_code="TOOL_FAILED", error_message="It broke")

    async def decide(self, run: UUID, position: int, by: Person, *, approve: bool, reason: str | None = None) -> UUID:
        """The step's open approval is answered; its id."""
        approval = await self.open_approval(run, position)
        status = ApprovalStatus.APPROVED if approve else ApprovalStatus.REJECTED

        async def work(tx: Any) -> None:
            await lock_runs(tx, [run])
            step = await decide(tx, approval, kind=ApprovalKind.EXECUTE, status=status, by=by.id, reason=reason)
            assert step is not None
            outcome = Outcome(
                run,
                position,
                step.attempt,
                StepState.BLOCKED,
                StepState.READY if approve else StepState.SKIPPED,
                reason=None if approve else SkipReason.REJECTED,
            )
            await advance(tx, [outcome])

        await self.database.transaction(work)
        return approval

    async def open_approval(self, run: UUID, position: int) -> UUID:
        return await self.database.fetchval(
            "SELECT id FROM approvals WHERE run_id = $1 AND position = $2 AND status = 'REQUIRED'", run, position
        )

    async def cancel(self, run: UUID) -> None:
        async def work(tx: Any) -> None:
            await lock_runs(tx, [run])
            await cancel(tx, run, reason=None, by="somebody")

        await self.database.transaction(work)

    async def _advance(self, *outcomes: Outcome) -> Advance:
        async def work(tx: Any) -> Advance:
            await lock_runs(tx, [outcome.run for outcome in outcomes])
            return await advance(tx, outcomes)

        return await self.database.transaction(work)
