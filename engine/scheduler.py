"""The scheduler: lost steps, overdue approvals, due retries. In normal operation it finds nothing to do.

Everything it does is a conditional write, so any number of processes may sweep at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import structlog

from engine.retries import is_exhausted
from engine.rounds import Rules, settle
from persistence import workers
from persistence.database import Connection, Database, Unavailable
from persistence.moves import planning
from persistence.moves.inputs import Outcome
from persistence.moves.locks import lock_free_runs
from persistence.moves.rescue import LostStep, close_orphaned_calls, lost_steps, runs_of
from persistence.moves.row import Advance
from persistence.states import Retrying, StepState, ToolCallStatus
from persistence.supervisor import Background, failed, known
from persistence.wakeups import Wakeups

log = structlog.get_logger()

_RESCUED_AT_ONCE = 500
_POISON_LOSSES = 3
"""A step that took its process with it this often is not tried again."""

_SIGNLESS_SECONDS = 1.0
"""How long a life sign must be missing: a process that was only cut off takes it again at once."""


class Scheduler:
    """Sweeps every `sweep_seconds`: lost steps, overdue approvals, due retries, lost announcements.

    `expire` skips steps whose approvals nobody decided in time, and says how many. `also` are other parts of the sweep,
    by name.
    """

    def __init__(
        self,
        database: Database,
        rules: Rules,
        *,
        expire: Callable[[], Awaitable[int]],
        wakeups: Wakeups,
        also: Mapping[str, Callable[[], Awaitable[None]]],
        sweeps_steps: bool,
    ) -> None:
        self._database = database
        self._rules = rules
        self._expire_overdue = expire
        self._wakeups = wakeups
        parts = {"rescue": self._rescue, "expiry": self._expire} if sweeps_steps else {}
        self._parts = {known(f"sweep-{name}"): part for name, part in {**parts, **also}.items()}
        self._signless: dict[UUID, float] = {}
        self._sweeping = Background("scheduler", self._sweep_on)

    def open(self) -> None:
        """Begin to sweep."""
        self._sweeping.open()

    async def close(self) -> None:
        """Stop sweeping."""
        await self._sweeping.close()

    async def _sweep_on(self) -> None:
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                # Others had no chance to show that they live, and may need a moment when we don't.
                self._signless.clear()
                log.warning("sweep_waits_for_the_database", error=str(error))
            await asyncio.sleep(self._rules.settings.sweep_seconds)

    async def sweep(self) -> None:
        """Do once what is due. What fails in one part keeps none of the others from being done."""
        for name, part in self._parts.items():
            try:
                await part()
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - logged and counted
                failed(name, error)

    async def _expire(self) -> None:
        while await self._expire_overdue():
            pass

    async def _rescue(self) -> None:
        async with self._database.connection() as connection:
            await self._end_signless(connection)
            dead = await workers.end_expired(connection)
            if dead:
                released = await planning.release_planning(connection, dead)
                if released:
                    log.warning("planning_rescued", runs=len(released))
                    self._wakeups.announce(plans=True)
            await close_orphaned_calls(connection)
        while dead:
            done, found = await self._rescue_some(dead)
            self._wakeups.announce(done.marks, work=True)
            if found < _RESCUED_AT_ONCE:
                break

    async def _end_signless(self, connection: Connection) -> None:
        """Declare workers dead whose life sign has been missing for a while, whatever their lease says."""
        now = time.monotonic()
        missing = set(await workers.signless(connection))
        self._signless = {worker: self._signless.get(worker, now) for worker in missing}
        gone = [worker for worker, since in self._signless.items() if now - since >= _SIGNLESS_SECONDS]
        if gone:
            log.warning("workers_lost", workers=[str(worker) for worker in gone])
            await workers.end(connection, gone)

    async def _rescue_some(self, dead: list[UUID]) -> tuple[Advance, int]:
        async def write(tx: Connection) -> tuple[Advance, int]:
            runs = await runs_of(tx, dead, at_most=_RESCUED_AT_ONCE)
            free = await lock_free_runs(tx, runs)
            lost = await lost_steps(tx, dead, free) if free else []
            if not lost:
                return Advance(), 0
            log.warning("steps_rescued", steps=len(lost))
            return await settle(tx, self._rules, [rescue(step) for step in lost]), len(lost)

        return await self._database.transaction(write)


def rescue(step: LostStep) -> Outcome:
    """What becomes of a step whose process died in the middle of its attempt.

    A call that must not be repeated and was entered is in doubt; one that was not entered surely did not happen, and
    uses up no attempt. A step that has taken three processes with it is not tried again.
    """
    made = step.idempotent or step.entered
    message = "the process that ran it died"
    if made and not step.idempotent:
        return _lost(step, StepState.BLOCKED, ToolCallStatus.IN_DOUBT, f"{message} in the middle of the call")
    if step.losses + 1 >= _POISON_LOSSES:
        return _lost(step, StepState.FAILED, ToolCallStatus.FAILED, f"{message}, for the {_POISON_LOSSES}rd time")
    if made and is_exhausted(step.calls, step.max_attempts):
        return _lost(step, StepState.FAILED, ToolCallStatus.FAILED, f"{message}; its attempts are used up")
    return _lost(step, StepState.READY, ToolCallStatus.FAILED, message, uncounted=not made)


def _lost(step: LostStep, enters: StepState, call: ToolCallStatus, message: str, *, uncounted: bool = False) -> Outcome:
    return Outcome(
        run=step.run,
        position=step.position,
        attempt=step.attempt,
        leaves=StepState.RUNNING,
        enters=enters,
        owner=step.owner,
        reason=Retrying.LOST,
        call=call,
        error_code="WORKER_LOST",
        error_message=message,
        uncounted=uncounted,
    )
