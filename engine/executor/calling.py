"""Calling: claimed steps are prepared, noted where they must not be repeated, and called."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from engine.executor.attempt import Attempt
from engine.executor.caller import Caller
from engine.executor.settling import Settling
from engine.executor.slots import Slots
from engine.executor.tasks import Tasks
from engine.gather import Gather
from engine.retries import RetryPolicy
from persistence import ids
from persistence.database import Database, Unavailable
from persistence.moves.claim import Entry, enter
from persistence.moves.inputs import Claimer, Outcome
from persistence.moves.row import Advance, ClaimedStep
from persistence.workers import Worker

log = structlog.get_logger()

_ENTRIES_A_GROUP: Final = 500
_AWAY_SECONDS: Final = 0.2


class Calling:
    """Starts the attempts of this process; what becomes of each goes to be settled."""

    def __init__(
        self,
        database: Database,
        slots: Slots,
        caller: Caller,
        settling: Settling,
        tasks: Tasks,
        *,
        policy: RetryPolicy,
    ) -> None:
        self._database = database
        self._slots = slots
        self._caller = caller
        self._settling = settling
        self._tasks = tasks
        self._policy = policy
        self._entering = Gather(self._enter, at_most=_ENTRIES_A_GROUP, name="enter")

    def take(self, claimer: Claimer, done: Advance) -> None:
        """Start the steps that a transaction claimed for this process."""
        worker = self._slots.worker
        if worker is None or worker.id != claimer.worker:
            return  # claimed under a lease that is over by now: others take them
        if done.claimed:
            self.start(done.claimed, worker)

    def start(self, steps: Sequence[ClaimedStep], worker: Worker, *, may_call: bool = True) -> None:
        """Begin the attempts of owned steps. Without `may_call`, each one's outcome is that nobody knows."""
        started = [Attempt(step, worker, self._caller, self._policy, self._ended) for step in steps]
        for attempt in started:
            self._slots.add(attempt)
        if not may_call:
            # A call that must not be repeated, and that this process entered and knows nothing of, is in doubt.
            for attempt in started:
                self._settling.give_up(attempt)
            return
        for attempt in started:
            self._begin(attempt)
        # Once every call has had its first turn: those that have ended by then need no timer.
        asyncio.get_running_loop().call_soon(_watch, started)

    def _begin(self, attempt: Attempt) -> None:
        if attempt.prepare():
            if attempt.step.idempotent:
                attempt.call()
            else:
                self._tasks.spawn(self._enter_and_call(attempt))

    async def _enter_and_call(self, attempt: Attempt) -> None:
        try:
            allowed = await self._may_enter(attempt.step)
        except asyncio.CancelledError:
            return  # the process ends; what it owns is taken from it
        except Exception:
            log.exception("attempt_failed", run_id=ids.run_id(attempt.step.run), step_id=attempt.step_id)
            self._settling.give_up(attempt)
            return
        if allowed:
            attempt.call()
            asyncio.get_running_loop().call_soon(attempt.watch)
        else:
            attempt.refuse()

    async def _may_enter(self, step: ClaimedStep) -> bool:
        again = False
        while True:
            worker = self._slots.worker
            if worker is None:
                return False
            try:
                return await self._entering.add(Entry(step, worker.id, again=again))
            except Unavailable as error:
                # It may be noted already, by us, and the call is not made yet.
                again = True
                log.warning("enter_waits_for_the_database", error=str(error))
                await asyncio.sleep(_AWAY_SECONDS)

    async def _enter(self, entries: Sequence[Entry]) -> Sequence[bool]:
        async with self._database.connection() as connection:
            allowed = await enter(connection, entries)
        return [(entry.step.run, entry.step.position) in allowed for entry in entries]

    def _ended(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if outcome is None:
            self._settling.release(attempt)
        else:
            self._settling.add(attempt, outcome)


def _watch(attempts: Iterable[Attempt]) -> None:
    for attempt in attempts:
        attempt.watch()
