"""Settling: outcomes are written in groups, and each group's transaction claims what it made ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from engine.executor.attempt import Attempt
from engine.executor.slots import Slots
from engine.executor.tasks import Tasks
from engine.gather import Gather
from engine.rounds import Rules, settle
from engine.settings import EngineSettings, gate_policy
from engine.tools import Registry
from persistence import ids
from persistence.database import Connection, Database, Unavailable
from persistence.moves.inputs import Claimer, Outcome
from persistence.moves.locks import lock_runs
from persistence.moves.row import Advance
from persistence.moves.settle import SettleFree, advance_free
from persistence.moves.succeed import is_success, succeed
from persistence.states import StepState
from persistence.wakeups import Wakeups

log = structlog.get_logger()

_OUTCOMES_A_GROUP: Final = 500
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0


class Settling:
    """Writes down what becomes of attempts, whatever happens meanwhile, and frees their slots."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        settings: EngineSettings,
        *,
        slots: Slots,
        wakeups: Wakeups,
        tasks: Tasks,
        take: Callable[[Claimer, Advance], None],
    ) -> None:
        self._database = database
        self._rules = Rules(registry, settings)
        self._slots = slots
        self._wakeups = wakeups
        self._tasks = tasks
        self._take = take
        self._gate = gate_policy(settings)
        self._closed = False
        # Two at once, of half the slots each: while the database writes one group, the other one's tools are called.
        a_group = min(_OUTCOMES_A_GROUP, max(1, settings.concurrency // 2))
        self._outcomes = Gather(self._settle, at_most=a_group, writers=2, name="settle")

    def add(
        self,
        attempt: Attempt,
        outcome: Outcome,
        pause: float = _FIRST_PAUSE_SECONDS,
        *,
        is_late: bool = False,
        gave_up: bool = False,
    ) -> None:
        """Settle this outcome with the next group, and try again for as long as the database is away."""
        if not self._closed:
            self._outcomes.tell(
                outcome, partial(self._settled, attempt, outcome, pause, is_late=is_late, gave_up=gave_up)
            )

    def give_up(self, attempt: Attempt) -> None:
        """A fault of ours kept an outcome from being recorded: say so, and never call again because of it."""
        attempt.drop()
        self.add(attempt, attempt.gave_up(), gave_up=True)

    def release(self, attempt: Attempt) -> None:
        """Free the attempt's slot: it is settled, or there is nothing to settle."""
        self._slots.free(attempt)
        if attempt.left is not None:
            self._tasks.spawn(self._keep_late_reply(attempt))

    def refuse(self) -> None:
        """Take no more outcomes: the process ends, and what it owns is taken from it."""
        self._closed = True

    async def close(self) -> None:
        """Wait for the groups that are being written."""
        await self._outcomes.close()

    async def _keep_late_reply(self, attempt: Attempt) -> None:
        try:
            outcome = await attempt.late_reply()
            if outcome is not None:
                self.add(attempt, outcome, is_late=True)
        except Exception:
            log.exception("late_reply_lost", step_id=attempt.step_id)

    # One outcome's answer

    def _settled(
        self,
        attempt: Attempt,
        outcome: Outcome,
        pause: float,
        answer: Exception | None,
        *,
        is_late: bool,
        gave_up: bool,
    ) -> None:
        match answer:
            case None if is_late:
                pass
            case None:
                self.release(attempt)
            case Unavailable():
                # Written again under the same attempt: if it was committed, the second time moves nothing.
                self._slots.lost_an_answer = True
                log.warning("settle_waits_for_the_database", error=str(answer), step=attempt.step_id)
                pause_after = min(_LONGEST_PAUSE_SECONDS, pause * 2)
                again = partial(self.add, attempt, outcome, pause_after, is_late=is_late, gave_up=gave_up)
                asyncio.get_running_loop().call_later(pause, again)
            case _ if is_late:
                log.error("late_reply_lost", step_id=attempt.step_id, exc_info=answer)
            case _ if gave_up:
                log.error("giving_up_failed", step_id=attempt.step_id, exc_info=answer)
                self.release(attempt)
            case _:
                run = ids.run_id(attempt.step.run)
                log.error("attempt_failed", run_id=run, step_id=attempt.step_id, exc_info=answer)
                self.give_up(attempt)

    # A group

    async def _settle(self, outcomes: Sequence[Outcome]) -> Sequence[None]:
        # Alone in their runs, and with no references to resolve, most groups are one statement.
        successes, others, rest = self._sorted(outcomes)
        for write, group in ((succeed, successes), (advance_free, others)):
            if group:
                busy = await self._settle_free(write, group)
                rest += [outcome for outcome in group if outcome.run in busy]
        if rest:
            await self._settle_locked(rest)
        for outcome in outcomes:
            if outcome.enters is StepState.READY and outcome.delay_seconds > 0:
                asyncio.get_running_loop().call_later(outcome.delay_seconds, self._slots.look.set)
        return [None] * len(outcomes)

    def _sorted(self, outcomes: Iterable[Outcome]) -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
        successes: list[Outcome] = []
        others: list[Outcome] = []
        feeding: list[Outcome] = []  # and those with notices, which take a statement more
        for outcome in outcomes:
            if self._feeds(outcome) or outcome.notices:
                feeding.append(outcome)
            else:
                (successes if is_success(outcome) else others).append(outcome)
        return successes, others, feeding

    async def _settle_free(self, write: SettleFree, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Settle those whose runs nobody holds, without waiting; the runs that somebody does."""
        # The steps that end here give their slots to those that follow.
        with self._slots.reserve(own=self._slots_of(outcomes)) as claimer:
            async with self._database.connection() as connection:
                done = await write(connection, outcomes, claimer=claimer, gate=self._gate)
            self._settled_as(outcomes, claimer, done)
        return done.busy

    async def _settle_locked(self, outcomes: Sequence[Outcome]) -> None:
        """Settle these, once their runs are ours alone. Locks the runs in the order of their ids."""
        feeding = [outcome for outcome in outcomes if outcome.enters is StepState.SUCCEEDED and self._feeds(outcome)]

        async def write(tx: Connection) -> Advance:
            elaborate = await lock_runs(tx, (outcome.run for outcome in outcomes))
            return await settle(tx, self._rules, outcomes, claimer=claimer, elaborate=elaborate, feeding=feeding)

        with self._slots.reserve(own=self._slots_of(outcomes)) as claimer:
            done = await self._database.transaction(write)
            self._settled_as(outcomes, claimer, done)

    def _settled_as(self, outcomes: Iterable[Outcome], claimer: Claimer, done: Advance) -> None:
        """Free the slots of what was settled, start what was claimed, and announce both."""
        slots = self._slots
        for outcome in outcomes:
            if slots.holds(outcome) and outcome.run not in done.busy:
                del slots.running[outcome.run, outcome.position]
        self._take(claimer, done)
        self._wakeups.announce(done.marks, work=any(mark.ready for mark in done.marks))

    def _slots_of(self, outcomes: Sequence[Outcome]) -> int:
        return sum(map(self._slots.holds, outcomes))

    def _feeds(self, outcome: Outcome) -> bool:
        """Whether the outcome may free a step with references, or belongs to an elaborate run."""
        attempt = self._slots.running.get((outcome.run, outcome.position))
        return attempt is None or attempt.step.feeds
