"""A model of everybody at once: random plans, random moves in random order, repeated and stale ones too.

After each move every invariant of every run is checked. LIFEOS_MOVES=n makes n times as many, other ones each time,
and looks for the shortest way to what it finds.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from persistence.database import Database, DatabaseSettings
from persistence.migrate import migrate
from persistence.moves.inputs import NOBODY, Claimer, GatePolicy, Outcome
from persistence.moves.row import ClaimedStep
from persistence.states import ApprovalStatus, InDoubtResolution, StepState
from tests.databases import fresh_database
from tests.faults.invariants import Whole, check_runs
from tests.persistence.stage import UNFIT, Draft, Stage, outcome, stage_over

T = TypeVar("T")

LENGTH = int(os.environ.get("LIFEOS_MOVES", "1"))
WORKERS = 3


@st.composite
def plans(draw: st.DrawFn) -> list[Draft]:
    """A plan of up to seven steps: any graph, any mixture of kinds."""
    drafts: list[Draft] = []
    for place in range(draw(st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8]))):
        after = draw(st.lists(st.sampled_from(range(place)), max_size=3, unique=True)) if place else []
        risk = draw(st.sampled_from([0, 0, 1, 2, 3]))
        drafts.append(
            Draft(
                after=tuple(sorted(after)),
                risk=risk,
                gated=draw(st.sampled_from([False, False, False, True])),
                idempotent=draw(st.booleans()),
                dynamic=draw(st.booleans()),
                max_attempts=3 if risk == 3 else draw(st.sampled_from([1, 3, None])),
            )
        )
    return drafts


ENDS = ["succeed"] * 6 + ["unfit", "fail", "retry", "retry", "hand back", "doubt", "doubt"]
DECISIONS = [ApprovalStatus.APPROVED, ApprovalStatus.APPROVED, ApprovalStatus.REJECTED]
GATE = GatePolicy(3600)

Draw = Callable[[st.SearchStrategy[T]], T]


class Moves(RuleBasedStateMachine):
    """What people, processes and time may do to a few runs, in any order."""

    stage: ClassVar[Stage]
    loop: ClassVar[asyncio.Runner]
    made: ClassVar[Counter[str]] = Counter()
    """How often what was done, over all examples."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[UUID] = []
        self.workers: list[UUID] = [self.do(self.stage.worker()) for _ in range(WORKERS)]
        self.claimed: dict[tuple[UUID, int, int], tuple[ClaimedStep, UUID]] = {}
        self.settled: list[Outcome] = []
        self.decided: list[tuple[UUID, bool]] = []
        self.wholes: list[Whole] = []
        self.draw: Draw[Any] = lambda _: None

    def do(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.loop.run(awaited())

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """One of the moves that there is something to do for."""
        self.draw = data.draw
        moves = self.possible()
        name = self.one_of([name for name, weight in moves.items() for _ in range(weight)])
        type(self).made[name] += 1
        getattr(self, name)()

    def possible(self) -> dict[str, int]:
        """How likely each move is, from what there is."""
        states = Counter(step["state"] for whole in self.wholes for step in whole.steps)
        ready, running = bool(states["READY"]), bool(states["RUNNING"])
        asked, doubts = bool(self.open_approvals("EXECUTE")), bool(self.open_approvals("IN_DOUBT"))
        return {
            "submit": 12 if not states["READY"] + states["RUNNING"] else 2 * (len(self.runs) < 3),
            "claim": 6 * ready,
            "settle": 10 * running,
            "tell_of_others": running,
            "enter": running,
            "die": running,
            "decide": 6 * asked,
            "expire": asked,
            "resolve": 4 * doubts,
            "mistake_the_kind": int(asked or doubts),
            "redrive": 3 * bool(self.dead_letters()),
            "cancel": int(len(self.runs) > 2),
            "tell_again": 2 * bool(self.settled),
            "decide_again": bool(self.decided),
        }

    # What may be chosen from

    def one_of(self, choices: list[T]) -> T:
        return self.draw(st.sampled_from(choices))

    def some_of(self, choices: list[T], most: int) -> list[T]:
        places = self.draw(
            st.lists(st.sampled_from(range(len(choices))), min_size=1, max_size=min(most, len(choices)), unique=True)
        )
        return [choices[place] for place in places]

    def open_approvals(self, kind: str) -> list[UUID]:
        return [
            UUID(each["id"])
            for whole in self.wholes
            for each in sorted(whole.approvals, key=lambda each: each["position"])
            if each["status"] == "REQUIRED" and each["kind"] == kind
        ]

    def running(self) -> list[tuple[ClaimedStep, UUID]]:
        """What runs now, with its owner, however it was claimed."""
        return [
            self.claimed[UUID(whole.run["id"]), step["position"], step["attempt"]]
            for whole in self.wholes
            for step in whole.steps
            if step["state"] == "RUNNING"
        ]

    def dead_letters(self) -> list[tuple[UUID, int]]:
        return [
            (UUID(whole.run["id"]), step["position"])
            for whole in self.wholes
            for step in whole.steps
            if step["state"] == "FAILED" and whole.run["state"] != "CANCELLED"
        ]

    def remember(self, claimed: list[ClaimedStep], worker: UUID | None) -> None:
        for step in claimed:
            assert worker is not None
            self.claimed[step.run, step.position, step.attempt] = (step, worker)

    def check(self) -> dict[UUID, Whole]:
        found = self.do(check_runs(self.stage.database, *self.runs))
        self.wholes = [found[run] for run in self.runs]
        return found

    def claimer(self) -> Claimer:
        return self.one_of([NOBODY, *(Claimer(worker, slots) for worker in self.workers for slots in (1, 2, 9))])

    def unchanged(self, move: Callable[[], Awaitable[T]]) -> T:
        """A move that must change nothing but what a late word adds to its tool call."""
        before = [whole.settled for whole in self.wholes]
        answer = self.do(move())
        self.check()
        assert [whole.settled for whole in self.wholes] == before
        return answer

    # What may happen

    def submit(self) -> None:
        claimer = self.claimer()
        run, done = self.do(self.stage.submit(*self.draw(plans()), claimer=claimer, gate=GATE))
        self.runs.append(run)
        self.remember(done.claimed, claimer.worker)
        self.check()

    def claim(self) -> None:
        worker, slots = self.one_of(self.workers), self.one_of([1, 2, 5, 9])
        before = sum(step["state"] == "READY" for whole in self.wholes for step in whole.steps)
        claimed = self.do(self.stage.claim(worker, slots=slots))
        assert len(claimed) == min(slots, before)
        self.remember(claimed, worker)
        self.check()

    def settle(self) -> None:
        told = [self.ended(step, owner, self.one_of(ENDS)) for step, owner in self.some_of(self.running(), 5)]
        claimer, twice = self.claimer(), self.one_of([False, False, True])
        feeds = any(self.claimed[each.run, each.position, each.attempt][0].feeds for each in told)
        settle = self.stage.settle if feeds or self.one_of([False, True]) else self.stage.settle_free
        done = self.do(settle(*told, *(told if twice else ()), claimer=claimer, gate=GATE))
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
        if end == "fail" or (spent and (end == "retry" or step.idempotent)):
            return outcome(step, owner, StepState.FAILED)
        if end == "retry" or step.idempotent:
            return outcome(step, owner, StepState.READY)
        return outcome(step, owner, StepState.BLOCKED)

    def decide(self) -> None:
        approval, status = self.one_of(self.open_approvals("EXECUTE")), self.one_of(DECISIONS)
        args = '{"edited": true}' if status is ApprovalStatus.APPROVED and self.one_of([False, True]) else None
        assert self.do(self.stage.decide(approval, status, edited=args)) is not None
        self.decided.append((approval, True))
        self.check()

    def resolve(self) -> None:
        approval, resolution = self.one_of(self.open_approvals("IN_DOUBT")), self.one_of(list(InDoubtResolution))
        assert self.do(self.stage.resolve(approval, resolution)) is not None
        self.decided.append((approval, False))
        self.check()

    def expire(self) -> None:
        overdue = self.some_of(self.open_approvals("EXECUTE"), 3)
        late = "UPDATE approvals SET expires_at = created_at WHERE id = ANY($1::uuid[])"
        self.do(self.stage.database.execute(late, overdue))
        for approval in overdue:
            assert self.do(self.stage.decide(approval, ApprovalStatus.APPROVED)) is None
        done = self.do(self.stage.expire(*self.runs))
        assert len(done.accepted) == len(overdue)
        self.decided += [(approval, True) for approval in overdue]
        self.check()

    def cancel(self) -> None:
        place = self.one_of(list(range(len(self.runs))))
        over = self.wholes[place].run["finished_at"] is not None
        done = self.do(self.stage.cancel(self.runs[place]))
        assert (done is None) == over
        self.check()
        assert over or self.wholes[place].run["state"] == "CANCELLED"

    def redrive(self) -> None:
        run, position = self.one_of(self.dead_letters())
        done = self.do(self.stage.redrive(run, position, gate=GATE))
        assert done is not None
        assert done.marks
        step = self.check()[run].steps[position]
        assert step["execution"] > 1
        assert step["calls"] == 0

    def enter(self) -> None:
        step, owner = self.one_of(self.running())
        before = self.do(self._entered(step))
        assert self.do(self.stage.enter(step, owner)) is not before
        assert self.do(self.stage.enter(step, owner, again=True))
        assert not self.do(self.stage.enter(step, self.stage.user, again=True))

    async def _entered(self, step: ClaimedStep) -> bool:
        return await self.stage.database.fetchval(
            "SELECT entered_at IS NOT NULL FROM tool_calls WHERE run_id = $1 AND position = $2 AND attempt = $3",
            step.run,
            step.position,
            step.attempt,
        )

    def die(self) -> None:
        place = self.one_of(list(range(WORKERS)))
        dead, self.workers[place] = self.workers[place], self.do(self.stage.worker())
        owned = sum(owner == dead for _, owner in self.running())
        done = self.do(self.stage.bury(dead))
        assert len(done.accepted) == owned
        self.check()
        assert all(owner != dead for _, owner in self.running())
        assert not self.do(self.stage.claim(dead))

    # What comes too late, twice or from the wrong one

    def tell_again(self) -> None:
        """A settled outcome is told again, as it was or otherwise."""
        earlier = self.one_of(self.settled)
        step, owner = self.claimed[earlier.run, earlier.position, earlier.attempt]
        late = self.one_of([earlier, self.ended(step, owner, self.one_of(ENDS))])
        done = self.unchanged(lambda: self.stage.settle(late, claimer=Claimer(self.workers[0], 9)))
        assert not done.accepted
        assert not done.marks
        assert not done.claimed

    def tell_of_others(self) -> None:
        """Somebody who does not own the step, or not in this attempt, or who thinks it was somewhere else."""
        step, owner = self.one_of(self.running())
        right = self.ended(step, owner, self.one_of(ENDS))._replace(call=None)
        wrong = [
            right._replace(owner=self.stage.user),
            right._replace(owner=None),
            right._replace(attempt=step.attempt + 1),
            right._replace(attempt=step.attempt - 1),
            *(right._replace(leaves=state) for state in StepState if state is not StepState.RUNNING),
        ]
        done = self.unchanged(lambda: self.stage.settle(*wrong, claimer=Claimer(self.workers[0], 9)))
        assert not done.accepted
        assert not done.marks

    def decide_again(self) -> None:
        approval, executes = self.one_of(self.decided)
        status, resolution = self.one_of(DECISIONS), self.one_of(list(InDoubtResolution))
        if executes:
            assert self.unchanged(lambda: self.stage.decide(approval, status, by=self.stage.other)) is None
        else:
            assert self.unchanged(lambda: self.stage.resolve(approval, resolution)) is None

    def mistake_the_kind(self) -> None:
        """A doubt is not approved, and no permission is resolved."""
        for approval in self.open_approvals("IN_DOUBT")[:1]:
            assert self.unchanged(lambda it=approval: self.stage.decide(it, ApprovalStatus.APPROVED)) is None
        for approval in self.open_approvals("EXECUTE")[:1]:
            assert self.unchanged(lambda it=approval: self.stage.resolve(it, InDoubtResolution.HAPPENED)) is None

    def teardown(self) -> None:
        for run in self.runs:
            self.do(self.stage.cancel(run))
        if self.runs:
            self.check()


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.mark.timeout(120 + 120 * LENGTH)
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
                max_examples=60 * LENGTH,
                stateful_step_count=50,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
                phases=[Phase.generate, Phase.shrink] if LENGTH > 1 else [Phase.generate],
            ),
        )
        # It was worth the while: each kind of move was made, the common ones often.
        rarely = {name for name in Moves.possible(Moves()) if Moves.made[name] < 10}
        assert rarely == set(), Moves.made
    finally:
        loop.run(database.close())
        loop.run(context.__aexit__(None, None, None))
