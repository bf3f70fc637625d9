"""A model of everybody at once: random plans, random moves in random order, repeated and stale ones too.

After each move every invariant of every run is checked. LIFEOS_MOVES=n makes n times as many, other ones each time,
and looks for the shortest way to what it finds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from persistence.database import Database, DatabaseSettings
from persistence.migrate import migrate
from persistence.states import ApprovalStatus, InDoubtResolution, StepState
from persistence.transitions.advance import NOBODY, ClaimedStep, Claimer, GatePolicy, Outcome
from tests.databases import fresh_database
from tests.faults.invariants import Whole, check_runs, wholes
from tests.persistence.stage import UNFIT, Draft, Stage, outcome, stage_over

T = TypeVar("T")

LENGTH = int(os.environ.get("LIFEOS_MOVES", "1"))
WORKERS = 3


@st.composite
def plans(draw: st.DrawFn) -> list[Draft]:
    """A plan of up to seven steps: any graph, any mixture of kinds."""
    drafts: list[Draft] = []
    for place in range(draw(st.integers(1, 7))):
        after = draw(st.lists(st.integers(0, place - 1), max_size=3, unique=True)) if place else []
        risk = draw(st.sampled_from([0, 0, 1, 2, 3]))
        drafts.append(
            Draft(
                after=tuple(sorted(after)),
                risk=risk,
                gated=draw(st.integers(0, 3)) == 0,
                idempotent=draw(st.booleans()),
                dynamic=draw(st.booleans()),
                max_attempts=3 if risk == 3 else draw(st.sampled_from([1, 3, None])),
            )
        )
    return drafts


CHOICE = st.integers(0, 1_000_000)
ENDS = st.sampled_from(["succeed", "succeed", "succeed", "unfit", "fail", "retry", "retry", "hand back", "doubt"])


class Moves(RuleBasedStateMachine):
    """What people, processes and time may do to a few runs, in any order."""

    stage: ClassVar[Stage]
    loop: ClassVar[asyncio.Runner]
    done: ClassVar[int] = 0
    """How much was done, over all examples."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[UUID] = []
        self.workers: list[UUID] = self.do(self._hire(WORKERS))
        self.claimed: dict[tuple[UUID, int, int], tuple[ClaimedStep, UUID]] = {}
        self.settled: list[Outcome] = []
        self.decided: list[tuple[UUID, bool]] = []

    def do(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        type(self).done += 1
        return self.loop.run(awaited())

    async def _hire(self, count: int) -> list[UUID]:
        return [await self.stage.worker() for _ in range(count)]

    # What may be chosen from

    def look(self) -> list[Whole]:
        found = self.do(wholes(self.stage.database, self.runs))
        return [found[run] for run in self.runs]

    def open_approvals(self, kind: str) -> list[UUID]:
        return [
            UUID(each["id"])
            for whole in self.look()
            for each in sorted(whole.approvals, key=lambda each: each["position"])
            if each["status"] == "REQUIRED" and each["kind"] == kind
        ]

    def running(self) -> list[tuple[ClaimedStep, UUID]]:
        """What runs now, with its owner, however it was claimed."""
        return [
            self.claimed[UUID(whole.run["id"]), step["position"], step["attempt"]]
            for whole in self.look()
            for step in whole.steps
            if step["state"] == "RUNNING"
        ]

    def dead_letters(self) -> list[tuple[UUID, int]]:
        return [
            (UUID(whole.run["id"]), step["position"])
            for whole in self.look()
            for step in whole.steps
            if step["state"] == "FAILED" and whole.run["state"] != "CANCELLED"
        ]

    def remember(self, claimed: list[ClaimedStep], worker: UUID | None) -> None:
        for step in claimed:
            assert worker is not None
            self.claimed[step.run, step.position, step.attempt] = (step, worker)

    def check(self) -> dict[UUID, Whole]:
        return self.do(check_runs(self.stage.database, *self.runs))

    def claimer(self, choice: int) -> Claimer:
        return Claimer(self.workers[choice % WORKERS], choice % 4) if choice % 3 else NOBODY

    def unchanged(self, move: Callable[[], Awaitable[Any]], *, but: set[UUID] | None = None) -> Any:
        """A move that must change nothing but what a late word adds to its tool call."""
        before = self.check()
        answer = self.do(move())
        after = self.check()
        for run in set(self.runs) - (but or set()):
            assert after[run].settled == before[run].settled
        return answer

    # What may happen

    @precondition(lambda self: len(self.runs) < 3)
    @rule(drafts=plans(), choice=CHOICE)
    def submit(self, drafts: list[Draft], choice: int) -> None:
        claimer = self.claimer(choice)
        run, done = self.do(self.stage.submit(*drafts, claimer=claimer, gate=GatePolicy(3600)))
        self.runs.append(run)
        self.remember(done.claimed, claimer.worker)
        self.check()

    @precondition(lambda self: self.runs)
    @rule(who=CHOICE, slots=st.integers(1, 5))
    def claim(self, who: int, slots: int) -> None:
        worker = self.workers[who % WORKERS]
        before = sum(step["state"] == "READY" for whole in self.look() for step in whole.steps)
        claimed = self.do(self.stage.claim(worker, slots=slots))
        assert len(claimed) == min(slots, before)
        self.remember(claimed, worker)
        self.check()

    @precondition(lambda self: self.runs)
    @rule(choices=st.lists(st.tuples(CHOICE, ENDS), min_size=1, max_size=4), slots=CHOICE, twice=st.booleans())
    def settle(self, choices: list[tuple[int, str]], slots: int, twice: bool) -> None:  # noqa: FBT001 - drawn
        running = self.running()
        outcomes: dict[tuple[UUID, int], Outcome] = {}
        for choice, end in choices:
            if running:
                step, owner = running[choice % len(running)]
                outcomes[step.run, step.position] = self.ended(step, owner, end)
        if not outcomes:
            return
        told = list(outcomes.values())
        claimer = self.claimer(slots)
        at_once = slots % 2 == 0 and not any(self.claimed[o.run, o.position, o.attempt][0].feeds for o in told)
        settle = self.stage.settle_free if at_once else self.stage.settle
        done = self.do(settle(*told, *(told if twice else ()), claimer=claimer, gate=GatePolicy(3600)))
        assert not done.busy
        assert {each % len(told) for each in done.accepted} == set(range(len(told)))
        self.remember(done.claimed, claimer.worker)
        self.settled += told
        self.check()

    def ended(self, step: ClaimedStep, owner: UUID, end: str) -> Outcome:
        if end in {"succeed", "unfit"}:
            result = UNFIT if end == "unfit" else f'{{"n": {step.attempt}}}'
            return outcome(step, owner, StepState.SUCCEEDED, result=result)
        spent = step.max_attempts is not None and step.calls >= step.max_attempts
        if end == "hand back":
            return outcome(step, owner, StepState.READY, reason="HANDED_BACK", uncounted=True)
        if end == "fail" or (end == "retry" and spent):
            return outcome(step, owner, StepState.FAILED)
        if end == "retry" or step.idempotent:
            again = StepState.FAILED if spent else StepState.READY
            return outcome(step, owner, again)
        # What may be in doubt has a digest; the engine sees to it.
        return outcome(step, owner, StepState.BLOCKED)

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE, approved=st.booleans(), edited=st.booleans())
    def decide(self, choice: int, approved: bool, edited: bool) -> None:  # noqa: FBT001 - drawn
        waiting = self.open_approvals("EXECUTE")
        if not waiting:
            return
        approval = waiting[choice % len(waiting)]
        status = ApprovalStatus.APPROVED if approved else ApprovalStatus.REJECTED
        args = '{"edited": true}' if approved and edited else None
        assert self.do(self.stage.decide(approval, status, edited=args)) is not None
        self.decided.append((approval, True))
        self.check()

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE, resolution=st.sampled_from(InDoubtResolution))
    def resolve(self, choice: int, resolution: InDoubtResolution) -> None:
        doubts = self.open_approvals("IN_DOUBT")
        if not doubts:
            return
        approval = doubts[choice % len(doubts)]
        assert self.do(self.stage.resolve(approval, resolution)) is not None
        self.decided.append((approval, False))
        self.check()

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE, count=st.integers(1, 3))
    def expire(self, choice: int, count: int) -> None:
        waiting = self.open_approvals("EXECUTE")
        overdue = {waiting[(choice + each) % len(waiting)] for each in range(count)} if waiting else set[UUID]()
        self.do(
            self.stage.database.execute(
                "UPDATE approvals SET expires_at = created_at WHERE id = ANY($1::uuid[])", list(overdue)
            )
        )
        done = self.do(self.stage.expire(*self.runs))
        assert len(done.accepted) == len(overdue)
        self.decided += [(approval, True) for approval in overdue]
        self.check()

    @precondition(lambda self: len(self.runs) > 1)
    @rule(choice=CHOICE)
    def cancel(self, choice: int) -> None:
        run = self.runs[choice % len(self.runs)]
        over = self.check()[run].run["finished_at"] is not None
        done = self.do(self.stage.cancel(run))
        assert (done is None) == over
        assert self.check()[run].run["state"] == "CANCELLED" or over

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE)
    def redrive(self, choice: int) -> None:
        dead = self.dead_letters()
        if dead:
            run, position = dead[choice % len(dead)]
            done = self.do(self.stage.redrive(run, position, gate=GatePolicy(3600)))
            assert done is not None
            assert done.marks
            whole = self.check()[run]
            assert whole.steps[position]["execution"] > 1
            assert whole.steps[position]["calls"] == 0

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE)
    def enter(self, choice: int) -> None:
        running = self.running()
        if running:
            step, owner = running[choice % len(running)]
            before = self.do(self._entered(step))
            assert self.do(self.stage.enter(step, owner)) is not before
            assert self.do(self.stage.enter(step, owner, again=True))

    async def _entered(self, step: ClaimedStep) -> bool:
        return await self.stage.database.fetchval(
            "SELECT entered_at IS NOT NULL FROM tool_calls WHERE run_id = $1 AND position = $2 AND attempt = $3",
            step.run,
            step.position,
            step.attempt,
        )

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE)
    def die(self, choice: int) -> None:
        dead, self.workers[choice % WORKERS] = self.workers[choice % WORKERS], self.do(self.stage.worker())
        owned = sum(owner == dead for _, owner in self.running())
        done = self.do(self.stage.bury(dead))
        assert len(done.accepted) == owned
        assert all(owner != dead for _, owner in self.running())
        self.check()

    # What comes too late, twice or from the wrong one

    @precondition(lambda self: self.settled)
    @rule(choice=CHOICE, other=ENDS)
    def tell_again(self, choice: int, other: str) -> None:
        """A settled outcome is told again, as it was or otherwise."""
        earlier = self.settled[choice % len(self.settled)]
        step, owner = self.claimed[earlier.run, earlier.position, earlier.attempt]
        late = earlier if choice % 2 else self.ended(step, owner, other)
        done = self.unchanged(lambda: self.stage.settle(late, claimer=self.claimer(choice)))
        assert not done.accepted
        assert not done.marks
        assert not done.claimed

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE, end=ENDS)
    def tell_of_others(self, choice: int, end: str) -> None:
        """Somebody who does not own the step, or not in this attempt, or who thinks it was somewhere else."""
        running = self.running()
        if not running:
            return
        step, owner = running[choice % len(running)]
        right = self.ended(step, owner, end)._replace(call=None)
        wrong = [
            right._replace(owner=self.stage.user),
            right._replace(owner=None),
            right._replace(attempt=step.attempt + 1),
            right._replace(attempt=step.attempt - 1),
            *(right._replace(leaves=state) for state in StepState if state is not StepState.RUNNING),
        ]
        done = self.unchanged(lambda: self.stage.settle(*wrong, claimer=self.claimer(choice)))
        assert not done.accepted
        assert not done.marks

    @precondition(lambda self: self.decided)
    @rule(choice=CHOICE, approved=st.booleans(), resolution=st.sampled_from(InDoubtResolution))
    def decide_again(self, choice: int, approved: bool, resolution: InDoubtResolution) -> None:  # noqa: FBT001
        approval, executes = self.decided[choice % len(self.decided)]
        status = ApprovalStatus.APPROVED if approved else ApprovalStatus.REJECTED
        if executes:
            assert self.unchanged(lambda: self.stage.decide(approval, status, by=self.stage.other)) is None
        else:
            assert self.unchanged(lambda: self.stage.resolve(approval, resolution)) is None

    @precondition(lambda self: self.runs)
    @rule()
    def mistake_the_kind(self) -> None:
        """A doubt is not approved, and no permission is resolved."""
        for approval in self.open_approvals("IN_DOUBT")[:1]:
            assert self.unchanged(lambda it=approval: self.stage.decide(it, ApprovalStatus.APPROVED)) is None
        for approval in self.open_approvals("EXECUTE")[:1]:
            assert self.unchanged(lambda it=approval: self.stage.resolve(it, InDoubtResolution.HAPPENED)) is None

    @precondition(lambda self: self.runs)
    @rule(choice=CHOICE)
    def rescue_the_living(self, choice: int) -> None:
        """A sweep that finds nobody dead takes nothing; one that sees the same dead twice takes nothing more."""
        done = self.unchanged(lambda: self.stage.rescue(self.stage.user))
        assert not done.accepted

    def teardown(self) -> None:
        for run in self.runs:
            self.do(self.stage.cancel(run))
        if self.runs:
            self.check()


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_whatever_happens_in_whatever_order_every_invariant_holds(loop: asyncio.Runner) -> None:
    async def opened() -> tuple[Any, Database]:
        context = fresh_database(migrate)
        dsn = await context.__aenter__()
        database = Database(DatabaseSettings(dsn=dsn, connections=2))
        await database.open()
        Moves.stage = await stage_over(database)
        return context, database

    context, database = loop.run(opened())
    Moves.loop = loop
    try:
        run_state_machine_as_test(
            Moves,
            settings=settings(
                # The same moves each time, unless somebody looks for others.
                derandomize=LENGTH == 1,
                database=None,
                max_examples=40 * LENGTH,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
                phases=[Phase.generate, Phase.shrink] if LENGTH > 1 else [Phase.generate],
            ),
        )
    finally:
        loop.run(database.close())
        loop.run(context.__aexit__(None, None, None))
